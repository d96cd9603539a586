"""How much water is in each reservoir."""

from collections.abc import Iterator

import msgspec

import penstock as ps
from producers.flows import FLOWS, Flow


class Volume(msgspec.Struct, frozen=True):
    """Cubic metres in a reservoir at the end of an hour."""

    hour: int
    m3: int


VOLUMES = ps.Topic("volumes", key=str, value=ps.json(Volume), partitions=4)
CONTENT = ps.StoreSpec("content", key=str, value=int)


@ps.processor(stores=[CONTENT])
def add_up(record: ps.Record[str, Flow], ctx: ps.Context) -> Iterator[ps.Record[str, Volume]]:
    """Emit what is in the reservoir after each flow; no more can flow out than is in it."""
    content = ctx.store(CONTENT)
    m3 = content.get(record.key, 0) + record.value.m3
    if m3 < 0:
        raise ps.BadRecord("more flows out than is in the reservoir", reason="empty")
    content.put(record.key, m3)
    yield record.with_value(Volume(hour=record.value.hour, m3=m3))


pipeline = ps.Pipeline("volumes", on_error="dead_letter")
pipeline.stream(FLOWS).process(add_up, name="add-up").to(VOLUMES)

"""What flows into twenty reservoirs, and out of them."""

import random
from collections.abc import Iterator

import msgspec

import penstock as ps


class Flow(msgspec.Struct, frozen=True):
    """Cubic metres into a reservoir in one hour; out of it where they are negative."""

    hour: int
    m3: int


FLOWS = ps.Topic("flows", key=str, value=ps.json(Flow), partitions=4)
HOURS = 5_000


@ps.producer("flows", topic=FLOWS)
def flows(cursor: int | None) -> Iterator[tuple[int, ps.Record[str, Flow]]]:
    """Always the same ones; the cursor is the number of the last one that was published."""
    dice = random.Random(1)
    for number in range(20 * HOURS):
        hour, reservoir = divmod(number, 20)
        record = ps.Record(key=f"reservoir-{reservoir:02}", value=Flow(hour=hour, m3=dice.randint(-100, 100)))
        if number > (-1 if cursor is None else cursor):
            yield number, record

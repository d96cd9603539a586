"""The pipeline that README.md shows, for the type checkers; a test runs it."""

from __future__ import annotations

from collections.abc import Iterator

import penstock as ps
from producers.flights import FLIGHTS
from schemas.flights import Flight

LATENESS = ps.Topic("lateness", key=str, value=ps.int64, partitions=8)
MINUTES = ps.StoreSpec("minutes", key=str, value=int)


@ps.processor(stores=[MINUTES])
def add_up(record: ps.Record[str, Flight], ctx: ps.Context) -> Iterator[ps.Record[str, int]]:
    """Emit how many minutes late an aircraft has arrived so far, all flights together."""
    if record.value.arrival_delay_min is None:
        raise ps.BadRecord("nobody knows when it arrived", reason="arrival")
    minutes = ctx.store(MINUTES)
    total = minutes.get(record.key, 0) + record.value.arrival_delay_min
    minutes.put(record.key, total)
    yield record.with_value(total)


pipeline = ps.Pipeline("lateness", on_error="dead_letter")
pipeline.stream(FLIGHTS).filter(lambda flight: not flight.cancelled).process(add_up).to(LATENESS)

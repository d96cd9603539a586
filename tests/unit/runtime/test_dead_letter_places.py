"""A dead letter stands in the partition of its original, as far as there is one."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.schemas.topic import Topic
from tests.unit.runtime.in_memory import Cluster, running

IN, OUT = Topic("in", key=str, value=str), Topic("out", key=str, value=str)


@pytest.mark.parametrize(("partitions", "places"), [(None, [0, 1, 2, 3]), (3, [0, 1, 2, 0]), (1, [0, 0, 0, 0])])
def test_where_the_source_was_given_more_partitions_they_share_those_of_the_dead_letters(
    partitions: int | None, places: list[int]
) -> None:
    """The topic was made when there were fewer; a worker that could not write to it would stop at each bad record."""
    log = Cluster({("in", p): [(0, b"k", b"bad", 0), (1, b"k", b"%d" % p, 1)] for p in range(4)})
    made = Pipeline("p", on_error="dead_letter")
    made.stream(IN).map(int, name="parse").map(str, name="show").to(OUT)
    log.dead_letter_width = partitions
    running(log, made).until_idle()
    letters = [record for records, _ in log.transactions for record in records if record.topic == "dlq.in"]
    assert sorted((dict(w.headers)["__dlq.errors.partition"], w.partition) for w in letters) == [
        (b"%d" % source, place) for source, place in enumerate(places)
    ]
    assert sorted(filter(None, log.values("out"))) == [b"0", b"1", b"2", b"3"]

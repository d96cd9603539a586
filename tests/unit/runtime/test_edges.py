"""Records at the edges of what Kafka takes: no key, no time, a time of the far future."""

from __future__ import annotations

from penstock.dsl.pipeline import Pipeline
from penstock.schemas.topic import Topic
from tests.unit.runtime.in_memory import Cluster, running

IN, OUT = Topic("in", key=str, value=str), Topic("out", key=str, value=str)
FAR_MS = 2**62


def test_they_are_processed_or_set_aside_with_their_reason_and_keep_their_times() -> None:
    rows: list[tuple[int, bytes | None, bytes | None, int]] = [
        (0, b"k", b"1", -1),
        (1, b"k", b"bad", -1),
        (2, None, b"2", FAR_MS),
        (3, b"k", b"3", 0),
        (4, None, b"bad", FAR_MS),
        (5, b"k", b"5", FAR_MS),
    ]
    log = Cluster({("in", 0): rows})
    made = Pipeline("p", on_error="dead_letter")
    sums = made.stream(IN).map(int, name="parse").aggregate(int, lambda total, n: total + n, name="sum")
    sums.to_stream().map(str, name="show").to(OUT)
    running(log, made).until_idle()
    written = [record for records, _ in log.transactions for record in records]
    outputs = [(w.value, w.timestamp_ms) for w in written if w.topic == "out"]
    assert outputs == [(b"1", -1), (b"4", 0), (b"9", FAR_MS)]
    letters = [
        (headers["__dlq.errors.offset"], headers["penstock.dlq.reason"], w.key, w.value, w.timestamp_ms)
        for w in written
        if w.topic == "dlq.in" and (headers := dict(w.headers))
    ]
    assert letters == [
        (b"1", b"error", b"k", b"bad", -1),
        (b"2", b"no_key", None, b"2", FAR_MS),
        (b"4", b"error", None, b"bad", FAR_MS),
    ]

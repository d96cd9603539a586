"""What a cleaner leaves of a compacted topic, asked of the simulated cluster and of a real broker."""

from __future__ import annotations

from typing import Final, Protocol

from penstock.kafka.reader import BEGINNING
from tests.contract.stage import Stage, producer_of, settled, topic_of, until

SEGMENT_MS: Final = 4_000
_ROLL_S: Final = SEGMENT_MS / 1000 + 0.5
"""After this the next record begins another segment."""


class CleanedStage(Stage, Protocol):
    """A cluster with a cleaner that does not keep anybody waiting."""

    def clean(self, active_records: int) -> None:
        """Let it pass, now or soon.

        Args:
            active_records: how many records and markers the active segment has, for a cluster that has no segments.
        """
        ...


def compacted(stage: CleanedStage) -> object:
    """The last of each key stays; so does all that is not decided, all behind that, and the active segment."""
    topic = topic_of(
        stage,
        config={"cleanup.policy": "compact", "segment.ms": f"{SEGMENT_MS}", "min.cleanable.dirty.ratio": "0.01"},
    )

    def write(name: str, *pairs: str, is_open: bool = False) -> None:
        producer = producers[name]
        producer.begin_transaction()
        rows = [pair.partition("=") for pair in pairs]
        values = [value.encode() or None for _, _, value in rows]
        producer.produce(topic, [key.encode() for key, _, _ in rows], values, partitions=[0] * len(rows))
        producer.flush(30.0)
        if not is_open:
            producer.commit_transaction(30.0)

    producers = {name: producer_of(stage, name) for name in ("writes", "holds")}
    write("writes", "a=1", "b=1")  # offsets 0 and 1, a marker at 2
    write("writes", "a=2", is_open=True)
    producers["writes"].close()
    producers["writes"] = producer_of(stage, "writes")  # which aborts a=2: a marker at 4
    write("writes", "a=3")
    write("writes", "b=")
    settled(stage, topic)
    stage.pause(_ROLL_S)  # a broker leaves a segment whole that reaches up to what is not decided
    write("holds", "h=1", is_open=True)  # 9, the first of the second segment
    write("writes", "a=4")
    write("writes", "a=5")
    stage.pause(_ROLL_S)
    write("writes", "a=6")
    stage.clean(2)
    until(stage, lambda: len(_shown(stage, topic)) <= 6)
    while_open = _shown(stage, topic)
    producers["holds"].commit_transaction(30.0)
    settled(stage, topic)
    stage.pause(_ROLL_S)
    write("writes", "z=1", "a=7")  # 17 and 18, in a segment of their own
    stage.clean(3)
    until(stage, lambda: len(_shown(stage, topic)) <= 5)
    for producer in producers.values():
        producer.close()
    return while_open, _shown(stage, topic)


def _shown(stage: Stage, topic: str) -> list[tuple[int, str]]:
    """Everything that is there, decided or not: offset, key and value."""
    reader = stage.clients().reader("reads", "read_uncommitted")
    reader.assign({(topic, 0): BEGINNING})
    found: list[tuple[int, str]] = []
    for _ in range(400):
        found += [(r.offset or 0, f"{(r.key or b'').decode()}={(r.value or b'').decode()}") for r in reader.poll(0.1)]
        if (topic, 0) in reader.at_end:
            break
    reader.close()
    return found


COMPACTED: Final = (
    [(5, "a=3"), (7, "b="), (9, "h=1"), (10, "a=4"), (12, "a=5"), (14, "a=6")],
    [(7, "b="), (9, "h=1"), (14, "a=6"), (17, "z=1"), (18, "a=7")],
)

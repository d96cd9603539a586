"""Positions that are not in the log any more, and brokers that stop: on the simulated cluster and on a real one.

As with `scenarios.py`, each gives what was observed, and where the simulated cluster differs from `EXPECTED` it is
wrong. These need a cluster of their own: one that looks at retention often, and one of three brokers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from penstock.kafka.group_settings import GroupSettings
from tests.contract.stage import (
    Partition,
    Partitions,
    Stage,
    asked,
    error_of,
    joined,
    producer_of,
    read,
    settled,
    told,
    topic_of,
    until,
    write,
)

IN_2013_MS: Final = 1_357_000_000_000
_CHECKS_S: Final = 700.0
"""The longest wait for a broker's look at retention, and for the one behind it."""


def expired(stage: Stage) -> object:
    """What is older than the topic keeps goes, by its own timestamp, read or not; a member in front of that is told."""
    topic = topic_of(stage, config={"retention.ms": "3600000", "message.timestamp.before.max.ms": str(2**63 - 1)})
    place = (topic, 0)
    # Without transactions: a marker in the same segment would be young.
    member, _ = joined(stage, topic)
    old = stage.clients().acknowledged_producer(f"{stage.name}-a", 30_000, 1_000_000, member.commit)
    old.init_transactions(5.0)
    old.begin_transaction()
    old.produce(topic, [b"k"] * 3, [b"a", b"b", b"c"], partitions=[0] * 3, timestamps_ms=[IN_2013_MS] * 3)
    old.flush(30.0)
    before = settled(stage, topic)
    until(stage, lambda: settled(stage, topic)[0] == 3, _CHECKS_S)
    old.commit_transaction(30.0)
    write(old, topic, "young")
    old.close()
    member.start({place: 1})
    lost: dict[Partition, int] = {}

    def is_told() -> bool:
        lost.update(member.poll(100, 0.1).lost)
        return bool(lost)

    until(stage, is_told)
    marks = member.end_offsets(place)
    member.start({place: marks[0]})
    offsets: list[int] = []

    def is_read() -> bool:
        offsets.extend(offset for batch in member.poll(100, 0.1).batches for offset in batch.offsets)
        return bool(offsets)

    until(stage, is_read)
    member.close()
    return before, lost == {place: 1}, marks, offsets


EXPIRED: Final = ((0, 3, 3), True, (3, 4), [3])


class StageOfThree(Stage, Protocol):
    """A stage with three brokers, each of which can be stopped for a while."""

    def stop_leader(self, of: Partition | str, seconds: float) -> None:
        """Stop whoever leads this partition, or coordinates this group or, where it ends in `-p`, this id."""
        ...


def without_its_leader(stage: StageOfThree) -> object:
    """Calls take longer, and nothing else: whoever leads a partition, coordinates the transactions or the group."""
    topic = topic_of(stage)
    place, group, name = (topic, 0), f"{stage.name}-g", f"{stage.name}-p"
    member = stage.clients().member(group, "m", Partitions([]), GroupSettings())
    producer = producer_of(stage)
    errors: list[str] = []
    stops: tuple[Partition | str, ...] = (place, name, group)
    for number, stopped in enumerate(stops, start=1):
        write(producer, topic, f"before {number}")
        stage.stop_leader(stopped, 1.0)

        def more(value: bytes = f"behind {number}".encode()) -> None:
            producer.produce(topic, [b"k"], [value], partitions=[0])
            producer.flush(60.0)

        def offsets(number: int = number) -> None:
            producer.send_offsets({place: (number, "")}, member.group_metadata(), 60.0)

        errors += [error_of(more), error_of(offsets), error_of(lambda: producer.commit_transaction(60.0))]
        settled(stage, topic)
    producer.close()
    shown = [value for _, value in read(stage.clients().reader("reads"), topic)]
    questions = stage.clients().group(group, "asks")
    until(stage, lambda: asked(stage, lambda: questions.stable_offsets([place])) != "unstable")
    committed = told(asked(stage, lambda: questions.stable_offsets([place])))
    questions.close()
    member.close()
    return sorted(set(errors)), shown, committed


WITHOUT_ITS_LEADER: Final = (
    [""],
    ["before 1", "behind 1", "before 2", "behind 2", "before 3", "behind 3", "end"],
    [(3, "")],
)
SCENARIOS: Final[dict[str, Callable[[StageOfThree], object]]] = {"without its leader": without_its_leader}

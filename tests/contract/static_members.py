"""Static members (KIP-345, classic protocol), on the simulated cluster and on a real broker; see `scenarios.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from penstock.kafka.group_settings import GroupSettings
from penstock.runtime.clients import CommittingMember
from tests.contract.epochs import polled_until
from tests.contract.stage import Partition, Partitions, Stage, error_of, producer_of, topic_of, until, write


def member_of(
    stage: Stage, topic: str, name: str, listener: Partitions | None = None
) -> tuple[CommittingMember, Partitions]:
    """One of this name that joins in its next polls."""
    listener = listener or Partitions([])
    settings = GroupSettings(session_timeout_ms=6_000, instance_id=f"{stage.name}-{name}")
    member = stage.clients().member(f"{stage.name}-g", name, listener, settings)
    member.subscribe([topic])
    return member, listener


def restarted(stage: Stage) -> object:
    """It has its partition back, and nobody joins anew."""
    topic = topic_of(stage, partitions=2)
    first, held = member_of(stage, topic, "a")
    second, others = member_of(stage, topic, "b")

    def is_settled() -> bool:
        return len(held.held) == len(others.held) == 1 and first.group_metadata().is_live

    polled_until(stage, [first, second], is_settled)
    for _ in range(20):  # whoever gives some away joins once more
        polled_until(stage, [first, second], is_settled)
    before, had = first.group_metadata(), list(held.held)
    first.close()
    again, back = member_of(stage, topic, "a")
    polled_until(stage, [again, second], lambda: bool(back.held))
    after, beside = again.group_metadata(), second.group_metadata()
    moved = after.generation - before.generation, beside.generation - before.generation
    has_it_back = back.held == had
    again.close()
    second.close()
    return moved, has_it_back, after.member_id != before.member_id


@dataclass
class Dying(Partitions):
    """Its member does not come out of giving partitions up: by then its successor is there."""

    succeed: Callable[[], None] | None = None

    def on_revoked(self, partitions: list[Partition]) -> None:
        super().on_revoked(partitions)
        succeed, self.succeed = self.succeed, None
        if succeed is not None:
            succeed()


def died_in_a_change(stage: Stage) -> object:
    """Who dies while it gives partitions up, and is back before its session is over, leaves none without an owner."""
    topic = topic_of(stage, partitions=2)
    held = Dying([])
    first, _ = member_of(stage, topic, "a", held)
    polled_until(stage, [first], lambda: len(held.held) == 2)
    again: list[tuple[CommittingMember, Partitions]] = []

    def succeed() -> None:
        member, back = member_of(stage, topic, "a")
        again.append((member, back))
        polled_until(stage, [second, member], lambda: bool(back.held))

    held.succeed = succeed
    second, others = member_of(stage, topic, "b")
    for _ in range(400):
        second.poll(10, 0.1)
        if error_of(lambda: first.poll(10, 0.1)):
            break  # it is told that it has a successor
    ((member, back),) = again
    polled_until(stage, [member, second], lambda: len(back.held) + len(others.held) == 2)
    shares = len(back.held), len(others.held)
    for each in (first, member, second):
        each.close()
    return shares


def gone(stage: Stage) -> object:
    """It does not leave the group: its partitions are others' when its session is over, and not before."""
    topic = topic_of(stage, partitions=2)
    first, held = member_of(stage, topic, "a")
    second, others = member_of(stage, topic, "b")
    polled_until(stage, [first, second], lambda: len(held.held) == len(others.held) == 1)
    first.close()
    soon: list[int] = []
    for _ in range(10):
        second.poll(10, 0.1)
        soon.append(len(others.held))
    polled_until(stage, [second], lambda: len(others.held) == 2)
    second.close()
    return max(soon)


def replaced(stage: Stage) -> object:
    """Of two that live with one name the newer has everything; the older is told so, and may take it back."""
    topic = topic_of(stage, partitions=2)
    older, held = member_of(stage, topic, "a")
    polled_until(stage, [older], lambda: len(held.held) == 2 and older.group_metadata().is_live)
    stale = older.group_metadata()
    newer, others = member_of(stage, topic, "a")
    polled_until(stage, [newer], lambda: len(others.held) == 2)
    producer = producer_of(stage)
    write(producer, topic, "x")
    refused = error_of(lambda: producer.send_offsets({(topic, 0): (1, "")}, stale, 30.0))
    producer.close()
    told = [_ending(stage, older)]
    is_member = older.group_metadata().is_live
    older.subscribe([topic])
    polled_until(stage, [older], lambda: older.group_metadata().is_live)
    told.append(_ending(stage, newer))
    older.close()
    newer.close()
    return refused, told, is_member


def _ending(stage: Stage, member: CommittingMember) -> str:
    """What it is told in the end."""
    found: list[str] = []

    def is_told() -> bool:
        found.append(error_of(lambda: member.poll(10, 0.1)))
        return bool(found[-1])

    until(stage, is_told)
    return found[-1]


SCENARIOS: Final[dict[str, Callable[[Stage], object]]] = {
    each.__name__: each for each in (restarted, died_in_a_change, gone, replaced)
}

EXPECTED: Final[dict[str, object]] = {
    "restarted": ((0, 0), True, True),
    "died_in_a_change": (1, 1),
    "gone": 1,
    "replaced": ("TransactionAborted FENCED_INSTANCE_ID", ["InstanceReplaced", "InstanceReplaced"], False),
}

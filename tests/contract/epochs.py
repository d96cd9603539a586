"""The newer group protocol (KIP-848), on the simulated cluster and on a real broker; see `scenarios.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from penstock.kafka.group_settings import GroupSettings
from penstock.protocols import GroupMetadata
from penstock.runtime.clients import CommittingMember
from tests.contract.stage import Partition, Partitions, Stage, error_of, producer_of, topic_of, until, write


def member_of(stage: Stage, topics: list[str], *, is_range: bool = False) -> tuple[CommittingMember, Partitions]:
    """One that joins in its next polls."""
    listener = Partitions([])
    settings = GroupSettings("consumer", session_timeout_ms=6_000, is_copartitioned=is_range)
    member = stage.clients().member(f"{stage.name}-g", "m", listener, settings)
    member.subscribe(topics)
    return member, listener


def polled_until(stage: Stage, members: list[CommittingMember], is_so: Callable[[], bool]) -> None:
    def polled() -> bool:
        for member in members:
            member.poll(10, 0.1)
        return is_so()

    until(stage, polled)


def shared(stage: Stage) -> object:
    """Everybody gets a share, and who was there first keeps as much of it as it may."""
    topic = topic_of(stage, partitions=4)
    first, held = member_of(stage, [topic])
    polled_until(stage, [first], lambda: len(held.held) == 4)
    alone = sorted(number for _, number in held.held)
    second, others = member_of(stage, [topic])
    polled_until(stage, [first, second], lambda: len(held.held) == len(others.held) == 2)
    both = sorted(number for _, number in [*held.held, *others.held])
    second.close()
    polled_until(stage, [first], lambda: len(held.held) == 4)
    first.close()
    return alone, both, held.held


def shared_by_range(stage: Stage) -> object:
    """The same partition of each topic goes to the same member, and only what has to move is taken away."""
    topics = [topic_of(stage, partitions=3, name=name) for name in ("one", "two")]
    first, held = member_of(stage, topics, is_range=True)
    polled_until(stage, [first], lambda: len(held.held) == 6)
    second, others = member_of(stage, topics, is_range=True)
    polled_until(stage, [first, second], lambda: len(held.held) + len(others.held) == 6 and len(others.held) > 0)
    both = sorted([sorted(number for _, number in each.held) for each in (held, others)], key=len)
    first.close()
    second.close()
    return both


def refused_epochs(stage: Stage) -> object:
    """Of an old epoch offsets are taken where the partition is still the member's; of a live one, any partition's.

    Unlike with the classic protocol, nobody at all is refused while the group has members.
    """
    topic = topic_of(stage, partitions=2)
    first, held = member_of(stage, [topic])
    polled_until(stage, [first], lambda: len(held.held) == 2)
    before = first.group_metadata()
    second, others = member_of(stage, [topic])

    def is_shared() -> bool:
        return len(held.held) == len(others.held) == 1 and first.group_metadata().generation > before.generation

    polled_until(stage, [first, second], is_shared)
    (kept,), (given,) = held.held, others.held
    now, gone = first.group_metadata(), second.group_metadata()
    seen = [
        ("old epoch, kept", commit_of(stage, kept, before)),
        ("old epoch, given away", commit_of(stage, given, before)),
        ("live epoch, kept", commit_of(stage, kept, now)),
        ("live epoch, given away", commit_of(stage, given, now)),
    ]
    second.close()
    polled_until(stage, [first], lambda: len(held.held) == 2)
    seen.append(("gone", commit_of(stage, kept, gone)))
    stranger, _ = member_of(stage, [topic])
    nobody = stranger.group_metadata()
    seen.append(("nobody", commit_of(stage, kept, nobody)))
    stranger.close()
    first.close()
    return dict(seen), before.is_live, nobody.is_live


def commit_of(stage: Stage, place: Partition, group: GroupMetadata) -> str:
    producer = producer_of(stage)
    write(producer, place[0], "x")
    error = error_of(partial(producer.send_offsets, {place: (1, "")}, group, 30.0))
    producer.close()
    return error


SCENARIOS: Final[dict[str, Callable[[Stage], object]]] = {
    each.__name__: each for each in (shared, shared_by_range, refused_epochs)
}

EXPECTED: Final[dict[str, object]] = {
    "shared": ([0, 1, 2, 3], [0, 1, 2, 3], []),
    "shared_by_range": [[2, 2], [0, 0, 1, 1]],
    "refused_epochs": (
        {
            "old epoch, kept": "",
            "old epoch, given away": "TransactionAborted ILLEGAL_GENERATION",
            "live epoch, kept": "",
            "live epoch, given away": "",
            "gone": "TransactionAborted UNKNOWN_MEMBER_ID",
            "nobody": "TransactionAborted ILLEGAL_GENERATION",
        },
        True,
        False,
    ),
}

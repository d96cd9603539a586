"""Who gets which partitions, by Kafka's assignors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

Partition = tuple[str, int]
PartitionsOf = Callable[[str], int]
"""How many partitions a topic has."""


class Wants(Protocol):
    """A member, as far as assignors are concerned."""

    @property
    def topics(self) -> Iterable[str]:
        """What it wants."""
        ...

    @property
    def owned(self) -> Sequence[Partition]:
        """What it has."""
        ...


def by_range(members: Sequence[Wants], partitions_of: PartitionsOf) -> list[list[Partition]]:
    """Java's and librdkafka's `range`: each topic by itself, in runs, the first members get one more."""
    found: list[list[Partition]] = [[] for _ in members]
    for topic in _topics(members):
        each, more = divmod(partitions_of(topic), len(members))
        start = 0
        for place, partitions in enumerate(found):
            stop = start + each + (1 if place < more else 0)
            partitions += [(topic, number) for number in range(start, stop)]
            start = stop
    return found


def sticky(members: Sequence[Wants], partitions_of: PartitionsOf, *, holds_back: bool) -> list[list[Partition]]:
    """Balanced, with as much kept as possible.

    Args:
        members: in a fixed order.
        partitions_of: see there.
        holds_back: leave out what another member still has: it is given in the rebalance that its owner asks for, as
            the cooperative protocol does it.
    """
    wanted = [(topic, number) for topic in _topics(members) for number in range(partitions_of(topic))]
    each, more = divmod(len(wanted), len(members))
    found: list[list[Partition]] = []
    taken: set[Partition] = set()
    for member in sorted(members, key=lambda member: -len(member.owned)):
        room = each + (1 if more > 0 else 0)
        kept = [p for p in member.owned if p in wanted and p not in taken][:room]
        more -= len(kept) > each
        taken.update(kept)
        found.append(kept)
    order = sorted(range(len(members)), key=lambda place: -len(members[place].owned))
    by_member = [found[order.index(place)] for place in range(len(members))]
    owners = {partition: place for place, member in enumerate(members) for partition in member.owned}
    for partition in (p for p in wanted if p not in taken):
        place = min(range(len(members)), key=lambda place: len(by_member[place]))
        owner = owners.get(partition, place)
        if not holds_back or owner == place:
            by_member[place].append(partition)
    return by_member


def _topics(members: Sequence[Wants]) -> list[str]:
    return sorted({topic for member in members for topic in member.topics})

"""A group's committed offsets, and those that a transaction holds back (KIP-447)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock.kafka.consumer import Committed
from penstock.testing.cluster.refusal import Refusal

Partition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """One partition's part of a commit, as it stands in the group's log.

    Attributes:
        partition: whose.
        next_offset: what is committed.
        metadata: beside it.
        producer_id: of the transaction; -1 where there is none.
        epoch: the producer's.
    """

    partition: Partition
    next_offset: int
    metadata: str
    producer_id: int = -1
    epoch: int = -1


@dataclass(frozen=True, slots=True)
class OffsetMarker:
    """The end of a producer's transaction in the group's log."""

    producer_id: int
    epoch: int
    is_commit: bool


class GroupOffsets:
    """Of one group.

    Attributes:
        log: everything that was ever written, as in the group's partition of `__consumer_offsets`; for checkers.
    """

    def __init__(self) -> None:
        self._committed: dict[Partition, Committed] = {}
        self._pending: dict[int, dict[Partition, tuple[int, str]]] = {}
        self.log: list[StoredOffset | OffsetMarker] = []

    def stage(self, producer_id: int, epoch: int, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Hold offsets back until the producer's transaction is over."""
        self._pending.setdefault(producer_id, {}).update(offsets)
        self.log += [StoredOffset(place, *offset, producer_id, epoch) for place, offset in offsets.items()]

    def end(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        """The producer's transaction is over."""
        pending = self._pending.pop(producer_id, {})
        self.log.append(OffsetMarker(producer_id, epoch, commit))
        if commit:
            self._committed |= {place: Committed(*offset) for place, offset in pending.items()}

    def commit(self, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Commit at once, without a transaction."""
        self._committed |= {place: Committed(*offset) for place, offset in offsets.items()}
        self.log += [StoredOffset(place, *offset) for place, offset in offsets.items()]

    def fetch(self, partitions: Iterable[Partition], *, is_stable: bool) -> dict[Partition, Committed]:
        """The committed offsets of these partitions; those without one are left out.

        Raises:
            Refusal: UNSTABLE_OFFSET_COMMIT while a transaction holds some of them, if they are to be stable.
        """
        wanted = list(partitions)
        if is_stable and any(place in pending for pending in self._pending.values() for place in wanted):
            raise Refusal("UNSTABLE_OFFSET_COMMIT")
        return {partition: self._committed[partition] for partition in wanted if partition in self._committed}

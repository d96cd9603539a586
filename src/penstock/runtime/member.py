"""What a worker asks of its place in the consumer group; `kafka.consumer.GroupConsumer` on a real cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from penstock.kafka.polled import Polled
from penstock.runtime.commit import Membership
from penstock.runtime.merge import Partition


class Member(Membership, Protocol):
    """A group member whose partitions start paused, at positions that the worker chooses."""

    @property
    def is_eager(self) -> bool:
        """Whether each change of the group takes all partitions first, and gives some or all of them back."""
        ...

    def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics."""
        ...

    def withdraw(self) -> None:
        """Leave the group, in the next polls; `subscribe` joins anew."""
        ...

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """The next records; partitions come and go in here."""
        ...

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Fetch these partitions from these offsets on."""
        ...

    def first_offset_from(self, partition: Partition, next_offset: int) -> int | None:
        """The first committed record there or behind; None = the end comes first. Asked by another client.

        Raises:
            KafkaUnavailable: no answer in time.
        """
        ...

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of these until `resume` or `start`."""
        ...

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch these again."""
        ...

    def end_offsets(self, partition: Partition) -> tuple[int, int]:
        """(first offset, last stable offset)."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...

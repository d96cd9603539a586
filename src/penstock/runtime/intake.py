"""From the consumer into the tasks' buffers, in an unbroken chain: what a commit calls done rests on this bookkeeping.

Per partition it is known which offset comes next: that of `start`, then the one behind each batch, or the partition's
end where the broker said so. The client's own `position()` is not believed: it moves past records that were polled and
dropped. Three things break the chain, and each sends the tasks back to their last commit:

* a batch, or an end, in front of what comes next: it was fetched before the last `start`
* a batch behind one that was dropped
* the first gap after `start` hides records of the log. Offsets are missing where control records stand, where a
  transaction was aborted and where a topic was compacted, so another client, which only reads, is asked. A start that
  goes wrong shows there and not always in the first batch: an answer of the broker that the client still waited for has
  moved its position when one batch was already fetched (seen). Later gaps are the broker's own; asking for each would
  cost a request per transaction of whoever writes the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from penstock.errors import TransactionAborted
from penstock.kafka.polled import Polled
from penstock.runtime.merge import Partition
from penstock.runtime.task import Task


class Source(Protocol):
    """What the intake asks of the consumer."""

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Fetch these partitions from these offsets on."""
        ...

    def first_offset_from(self, partition: Partition, next_offset: int) -> int | None:
        """The first committed record there or behind; None = the end comes first. Asked by another client."""
        ...


class ChainBroken(TransactionAborted):
    """What was polled does not follow what was handed over before. Discard; the records are read again."""


class Intake:
    """Hands what was polled to the tasks.

    Args:
        source: the consumer.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._next: dict[Partition, int] = {}
        self._unproven: set[Partition] = set()

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Read from here on; nothing of what was polled before counts."""
        self._next |= positions
        self._unproven |= positions.keys()
        self._source.start(positions)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """These are not to be read on, until the next `start`."""
        for partition in partitions:
            self._next.pop(partition, None)
            self._unproven.discard(partition)

    def expects(self, partition: Partition, offset: int) -> bool:
        """Whether this is what comes next there."""
        return self._next.get(partition) == offset

    def take(self, polled: Polled, owners: Mapping[Partition, Task]) -> bool:
        """Fill the tasks' buffers; whether an end moved a task on over control records.

        Args:
            polled: by the consumer.
            owners: {partition: its task}, of the tasks that run; what belongs to none of them is dropped.

        Raises:
            ChainBroken: see the module's text.
        """
        for batch in polled.batches:
            partition = (batch.topic, batch.partition)
            task = owners.get(partition)
            if task is None:  # given away in this very poll, or stopped: not ours to process
                self.forget([partition])
                continue
            self._follow(partition, batch.offsets[0])
            task.buffer.add(batch)
            self._next[partition] = batch.offsets[-1] + 1
        has_moved = False
        for partition, end in polled.ends.items():
            if partition in owners:
                self._follow(partition, end)
                self._next[partition] = end
                has_moved |= owners[partition].reach_end(partition, end)
        return has_moved

    def _follow(self, partition: Partition, offset: int) -> None:
        topic, number = partition
        expected = self._next.get(partition)
        if expected is None:
            raise ChainBroken(f"{topic}[{number}]@{offset} was polled behind records that were dropped; reading again")
        if offset < expected:
            raise ChainBroken(f"{topic}[{number}]@{offset} was polled where {expected} comes next; reading again")
        if partition in self._unproven and offset > expected:
            first = self._source.first_offset_from(partition, expected)
            if first is not None and first < offset:
                raise ChainBroken(
                    f"{topic}[{number}]@{offset} was polled next, and the log has {first} before it; reading again. "
                    "Nothing is lost, but please report this"
                )
            self._unproven.discard(partition)  # not before: an answer that did not come proves nothing

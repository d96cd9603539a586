"""What is in a topic according to the broker's files, and what became of it: committed, aborted, or still open.

No client is involved, so this can judge what clients say. Data belongs to its producer's open transaction in the
partition; the next marker of the same producer id ends that. The marker of an abort may carry a higher epoch than the
data (the successor's), so epochs decide nothing.

The folders are those of a broker's `log.dirs`: for an embedded one, `KafkaCluster.log_directory(1)`. A broker may be
writing meanwhile: what is incomplete at the end is left out. On a cluster of several nodes ask the partition's leader;
what it has not replicated yet is told as well, and so are records that were deleted from the front and are still there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from penstock.testing.record_batch import Marker, RecordBatch, StoredRecord, UnreadableLog, batches_in

_SEGMENT: Final = re.compile(r"([0-9]{20})\.log")


class Fate(Enum):
    """What became of data."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    OPEN = "open"


@dataclass(slots=True)
class Transaction:
    """One transaction's part in one partition.

    Attributes:
        producer_id: whose.
        producer_epoch: at its first batch.
        batches: its data, in offset order.
        fate: open until a marker is found.
        marker_offset: where that is; None while open.
    """

    producer_id: int
    producer_epoch: int
    batches: list[RecordBatch] = field(default_factory=list[RecordBatch])
    fate: Fate = Fate.OPEN
    marker_offset: int | None = None

    @property
    def first_offset(self) -> int:
        """Where it begins: open, it holds readers back from here on."""
        return self.batches[0].base_offset

    @property
    def count(self) -> int:
        """Records."""
        return sum(batch.count for batch in self.batches)


@dataclass(slots=True)
class PartitionLog:
    """One partition.

    Attributes:
        batches: all with data, in offset order, each with what became of it.
        transactions: in the order of their first offsets.
        next_offset: where the next record will be appended.
    """

    batches: list[tuple[RecordBatch, Transaction | None]] = field(
        default_factory=list[tuple[RecordBatch, Transaction | None]]
    )
    transactions: list[Transaction] = field(default_factory=list[Transaction])
    next_offset: int = 0

    @property
    def open_transactions(self) -> list[Transaction]:
        """Those without a marker."""
        return [each for each in self.transactions if each.fate is Fate.OPEN]

    @property
    def last_stable_offset(self) -> int:
        """Up to here, excluded, read_committed readers are shown something."""
        return min((each.first_offset for each in self.open_transactions), default=self.next_offset)

    def count(self, fate: Fate) -> int:
        """How many records have met this fate; decodes none of them."""
        return sum(batch.count for batch, owner in self.batches if _fate(owner) is fate)

    def records(self, *fates: Fate) -> list[StoredRecord]:
        """Records of these fates (none named = all), in offset order.

        Raises:
            UnreadableLog: a codec that is not understood, or bytes that are no records.
        """
        wanted = set(fates or Fate)
        return [record for batch, owner in self.batches if _fate(owner) in wanted for record in batch.records()]

    def visible(self) -> list[StoredRecord]:
        """What a read_committed reader is shown: committed, and in front of the first open transaction.

        Raises:
            UnreadableLog: as above.
        """
        end = self.last_stable_offset
        return [record for record in self.records(Fate.COMMITTED) if record.offset < end]


def read_topic(log_directory: Path, topic: str) -> dict[int, PartitionLog]:
    """All partitions of a topic that are in this folder, ascending.

    Raises:
        UnreadableLog: there is none of them, or one is damaged.
    """
    name = re.compile(re.escape(topic) + r"-([0-9]+)")
    matches = [(name.fullmatch(folder.name), folder) for folder in log_directory.iterdir()]
    folders = {int(match[1]): folder for match, folder in matches if match}
    if not folders:
        raise UnreadableLog(f"{log_directory} holds no partition of topic '{topic}'")
    return {partition: read_partition(folders[partition]) for partition in sorted(folders)}


def read_partition(folder: Path) -> PartitionLog:
    """One partition's folder, `<topic>-<partition>`.

    Raises:
        UnreadableLog: a checksum is wrong, offsets do not ascend, a batch in a closed segment is incomplete, a producer
            goes back to an earlier epoch, or a control record ends no transaction.
    """
    follower = _Follower()
    for batch in read_batches(folder):
        follower.take(batch)
    return follower.log


def read_batches(folder: Path) -> Iterator[RecordBatch]:
    """All batches of a partition's folder, control batches included, in the order of the files; nothing is judged.

    Raises:
        UnreadableLog: a checksum is wrong, or a batch in a closed segment is incomplete.
    """
    starts = sorted(int(match[1]) for file in folder.iterdir() if (match := _SEGMENT.fullmatch(file.name)))
    for start in starts:
        file = folder / f"{start:020d}.log"
        data = file.read_bytes()
        size = 0
        for batch in batches_in(data, f"{folder.name}/{file.name}"):
            if batch.base_offset < start:
                raise UnreadableLog(f"{batch.where}: offset {batch.base_offset} in a segment that begins at {start}")
            size += batch.size
            yield batch
        if size != len(data) and start != starts[-1]:
            raise UnreadableLog(f"{folder.name}/{file.name}: the last batch is incomplete, and the segment is closed")


class _Follower:
    """Follows producer ids through one partition."""

    def __init__(self) -> None:
        self.log = PartitionLog()
        self._open: dict[int, Transaction] = {}
        self._epochs: dict[int, int] = {}

    def take(self, batch: RecordBatch) -> None:
        if batch.base_offset < self.log.next_offset or batch.last_offset < batch.base_offset:
            raise UnreadableLog(
                f"{batch.where}: offsets {batch.base_offset} to {batch.last_offset}, and {self.log.next_offset} is next"
            )
        self.log.next_offset = batch.last_offset + 1
        if batch.producer_id >= 0:
            self._check_epoch(batch)
        if batch.count == 0:
            return  # a cleaner left it for the producer's sequence; the marker of its transaction may be gone
        if batch.is_control:
            self._end(batch)
        else:
            self.log.batches.append((batch, self._owner(batch)))

    def _check_epoch(self, batch: RecordBatch) -> None:
        seen = self._epochs.get(batch.producer_id, -1)
        if batch.producer_epoch < seen:
            raise UnreadableLog(
                f"{batch.where}: producer {batch.producer_id} in epoch {batch.producer_epoch} after epoch {seen}: a "
                "fenced producer has written"
            )
        self._epochs[batch.producer_id] = batch.producer_epoch

    def _owner(self, batch: RecordBatch) -> Transaction | None:
        transaction = self._open.get(batch.producer_id)
        if not batch.is_transactional:
            if transaction is not None:
                raise UnreadableLog(f"{batch.where}: data outside a transaction, while its producer has one open")
            return None
        if transaction is None:
            transaction = self._open[batch.producer_id] = Transaction(batch.producer_id, batch.producer_epoch)
            self.log.transactions.append(transaction)
        elif transaction.producer_epoch != batch.producer_epoch:
            raise UnreadableLog(
                f"{batch.where}: the transaction of producer {batch.producer_id} goes on in another epoch"
            )
        transaction.batches.append(batch)
        return transaction

    def _end(self, batch: RecordBatch) -> None:
        fate = Fate.COMMITTED if batch.marker() is Marker.COMMIT else Fate.ABORTED
        transaction = self._open.pop(batch.producer_id, None)
        if transaction is not None:  # else a cleaner has taken its data away
            transaction.fate, transaction.marker_offset = fate, batch.base_offset


def _fate(owner: Transaction | None) -> Fate:
    return Fate.COMMITTED if owner is None else owner.fate

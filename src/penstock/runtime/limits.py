"""How much a worker takes on at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.deadletter.parking import ParkingLimits


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Bounds of batches, buffers and transactions.

    Attributes:
        commit_interval_s: a transaction is committed when it is this old.
        max_transaction_records: input records; a safety bound, not a rhythm.
        max_transaction_bytes: keys and values of outputs, dead letters and changed state; likewise. What is held in
            memory until the commit, and sent again if the transaction is discarded.
        max_batch_records: per poll, and per batch of a task.
        max_batch_s: about how long a batch may take: slow code gets fewer records at once.
        slow_batch_s: after which a batch that is still being processed is told in the log.
        hung_after_s: after which it is taken for hung, and the process ends itself by SIGALRM; None = never.
        max_buffered_records: per partition, before it is paused.
        max_buffered_bytes: of all partitions together, about; each has its share.
        parking: of records that wait because one of their key failed.
        max_restores: tasks that are brought back at the same time; each has a reader of its own.
    """

    commit_interval_s: float = 0.1
    max_transaction_records: int = 50_000
    max_transaction_bytes: int = 64 * 1024 * 1024
    max_batch_records: int = 1_000
    max_batch_s: float = 1.0
    slow_batch_s: float = 10.0
    hung_after_s: float | None = None
    max_buffered_records: int = 5_000
    max_buffered_bytes: int = 32 << 20
    parking: ParkingLimits = field(default_factory=ParkingLimits)
    max_restores: int = 8

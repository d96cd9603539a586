"""A log in memory behind the seam `protocols.TransactionalProducer`, with the faults of a real one at chosen calls.

It is as strict as librdkafka and stricter: after any error but `Retriable` a handle may only be closed, after
`Retriable` from commit only commit may be repeated, a closed handle refuses everything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from penstock.errors import Fenced, KafkaUnavailable, OutcomeUnknown, TransactionAborted
from penstock.protocols import RefusedRecord
from penstock.publishing.cursor import CursorRecord, decode
from penstock.record import Headers
from penstock.runtime.hooks import RestoreReport, WorkerHooks
from penstock.state.checkpointer import CheckpointFailed, CheckpointWritten


class Written(NamedTuple):
    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Fault(Enum):
    """What can befall a call. Where it makes no sense for a call, the nearest that does is taken."""

    RETRIABLE = "not done; may be repeated"
    RETRIABLE_DONE = "done, the answer was lost; may be repeated"
    ABORTED = "a part did not arrive"
    UNKNOWN_DONE = "commit done, answer lost for good"
    UNKNOWN_PENDING = "commit decided, visible once the next producer has initialised"
    UNKNOWN_LOST = "commit never arrived"
    TIMED_OUT = "the coordinator ended the transaction and bumped the epoch"
    DOUBT = "done, but a second copy of the request is on its way"
    CRASH = "the process dies before the call"
    CRASH_AFTER = "the process dies after the call"


class Crash(BaseException):
    """The process is gone: nothing of it is called again."""


@dataclass
class Log:
    """What the cluster holds, and who owns the one `transactional.id` of the test.

    Attributes:
        transactions: what became visible, one list per transaction.
        faults: {how manyeth call: what happens}, from 0.
        planted: {(name of the call, how manyeth of these): what happens}, from 1.
        refuses: why the broker refuses a record; None = it does not.
    """

    faults: dict[int, Fault] = field(default_factory=dict[int, Fault])
    planted: dict[tuple[str, int], Fault] = field(default_factory=dict[tuple[str, int], Fault])
    refuses: Callable[[Written], str | None] = lambda _: None
    transactions: list[list[Written]] = field(default_factory=list[list[Written]])
    staged: list[Written] = field(default_factory=list[Written])
    pending: list[Written] = field(default_factory=list[Written])
    epoch: int = 0
    stale_commit_of: int | None = None
    calls: int = 0
    calls_of: Counter[str] = field(default_factory=Counter[str])

    def committed(self, topic: str) -> list[Written]:
        return [written for transaction in self.transactions for written in transaction if written.topic == topic]

    def values(self, topic: str) -> list[bytes | None]:
        return [written.value for written in self.committed(topic)]

    def cursors(self, topic: str = "cursors") -> list[CursorRecord]:
        return [decode(value or b"", "here") for value in self.values(topic)]

    def read_cursor(self) -> CursorRecord | None:
        """What `cursor.read_cursor` gives: it waits for open transactions, which nobody ends here."""
        assert not self.staged, "reading the cursor would wait for an open transaction"
        self.fault("read cursor")
        cursors = self.cursors()
        return cursors[-1] if cursors else None

    def next_epoch(self) -> int:
        """Resolve what a predecessor left, and fence it."""
        if self.pending:
            self.transactions.append(self.pending)
        self.pending, self.staged = [], []
        self.stale_commit_of = None
        self.epoch += 1
        return self.epoch

    def make_visible(self) -> None:
        if self.staged:
            self.transactions.append(self.staged)
        self.staged = []

    def fault(self, call: str) -> Fault | None:
        """What befalls this call; dies or fails here where no more is to be done."""
        fault = self.faults.get(self.calls)
        self.calls += 1
        self.calls_of[call] += 1
        fault = self.planted.get((call, self.calls_of[call]), fault)
        match fault, call:
            case Fault.CRASH, _:
                raise Crash
            case Fault.RETRIABLE, "init" | "commit":
                raise KafkaUnavailable(f"{call}: planted")
            case ((Fault.CRASH_AFTER | Fault.TIMED_OUT | None), _):
                return fault
            case ((Fault.DOUBT | Fault.RETRIABLE_DONE | Fault.UNKNOWN_DONE | Fault.UNKNOWN_PENDING), "commit"):
                return fault
            case _, "commit":
                raise OutcomeUnknown("commit: planted")
            case _, "init" | "read cursor":
                raise KafkaUnavailable(f"{call}: planted")
            case _:
                raise TransactionAborted(f"{call}: planted")


class InMemoryProducer:
    """`protocols.TransactionalProducer` on a `Log`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._epoch = 0
        self._queue: list[Written] = []
        self._refused: list[RefusedRecord] = []
        self._may: str = "init"
        self._committed = False
        self._doubt: str | None = None

    def init_transactions(self, timeout_s: float) -> None:
        del timeout_s
        with _Call(self, "init") as fault:
            self._epoch = self._log.next_epoch()
            self._may = "begin"
            _after(fault)

    def begin_transaction(self) -> None:
        with _Call(self, "begin") as fault:
            self._queue, self._refused, self._committed, self._doubt = [], [], False, None
            self._may = "stage"
            _after(fault)

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        *,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
        timestamps_ms: Sequence[int] | None = None,
    ) -> None:
        assert timestamps_ms is None, "a producer stamps its records with the time of publishing"
        with _Call(self, "produce") as fault:
            for i, (key, value) in enumerate(zip(keys, values, strict=True)):
                partition = -1 if partitions is None else partitions[i]
                self._queue.append(Written(topic, partition, key, value, () if headers is None else headers[i]))
            _after(fault)

    def flush(self, timeout_s: float) -> None:
        del timeout_s
        with _Call(self, "flush") as fault:
            self._send()
            _after(fault)

    def send_offsets(self, offsets: Mapping[tuple[str, int], tuple[int, str]], group: object, timeout_s: float) -> None:
        raise AssertionError(f"a producer reads no topics: {offsets}, {group}, {timeout_s}")

    def commit_transaction(self, timeout_s: float) -> None:
        del timeout_s
        with _Call(self, "commit") as fault:
            self._send()
            if fault is Fault.UNKNOWN_PENDING:
                self._log.pending, self._log.staged = self._log.staged, []
                raise OutcomeUnknown("commit: planted")
            if not self._committed:
                self._log.make_visible()
            self._committed = True
            if fault is Fault.UNKNOWN_DONE:
                raise OutcomeUnknown("commit: planted")
            if fault is Fault.RETRIABLE_DONE:
                raise KafkaUnavailable("commit: planted")
            if fault is Fault.DOUBT:
                self._doubt = "planted"
                self._log.stale_commit_of = self._epoch
            self._may = "begin"
            _after(fault)

    def refused(self) -> list[RefusedRecord]:
        return list(self._refused)

    def close(self) -> None:
        self._queue = []
        self._may = "nothing"

    def doubt(self) -> str | None:
        return self._doubt

    def enter(self, call: str) -> Fault | None:
        allowed = {"stage": ("produce", "flush", "commit")}.get(self._may, (self._may,))
        assert call in allowed, f"{call} on a handle that may {self._may}"
        fault = self._log.fault(call)
        if fault is Fault.TIMED_OUT and call != "init":
            self._log.next_epoch()
        if call != "init" and self._epoch != self._log.epoch:
            raise Fenced(f"{call}: epoch {self._epoch}, the coordinator's is {self._log.epoch}")
        return fault

    def leave(self, call: str, error: BaseException) -> None:
        if isinstance(error, KafkaUnavailable):
            self._may = call
        else:
            self._may = "nothing"

    def _send(self) -> None:
        queue, self._queue = self._queue, []
        for written in queue:
            reason = self._log.refuses(written)
            if reason is not None:
                self._refused.append(RefusedRecord(written.topic, written.key, written.value, reason))
        self._log.staged += queue
        if self._refused:
            raise TransactionAborted(f"flush: {len(self._refused)} record(s) refused")
        if self._log.stale_commit_of == self._epoch and queue:
            # The delayed copy of the previous transaction's EndTxn arrives: it commits what stands there by now.
            del self._log.staged[len(self._log.staged) // 2 :]
            self._log.make_visible()
            self._log.stale_commit_of = None
            raise TransactionAborted("flush: the coordinator has already ended this transaction")


class _Call:
    """The rules around each call of a handle."""

    def __init__(self, producer: InMemoryProducer, name: str) -> None:
        self._producer, self._name = producer, name

    def __enter__(self) -> Fault | None:
        try:
            return self._producer.enter(self._name)
        except BaseException as exc:
            self._producer.leave(self._name, exc)
            raise

    def __exit__(self, kind: object, exc: BaseException | None, tb: object) -> None:
        if exc is not None:
            self._producer.leave(self._name, exc)


def _after(fault: Fault | None) -> None:
    if fault is Fault.CRASH_AFTER:
        raise Crash


class ManualClock:
    """Time that passes only while somebody sleeps, or by `tick_s` at each look."""

    def __init__(self, tick_s: float = 0.0) -> None:
        self.now_s = 1_000.0
        self.tick_s = tick_s
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        self.now_s += self.tick_s
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        assert self.now_s < 100_000, "nobody sleeps a day away in these tests: this is a loop without end"
        self.on_sleep()


class Seen(WorkerHooks):
    """Hooks that remember what they were told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.commits: list[tuple[int, int]] = []
        self.aborts: list[Exception] = []
        self.rotations: list[str] = []
        self.starts: list[int] = []
        self.restores: list[RestoreReport] = []
        self.checkpoints: list[CheckpointWritten | CheckpointFailed] = []

    def on_restore(self, restore: RestoreReport) -> None:
        self.restores.append(restore)

    def on_checkpoint(self, task: str, outcome: CheckpointWritten | CheckpointFailed) -> None:
        del task
        self.checkpoints.append(outcome)

    def on_step(self, step: str) -> None:
        self.steps.append(step)

    def on_start(self, rows: int) -> None:
        self.starts.append(rows)

    def on_commit(self, records: int, dead_letters: int) -> None:
        self.commits.append((records, dead_letters))

    def on_abort(self, error: Exception) -> None:
        self.aborts.append(error)

    def on_rotation(self, reason: str) -> None:
        self.rotations.append(reason)

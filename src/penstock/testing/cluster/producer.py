"""A transactional producer on a simulated cluster, as strict as librdkafka's: after an error it may only be closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeVar

from penstock.errors import PenstockError, TransactionAborted
from penstock.kafka.error_map import by_name, from_call, from_commit
from penstock.kafka.partitioner import partition_for
from penstock.protocols import GroupMetadata, RefusedRecord
from penstock.record import Headers
from penstock.testing.cluster.brokers import Seat
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.refusal import FENCED, RETRIED_BY_THE_CLIENT, NotAnswered, Refusal
from penstock.testing.cluster.transactions import seat_of

T = TypeVar("T")

Partition = tuple[str, int]
Call = Literal["init", "begin", "produce", "flush", "send_offsets", "commit"]

_DOUBTFUL_COMMIT_S: Final = 0.2
_DOUBTFUL_OFFSETS_S: Final = 0.4
_RETRY_PAUSE_S: Final = 0.02
_BACKGROUND_SENDS: Final = 0.3


class Queued(NamedTuple):
    """A record that was handed over and not sent yet."""

    partition: Partition
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int

    @property
    def size_bytes(self) -> int:
        """Of key and value."""
        return len(self.key or b"") + len(self.value or b"")


class SimulatedProducer:
    """`protocols.TransactionalProducer`.

    Args:
        cluster: where.
        process: whose.
        transactional_id: see there.
        transaction_timeout_ms: after this the coordinator aborts.
        max_batch_bytes: larger records are refused by the client.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        process: Process,
        transactional_id: str,
        transaction_timeout_ms: int,
        max_batch_bytes: int,
    ) -> None:
        self.name = transactional_id
        self.cluster = cluster
        self._seat = seat_of(transactional_id)
        self._process = process
        self._timeout_s = transaction_timeout_ms / 1000
        self._max_batch_bytes = max_batch_bytes
        self._id = (-1, -1)
        self._may: frozenset[Call] = frozenset({"init"})
        self._queue: list[Queued] = []
        self._sequence = 0
        self._added: set[Partition | str] = set()
        self._failure: str | None = None
        self._refused: list[RefusedRecord] = []
        self._doubt: str | None = None

    # ------------------------------------------------------------ the calls, in their order

    def init_transactions(self, timeout_s: float) -> None:
        """Fence predecessors with this id; returns once their transaction is resolved."""
        self._begin_call("init")
        self._id = self._asked(
            "init_transactions",
            "init",
            lambda: self.cluster.transactions.init(self.name, self._timeout_s),
            self._seat,
            timeout_s,
            may={"init"},
        )
        self._may = frozenset({"begin"})

    def begin_transaction(self) -> None:
        """Open a transaction; sends nothing."""
        self._begin_call("begin")
        self._added, self._failure, self._doubt = set(), None, None
        self._refused.clear()
        self._may = frozenset({"produce", "flush"})

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
        """Hand a batch over; some of it may be sent at once."""
        self._begin_call("produce")
        self._may = frozenset({"produce", "flush"})
        chosen = [-1] * len(keys) if partitions is None else partitions
        extra: Sequence[Headers] = [()] * len(keys) if headers is None else headers
        times = [0] * len(keys) if timestamps_ms is None else timestamps_ms
        now_ms = self.cluster.clock.now_ms()
        for key, value, number, header, time_ms in zip(keys, values, chosen, extra, times, strict=True):
            place = topic, number if number >= 0 else self._number(topic, key)
            queued = Queued(place, key, value, header, time_ms or now_ms)
            if queued.size_bytes > self._max_batch_bytes:
                self._refused.append(RefusedRecord(topic, key, value, "MSG_SIZE_TOO_LARGE"))
                self._may = frozenset()
                raise from_call(by_name("MSG_SIZE_TOO_LARGE"), f"produce to {topic} of '{self.name}'")
            self._queue.append(queued)
        if self.cluster.random.random() < _BACKGROUND_SENDS:
            self._send_some()

    def flush(self, timeout_s: float) -> None:
        """Return once every record handed over is acknowledged."""
        del timeout_s  # nothing here takes longer, but for what is planned
        self._begin_call("flush")
        while self._queue and self._failure is None:
            self._send(self._queue[0].partition)
        if self._failure is not None:
            told = f"flush of '{self.name}'"
            if self._failure in FENCED:
                raise from_call(by_name("_FENCED", is_fatal=True), told)
            raise TransactionAborted(f"{told}: record(s) not accepted, the first: {self._failure}")
        self._may = frozenset({"produce", "flush", "send_offsets", "commit"})

    def send_offsets(
        self, offsets: Mapping[Partition, tuple[int, str]], group: GroupMetadata, timeout_s: float
    ) -> None:
        """Make input positions part of the transaction."""
        self._begin_call("send_offsets")
        if not offsets:
            raise ValueError("a transaction without offsets would not be fenced; please report")
        began_s = self.cluster.clock.monotonic_s()
        producer_id, epoch = self._id
        name, coordinator = str(group.opaque), self.cluster.transactions
        doing = "send_offsets_to_transaction"
        try:
            self._asked(
                doing,
                "add offsets",
                lambda: coordinator.add_group(producer_id, epoch, name),
                self._seat,
                timeout_s,
                {"send_offsets"},
            )
            self._added.add(name)

            def stage() -> None:
                coordinator.verify(producer_id, epoch, name)
                self.cluster.check_member(name, group, offsets)
                self.cluster.groups.group(name).offsets.stage(producer_id, epoch, offsets)

            self._asked(doing, "commit offsets", stage, ("group", name), timeout_s, {"send_offsets"})
        finally:
            took_s = self.cluster.clock.monotonic_s() - began_s
            if took_s >= _DOUBTFUL_OFFSETS_S:
                self._doubt = f"send_offsets took {took_s * 1000:.0f} ms, long enough for its request to be sent twice"
        self._may = frozenset({"send_offsets", "commit"})

    def commit_transaction(self, timeout_s: float) -> None:
        """Commit; to be called after `flush`."""
        self._begin_call("commit")
        began_s = self.cluster.clock.monotonic_s()
        producer_id, epoch = self._id
        try:
            if self._added:
                self._end(producer_id, epoch, timeout_s)
        finally:
            took_s = self.cluster.clock.monotonic_s() - began_s
            if took_s >= _DOUBTFUL_COMMIT_S:
                self._doubt = f"commit took {took_s * 1000:.0f} ms, long enough for its request to be sent twice"
        self._may = frozenset({"begin"})

    def _end(self, producer_id: int, epoch: int, timeout_s: float) -> None:
        until_s = self.cluster.clock.monotonic_s() + timeout_s
        while True:
            left_s = max(0.0, until_s - self.cluster.clock.monotonic_s())
            try:
                self.cluster.network.send(
                    self._process,
                    "end",
                    lambda: self.cluster.transactions.end(producer_id, epoch, commit=True),
                    self._seat,
                    left_s,
                )
            except Refusal as refusal:
                if refusal.code not in RETRIED_BY_THE_CLIENT:
                    self._doubt = "commit was not answered at once, so its request is sent again"
                    code = "_FENCED" if refusal.code in FENCED else refusal.code
                    raise from_commit(by_name(code, is_fatal=True), self.name) from refusal
                self.cluster.clock.sleep(_RETRY_PAUSE_S)
            except NotAnswered as late:
                self._doubt = "commit was not answered at once, so its request is sent again"
                self._may = frozenset({"commit"})
                raise from_commit(by_name("_TIMED_OUT", is_retriable=True), self.name) from late
            else:
                return

    # ------------------------------------------------------------ beside them

    def refused(self) -> list[RefusedRecord]:
        """What the broker refused since `begin_transaction`."""
        return list(self._refused)

    def close(self) -> None:
        """Let go, without committing."""
        self._may = frozenset()
        self._queue.clear()

    def doubt(self) -> str | None:
        """Why a request may have been sent twice since the last `begin_transaction`; None = no sign of it."""
        self._process.check()
        return self._doubt

    # ------------------------------------------------------------ within

    def _begin_call(self, call: Call) -> None:
        """What is not allowed any more is a mistake of whoever calls, not an error of Kafka."""
        self._process.check()
        if call not in self._may:
            raise RuntimeError(
                f"{call} of '{self.name}' where {sorted(self._may) or 'nothing but close'} is allowed; please report"
            )
        self._may = frozenset()

    def _asked(
        self, doing: str, request: str, handle: Callable[[], T], seat: Seat, timeout_s: float, may: set[Call]
    ) -> T:
        """Send a request, and again where the client does so by itself; what is final is raised as the client does."""
        until_s = self.cluster.clock.monotonic_s() + timeout_s
        late: Exception | None = None
        while (left_s := until_s - self.cluster.clock.monotonic_s()) > 0:
            try:
                return self.cluster.network.send(self._process, request, handle, seat, left_s)
            except Refusal as refusal:
                if refusal.code not in RETRIED_BY_THE_CLIENT:
                    raise self._error(refusal, doing) from refusal
                late = refusal
                self.cluster.clock.sleep(_RETRY_PAUSE_S)
            except NotAnswered as not_answered:
                late = not_answered
        self._may = frozenset(may)
        raise from_call(by_name("_TIMED_OUT", is_retriable=True), f"{doing} of '{self.name}'") from late

    def _error(self, refusal: Refusal, doing: str) -> PenstockError:
        code = "_FENCED" if refusal.code in FENCED else refusal.code
        return from_call(by_name(code), f"{doing} of '{self.name}'")

    def _number(self, topic: str, key: bytes | None) -> int:
        count = len(self.cluster.topics[topic].partitions)
        return self.cluster.random.randrange(count) if key is None else partition_for(key, count)

    def _send_some(self) -> None:
        places = list(dict.fromkeys(queued.partition for queued in self._queue))
        for place in self.cluster.random.sample(places, self.cluster.random.randint(0, len(places))):
            if self._failure is None:
                self._send(place)

    def _send(self, place: Partition) -> None:
        """What is queued for one partition; a failure is told by `flush`."""
        batch = [queued for queued in self._queue if queued.partition == place]
        self._queue = [queued for queued in self._queue if queued.partition != place]
        try:
            self._announce(place)
            self._sequence += 1
            sequence = self._sequence
            self._patiently("produce", lambda: self._append(place, batch, sequence), place)
        except Refusal as refusal:
            self._failure = refusal.code
            if refusal.code in {"MSG_SIZE_TOO_LARGE", "INVALID_RECORD", "INVALID_TIMESTAMP"}:
                self._refused += [
                    RefusedRecord(place[0], q.key, q.value, refusal.code, is_certain=False) for q in batch
                ]

    def _announce(self, place: Partition) -> None:
        """The transaction is about to write there."""
        producer_id, epoch = self._id
        if place not in self._added:
            self._patiently(
                "add partitions",
                lambda: self.cluster.transactions.add_partition(producer_id, epoch, place),
                self._seat,
            )
            self._added.add(place)

    def _patiently(self, request: str, handle: Callable[[], None], seat: Seat) -> None:
        while True:
            try:
                self.cluster.network.send(self._process, request, handle, seat)
            except Refusal as refusal:
                if refusal.code not in RETRIED_BY_THE_CLIENT:
                    raise
                self.cluster.clock.sleep(_RETRY_PAUSE_S)
            except NotAnswered as late:
                raise Refusal("_MSG_TIMED_OUT") from late
            else:
                return

    def _append(self, place: Partition, batch: Sequence[Queued], sequence: int) -> None:
        producer_id, epoch = self._id
        log = self.cluster.partition(place)
        if not log.has_open(producer_id):
            # Only then does a leader ask: what comes between the decision and the marker is taken, and decided by it.
            first = log.expect(producer_id, epoch, sequence)
            self.cluster.transactions.verify(producer_id, epoch, place)
            if first < sequence:
                raise Refusal("OUT_OF_ORDER_SEQUENCE_NUMBER")
        if log.is_fenced(producer_id, epoch):
            raise Refusal("INVALID_PRODUCER_EPOCH")  # also where the transaction that is open is its successor's
        if log.has_batch(producer_id, epoch, sequence):
            return  # a request that was sent again
        self._check(place, batch)
        for queued in batch:
            log.append(
                queued.key,
                queued.value,
                queued.timestamp_ms,
                queued.headers,
                producer_id=producer_id,
                epoch=epoch,
            )
        log.note_batch(producer_id, epoch, sequence)

    def _check(self, place: Partition, batch: Sequence[Queued]) -> None:
        """What the topic's settings say about these records."""
        config = self.cluster.topics[place[0]].config
        most_bytes = int(config["max.message.bytes"])
        latest_ms = self.cluster.clock.now_ms() + int(config["message.timestamp.after.max.ms"])
        if max([queued.size_bytes for queued in batch]) > most_bytes:
            raise Refusal("MSG_SIZE_TOO_LARGE")
        if config["cleanup.policy"] == "compact" and None in [queued.key for queued in batch]:
            raise Refusal("INVALID_RECORD")
        if max([queued.timestamp_ms for queued in batch]) > latest_ms:
            raise Refusal("INVALID_TIMESTAMP")

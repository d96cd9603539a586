"""A consumer group and the ends of partitions, asked from outside and without waiting for the answers.

A worker asks these things while its other tasks go on: each call returns at once, and a thread waits where the client
would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # re-exported without __all__

from penstock.errors import KafkaUnavailable
from penstock.kafka.client import Connection, connected, let_go
from penstock.kafka.consumer import Committed
from penstock.kafka.error_map import from_call
from penstock.kafka.group_members import GroupMember, GroupMembers
from penstock.kafka.group_offsets import GroupOffsets
from penstock.kafka.listed_offsets import listed_offsets
from penstock.kafka.polled import Partition

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_REQUEST_TIMEOUT_S = 2.0
_ASK_AGAIN_S = 0.05


class Extent(NamedTuple):
    """Where a partition begins and ends: the two ends differ while a transaction is open in it."""

    begin: int
    last_stable: int
    high_watermark: int

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open in it, or its marker is being written."""
        return self.last_stable < self.high_watermark


class Answer(Protocol[T_co]):
    """What was asked for, sooner or later."""

    def get(self) -> T_co | None:
        """The answer; None while it has not come.

        Raises:
            KafkaUnavailable: there will be none; ask anew.
        """
        ...


class NotAnswered(KafkaUnavailable):
    """Asked, and not answered yet."""


class Asked(Generic[T]):
    """A question that is asked, and asked anew, until it is answered; for loops that may not wait.

    Args:
        ask: sends it.
        monotonic_s: the time, in seconds.
    """

    def __init__(self, ask: Callable[[], Answer[T]], monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic_s = monotonic_s
        self._answer: Answer[T] | None = None
        self._ask_at_s = 0.0

    def get(self) -> T:
        """The answer, once; the next call asks anew.

        Raises:
            KafkaUnavailable: not yet; call again.
        """
        if self._answer is None:
            if self._monotonic_s() < self._ask_at_s:
                raise NotAnswered("to be asked again in a moment")
            self._answer = self._ask()
        try:
            found = self._answer.get()
        except KafkaUnavailable:
            self._answer, self._ask_at_s = None, self._monotonic_s() + _ASK_AGAIN_S
            raise
        if found is None:
            raise NotAnswered("asked, and not answered yet")
        self._answer = None
        return found


class GroupView:
    """Asks about one group; clients are made with the first question.

    The admin client is made anew after each failure: one that lived through a change of leaders can keep giving
    `FENCED_LEADER_EPOCH` for seconds, or no answer at all.

    Args:
        connection: the cluster.
        group: its name.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, group: str, client_id: str) -> None:
        self._connection = connection
        self._group = group
        self._client_id = client_id
        self._client: AdminClient | None = None
        self._group_offsets = GroupOffsets(connection, group, client_id)
        self._group_members = GroupMembers(connection, client_id)
        self._thread: ThreadPoolExecutor | None = None

    def members(self) -> Answer[tuple[GroupMember, ...]]:
        """Who is in the group now; of the classic and of the newer protocol (KIP-848). A thread waits for it."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "penstock-members")
        return _Awaited(self._thread.submit(self._group_members.of, self._group, _REQUEST_TIMEOUT_S))

    def stable_offsets(self, partitions: Iterable[Partition]) -> Answer[dict[Partition, Committed]]:
        """The committed positions of these partitions (KIP-447); those without one are left out.

        The answer raises `UnstableOffsets` while a transaction holds some of them.
        """
        return _Awaited(self._group_offsets.ask(partitions, "read_committed"))

    def last_offsets(self, partitions: Iterable[Partition]) -> Answer[dict[Partition, Committed]]:
        """What was last committed for these partitions, whatever is pending behind it."""
        return _Awaited(self._group_offsets.ask(partitions, "read_uncommitted"))

    def extents(self, partitions: Sequence[Partition]) -> Answer[dict[Partition, Extent]]:
        """Where these partitions begin and end."""
        earliest: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        client = self._admin()  # one for all of it, which the answer holds: see there
        asked = [
            _list_offsets(client, partitions, earliest, IsolationLevel.READ_UNCOMMITTED),
            _list_offsets(client, partitions, latest, IsolationLevel.READ_COMMITTED),
            _list_offsets(client, partitions, latest, IsolationLevel.READ_UNCOMMITTED),
        ]

        def read(_: list[Any]) -> dict[Partition, Extent]:
            begins, stable, ends = map(listed_offsets, asked)
            return {place: Extent(begins[place], stable[place], ends[place]) for place in partitions}

        futures = [future for answers in asked for future in answers.values()]
        return _FutureAnswer(client, futures, read, "beginnings and ends of partitions", self._forget)

    def extent(self, partition: Partition) -> Answer[Extent]:
        """Where one partition begins and ends."""
        return _Of(self.extents([partition]), partition)

    def close(self) -> None:
        """Let go of the connections; answers that have not come never will."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._thread = None
        client, self._client = self._client, None
        let_go(client)
        self._group_members.close()
        self._group_offsets.close()

    def _admin(self) -> AdminClient:
        if self._client is None:
            own = self._connection.options({}, self._connection.admin, self._client_id)
            self._client = connected(AdminClient, own, self._client_id)
        return self._client

    def _forget(self, client: AdminClient) -> None:
        if self._client is client:
            self._client = None


def _list_offsets(
    client: AdminClient, partitions: Sequence[Partition], spec: Any, level: IsolationLevel
) -> dict[TopicPartition, Future[Any]]:
    asked = {TopicPartition(*partition): spec for partition in partitions}
    answers: Any = client.list_offsets(asked, isolation_level=level, request_timeout=_REQUEST_TIMEOUT_S)
    return dict(answers)


class _Awaited(Generic[T]):
    """An answer that a thread waits for."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def get(self) -> T | None:
        return self._future.result() if self._future.done() else None


class _FutureAnswer(Generic[T]):
    """Holds the client, too: a client that nobody refers to is destroyed, and its answers never come."""

    def __init__(
        self,
        client: AdminClient,
        futures: Sequence[Future[Any]],
        read: Callable[[list[Any]], T],
        doing: str,
        on_failure: Callable[[AdminClient], None],
    ) -> None:
        self._client = client
        self._futures = futures
        self._read = read
        self._doing = doing
        self._on_failure = on_failure

    def get(self) -> T | None:
        if not all(future.done() for future in self._futures):
            return None
        # Not raised by the futures that hold them: the traceback would lead back here, and a client in a circle is
        # destroyed whenever garbage is looked for; by its own thread perhaps, which an assertion ends the process for.
        failed = next(filter(None, (future.exception() for future in self._futures)), None)
        if failed is not None:
            self._on_failure(self._client)
            raise from_call(failed, self._doing) if isinstance(failed, KafkaException) else failed
        try:
            return self._read([future.result() for future in self._futures])
        except KafkaException as exc:
            self._on_failure(self._client)
            raise from_call(exc, self._doing) from exc


class _Of(Generic[T]):
    """One entry of an answer."""

    def __init__(self, answer: Answer[dict[Partition, T]], partition: Partition) -> None:
        self._answer = answer
        self._partition = partition

    def get(self) -> T | None:
        found = self._answer.get()
        return None if found is None else found[self._partition]

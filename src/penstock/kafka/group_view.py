"""A consumer group and the ends of partitions, asked from outside and without waiting for the answers.

A worker asks these things while its other tasks go on: each call returns at once, and a thread waits where the client
would.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from penstock.errors import KafkaUnavailable
from penstock.kafka.client import Connection
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent, Extents
from penstock.kafka.group_members import GroupMember, GroupMembers
from penstock.kafka.group_offsets import GroupOffsets
from penstock.kafka.polled import Partition

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_REQUEST_TIMEOUT_S = 2.0
_ASK_AGAIN_S = 0.05


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

    Args:
        connection: the cluster.
        group: its name.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, group: str, client_id: str) -> None:
        self._group = group
        self._extents = Extents(connection, client_id)
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
        return _Awaited(self._extents.ask(partitions))

    def extent(self, partition: Partition) -> Answer[Extent]:
        """Where one partition begins and ends."""
        return _Of(self.extents([partition]), partition)

    def close(self) -> None:
        """Let go of the connections; answers that have not come never will."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._thread = None
        self._extents.close()
        self._group_members.close()
        self._group_offsets.close()


class _Awaited(Generic[T]):
    """An answer that a thread waits for."""

    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def get(self) -> T | None:
        return self._future.result() if self._future.done() else None


class _Of(Generic[T]):
    """One entry of an answer."""

    def __init__(self, answer: Answer[dict[Partition, T]], partition: Partition) -> None:
        self._answer = answer
        self._partition = partition

    def get(self) -> T | None:
        found = self._answer.get()
        return None if found is None else found[self._partition]

"""Where partitions begin and end, asked for by a thread that waits, so that whoever asks need not.

One request at a time: `list_offsets` looks for leaders in the caller's thread, and if what another request's search
has found comes in at the wrong moment, the process ends by SIGSEGV (librdkafka 2.16). So what is asked meanwhile goes
into the next request, together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined] # re-exported without __all__

from penstock.errors import KafkaUnavailable, PenstockError
from penstock.kafka.client import Connection
from penstock.kafka.error_map import from_call
from penstock.kafka.polled import Partition
from penstock.kafka.renewed_admin import RenewedAdmin

_REQUEST_TIMEOUT_S: Final = 2.0
_DOING: Final = "where partitions begin and end"


class Extent(NamedTuple):
    """Where a partition begins and ends: the two ends differ while a transaction is open in it."""

    begin: int
    last_stable: int
    high_watermark: int

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open in it, or its marker is being written."""
        return self.last_stable < self.high_watermark


class _Question(NamedTuple):
    partitions: tuple[Partition, ...]
    answer: Future[dict[Partition, Extent]]


class Extents:
    """See the module's text.

    Args:
        connection: the cluster.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, client_id: str) -> None:
        self._admin = RenewedAdmin(connection, client_id)
        self._thread: ThreadPoolExecutor | None = None
        self._questions: deque[_Question] = deque()
        self._is_closed = False

    def ask(self, partitions: Iterable[Partition]) -> Future[dict[Partition, Extent]]:
        """Of each of these. The future raises what `error_map` says, for the first of them that is not known."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "penstock-extents")
        answer: Future[dict[Partition, Extent]] = Future()
        self._questions.append(_Question(tuple(partitions), answer))
        self._thread.submit(self._answer_all)
        return answer

    def close(self) -> None:
        """Let the thread end, which takes a moment, and let go of the connections; open questions stay open."""
        self._is_closed = True
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._thread = None
        self._admin.forget()

    def _answer_all(self) -> None:
        """All that was asked up to now; the calls for what is answered with it find nothing left."""
        questions = [self._questions.popleft() for _ in range(len(self._questions))]
        try:
            found, failed = self._look({place for question in questions for place in question.partitions})
        except Exception as exc:  # noqa: BLE001 - whoever asked is to hear of it, whatever it is
            for question in questions:
                question.answer.set_exception(exc)
            return
        for partitions, answer in questions:
            missing = next((place for place in partitions if place not in found), None)
            if missing is None:
                answer.set_result({place: found[place] for place in partitions})
            else:
                answer.set_exception(failed[missing])

    def _look(self, places: Collection[Partition]) -> tuple[dict[Partition, Extent], dict[Partition, PenstockError]]:
        earliest: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        failed: dict[Partition, PenstockError] = {}
        # The last stable offset last: it may then be behind an end that is asked for first, which is mended, but what
        # came in between is never taken for what an open transaction holds back.
        begins = self._listed(places, earliest, IsolationLevel.READ_UNCOMMITTED, failed)
        ends = self._listed(begins, latest, IsolationLevel.READ_UNCOMMITTED, failed)
        stable = self._listed(ends, latest, IsolationLevel.READ_COMMITTED, failed)
        if failed:
            self._admin.forget()
        return {place: Extent(begins[place], last, max(last, ends[place])) for place, last in stable.items()}, failed

    def _listed(
        self, places: Iterable[Partition], spec: Any, level: IsolationLevel, failed: dict[Partition, PenstockError]
    ) -> dict[Partition, int]:
        asked = {TopicPartition(*place): spec for place in places}
        found: dict[Partition, int] = {}
        if not asked or self._is_closed:
            failed.update({(tp.topic, tp.partition): KafkaUnavailable(f"{_DOING}: closed") for tp in asked})
            return found
        client: Any = self._admin.client()
        answers = client.list_offsets(asked, isolation_level=level, request_timeout=_REQUEST_TIMEOUT_S)
        wait(answers.values(), 2 * _REQUEST_TIMEOUT_S)
        for tp, future in answers.items():
            place, doing = (tp.topic, tp.partition), f"{_DOING}: {tp.topic}[{tp.partition}]"
            failure = future.exception() if future.done() else None
            if isinstance(failure, KafkaException):
                failed[place] = from_call(failure, doing)
            elif failure is not None:
                raise failure
            elif not future.done() or future.result().offset < 0:  # of a dead leader: see listed_offsets.py
                failed[place] = KafkaUnavailable(f"{doing}: no answer in time")
            else:
                found[place] = future.result().offset
        return found

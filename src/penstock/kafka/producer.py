"""An idempotent producer handle: batches in, errors in our families, refused records by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from penstock.errors import ConfigurationError, Fenced, PenstockError, TransactionAborted
from penstock.kafka.client import LOGGER, Connection, Option, connected, log_error
from penstock.kafka.error_map import describe, from_call, kafka_error
from penstock.protocols import RefusedRecord
from penstock.record import Headers

RETRY_BACKOFF_MS = 250
_MAX_FAILURES_KEPT = 100

_OWN_FAULT = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_MSG}

DEFAULTS: dict[str, Option] = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",  # Java's choice; librdkafka's own default is CRC32
    "retry.backoff.ms": RETRY_BACKOFF_MS,
    "delivery.report.only.error": True,
    "linger.ms": 20,  # flush does not wait for it
    "batch.size": 524_288,
    "compression.type": "lz4",
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 65_536,
}


class IdempotentProducer:
    """A handle whose own retries make no duplicates (KIP-98). Used by one thread.

    Args:
        connection: the cluster.
        name: its `client.id`, for messages too.
        options: further librdkafka options, under the configuration's.
        records_have_timestamps: they are written with times of their own, so that a time which is refused is a record's
            fault. Where records are stamped with the time of now, it is the clock's, and all of them would be refused.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        options: Mapping[str, Option] | None = None,
        *,
        records_have_timestamps: bool = False,
    ) -> None:
        self.name = name
        self._own_fault = _OWN_FAULT | ({KafkaError.INVALID_TIMESTAMP} if records_have_timestamps else set())
        self._failed = 0
        self._first_failure: tuple[str, KafkaError] | None = None
        self._refused: list[RefusedRecord] = []
        own = {**DEFAULTS, **(options or {})}
        wanted = {
            **connection.options(own, connection.producer, client_id=name),
            "error_cb": self._on_error,
            "on_delivery": self._on_delivery_failed,
            "logger": LOGGER,
        }
        self._producer = connected(Producer, wanted, name)

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
        """Hand a batch over, parallel lists; a full local queue is waited out.

        Partition -1, or no list, = by key as Java does; timestamp 0, or no list, = now.

        Raises:
            Fenced: a newer producer holds the id.
            TransactionAborted: the client refused a record; `refused` says which.
        """
        produce = self._producer.produce
        chosen: Sequence[int] = partitions if partitions is not None else [-1] * len(keys)
        times: Sequence[int] = timestamps_ms if timestamps_ms is not None else [0] * len(keys)
        if headers is not None:
            for key, value, partition, time_ms, header in zip(keys, values, chosen, times, headers, strict=True):
                self._one(topic, value, key, partition, time_ms, list(header))
            return
        for key, value, partition, time_ms in zip(keys, values, chosen, times, strict=True):
            try:
                produce(topic, value, key, partition, None, None, time_ms)  # keywords would cost half as much again
            except (BufferError, KafkaException):
                self._one(topic, value, key, partition, time_ms, None)
        self._serve(0)

    def _one(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        time_ms: int,
        headers: list[tuple[str, bytes | None]] | None,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, timestamp=time_ms, headers=headers)  # type: ignore[arg-type]
            except BufferError:
                self._serve(0.005)  # the queue is full: let the background threads send
            except KafkaException as exc:
                error = kafka_error(exc)
                if error is not None and error.code() in self._own_fault:
                    self._refuse(RefusedRecord(topic, key, value, self._reason(error)))
                raise self._fatal(exc, f"produce to {topic}") from exc
            else:
                return

    def flush(self, timeout_s: float) -> None:
        """Return once every record handed over is acknowledged.

        Raises:
            TransactionAborted: a record was refused or not acknowledged in time; `refused` says which.
            Fenced: a newer producer holds the id.
            ConfigurationError: no such topic, no right to it, or a clock that the topic does not accept.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                left = self._producer.flush(0.1)  # in slices, so that signals are served
            except Exception as exc:  # the binding raises SystemError for a fatal error
                raise self._fatal(exc, "flush") from exc
            if self._first_failure is not None:
                raise self._not_accepted(*self._first_failure)
            if left == 0:
                return
            if time.monotonic() > deadline:
                raise TransactionAborted(
                    f"flush of '{self.name}': {left} records not acknowledged within {timeout_s:.0f} s"
                )

    def forget_failures(self) -> None:
        """Begin to count anew."""
        self._failed = 0
        self._first_failure = None
        self._refused.clear()

    def refused(self) -> list[RefusedRecord]:
        """What the broker refused for its own sake since failures were forgotten last."""
        return list(self._refused)

    def close(self) -> None:
        """Purge what is queued and let go of the handle, whatever is in it; a second call does nothing."""
        # The handle holds our callbacks, and we hold it: its threads and sockets would stay until the garbage collector
        # comes by, which in a worker is seldom, and each discarded transaction would leave one behind.
        producer = vars(self).pop("_producer", None)
        if producer is None:
            return
        try:
            producer.purge(in_queue=True, in_flight=True, blocking=True)
            producer.poll(0)
        except Exception as exc:  # noqa: BLE001 - the handle is dropped whatever it says; a fenced one raises here
            LOGGER.debug("closing '%s': %s", self.name, type(exc).__name__)

    def _call(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as exc:
            raise from_call(exc, f"{name} of '{self.name}'") from exc

    def _serve(self, timeout_s: float) -> None:
        """Run callbacks; the client raises a fatal error here and nowhere else."""
        try:
            self._producer.poll(timeout_s)
        except Exception as exc:
            raise self._fatal(exc, "poll") from exc

    def _fatal(self, exc: Exception, doing: str) -> PenstockError:
        """Name an error: after a `SystemError` or a bare `_FATAL` the next `poll` says which one it was, at times."""
        error = kafka_error(exc)
        if error is None or error.code() == KafkaError._FATAL:
            try:
                self._producer.poll(0)
            except Exception as second:  # noqa: BLE001 - whatever it is, it is what we were looking for
                exc = second
        return from_call(exc, f"{doing} of '{self.name}'")

    def _on_error(self, error: KafkaError) -> None:
        log_error(error)

    def _on_delivery_failed(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        if self._first_failure is None:
            self._first_failure = message.topic() or "", error
        self._failed += 1
        if error.code() in self._own_fault:
            # Seen on 4.3.1: one code for all records of a batch, whichever of them is meant.
            self._refuse(
                RefusedRecord(
                    message.topic() or "", message.key(), message.value(), self._reason(error), is_certain=False
                )
            )

    def _reason(self, error: KafkaError) -> str:
        if error.code() == KafkaError.INVALID_TIMESTAMP and error.code() in self._own_fault:
            return "INVALID_TIMESTAMP: the topic refuses the record's time; see its message.timestamp.* settings"
        return describe(error)

    def _refuse(self, record: RefusedRecord) -> None:
        if len(self._refused) < _MAX_FAILURES_KEPT:
            self._refused.append(record)

    def _not_accepted(self, topic: str, error: KafkaError) -> PenstockError:
        """What a failed delivery means: where trying again cannot help it is said at once."""
        told = (
            f"flush of '{self.name}': {self._failed} record(s) not accepted, the first: {topic}: {self._reason(error)}"
        )
        if error.code() in self._own_fault:
            return TransactionAborted(told)
        family = type(from_call(KafkaException(error), ""))
        return family(told) if issubclass(family, ConfigurationError | Fenced) else TransactionAborted(told)

"""One partition as a shared log: append and know the offset, outside of any transaction."""

from __future__ import annotations

import time

from confluent_kafka import KafkaException, Message, Producer

from penstock.errors import ConfigurationError, KafkaUnavailable, OutcomeUnknown, PenstockError
from penstock.kafka.client import Connection, Option
from penstock.kafka.error_map import from_call
from penstock.record import Headers

_RESULT_MARGIN_S = 5.0  # behind the client's own time-out, which should speak first


class RecordTooLarge(ConfigurationError):
    """The record is larger than the client or the topic (`max.message.bytes`) takes; nothing was appended."""


class Appender:
    """Appends to one partition, one record at a time, each acknowledged by all in-sync replicas.

    Not transactional, so no markers stand in the log and its last record is at `end - 1`. Idempotent, so a request that
    is sent again does not append twice. For one thread at a time.

    Args:
        connection: the cluster.
        topic: the topic.
        partition: the partition.
        client_id: names this appender in the brokers' logs.
        timeout_s: how long one record may take.
        max_record_bytes: the largest record.
    """

    def __init__(
        self,
        connection: Connection,
        topic: str,
        partition: int,
        *,
        client_id: str,
        timeout_s: float,
        max_record_bytes: int,
    ) -> None:
        self._topic, self._partition, self._timeout_s = topic, partition, timeout_s
        own: dict[str, Option] = {
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 0,
            "message.timeout.ms": round(timeout_s * 1000),
            "message.max.bytes": max_record_bytes,
        }
        self._producer = Producer(connection.options(own, connection.producer, client_id))

    def append(self, key: bytes, value: bytes | None, headers: Headers = ()) -> int:
        """Append one record; returns its offset once it is acknowledged.

        Raises:
            OutcomeUnknown: not acknowledged in time; it may stand in the log, or come to stand there later. Read the
                log, and close this appender.
            RecordTooLarge: nothing was appended.
            ConfigurationError: no right to the topic, or there is none.
        """
        offsets: list[int] = []
        errors: list[PenstockError] = []

        def delivered(error: object, message: Message) -> None:
            if error is None:
                offsets.append(_offset(message))
            else:
                errors.append(self._failure(KafkaException(error)))

        try:
            self._producer.produce(
                self._topic, value, key, self._partition, on_delivery=delivered, headers=list(headers)
            )
            deadline = time.monotonic() + self._timeout_s + _RESULT_MARGIN_S
            while not offsets and not errors and time.monotonic() < deadline:
                self._producer.poll(0.1)
        except KafkaException as exc:  # refused before it was sent, or a fatal error of the idempotent producer
            raise self._failure(exc) from exc
        if errors:
            raise errors[0]
        if not offsets:
            raise OutcomeUnknown(f"{self._where()}: no word of the record within {self._timeout_s:.0f} s")
        return offsets[0]

    def _failure(self, exc: KafkaException) -> PenstockError:
        error = from_call(exc, f"appending to {self._where()}")
        if "MSG_SIZE_TOO_LARGE" in str(error):
            return RecordTooLarge(f"{self._where()}: the record is larger than the topic's max.message.bytes")
        if isinstance(error, ConfigurationError):
            return error
        # Time-outs and lost connections: the request may have arrived, or be on its way still.
        return OutcomeUnknown(str(error))

    def _where(self) -> str:
        return f"{self._topic}[{self._partition}]"

    def close(self) -> None:
        """Let go; what was not acknowledged may or may not arrive."""
        self._producer.purge()
        self._producer.flush(0.1)


def _offset(message: Message) -> int:
    offset = message.offset()
    if offset is None or offset < 0:
        raise KafkaUnavailable("a delivery report without an offset")  # acks=all always brings one
    return offset

"""Deleting records from the front of partitions, without waiting for it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition

from penstock.kafka.client import Connection
from penstock.kafka.error_map import describe, kafka_error
from penstock.kafka.renewed_admin import RenewedAdmin

_TIMEOUT_S: Final = 10.0

Partition = tuple[str, int]


class RecordDeletion:
    """A call under way."""

    def __init__(self, futures: Mapping[Partition, Future[Any]]) -> None:
        self._futures = futures

    def outcome(self) -> dict[Partition, str | None] | None:
        """{partition: what went wrong, None = nothing}; None while it is under way, `_TIMEOUT_S` at most."""
        if not all(future.done() for future in self._futures.values()):
            return None
        return {partition: _error(future) for partition, future in self._futures.items()}


class RecordDeleter:
    """Deletes records; its client is made at the first call, and anew behind one that has failed.

    Args:
        connection: the cluster.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, client_id: str) -> None:
        self._admin = RenewedAdmin(connection, client_id)
        self._last: RecordDeletion | None = None

    def delete(self, before: Mapping[Partition, int]) -> RecordDeletion:
        """Begin to delete everything below these offsets, one or several; returns at once."""
        if self._has_failed():
            self._admin.forget()
        asked = [TopicPartition(topic, partition, offset) for (topic, partition), offset in before.items()]
        client: Any = self._admin.client()
        answers = client.delete_records(asked, request_timeout=_TIMEOUT_S, operation_timeout=_TIMEOUT_S)
        self._last = RecordDeletion({(tp.topic, tp.partition): future for tp, future in answers.items()})
        return self._last

    def _has_failed(self) -> bool:
        outcome = self._last.outcome() if self._last is not None else {}
        return outcome is None or any(outcome.values())


def _error(future: Future[Any]) -> str | None:
    exc = future.exception()
    if exc is None:
        return None
    error = kafka_error(exc) if isinstance(exc, KafkaException) else None
    return describe(error) if error is not None else type(exc).__name__

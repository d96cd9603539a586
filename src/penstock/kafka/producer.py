"""A transactional producer handle: one `transactional.id`, errors in our families, signs of requests sent twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from penstock.errors import TransactionAborted
from penstock.kafka.client import LOGGER, Connection, Option, log_error
from penstock.kafka.error_map import describe, from_call, from_commit
from penstock.protocols import RefusedRecord
from penstock.record import Headers

RETRY_BACKOFF_MS = 250
_SUSPECT_COMMIT_S = 0.8 * RETRY_BACKOFF_MS / 1000
_MAX_FAILURES_KEPT = 100

# Lost connections and time-outs are what makes librdkafka send a request again.
_RESENT = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT_QUEUE}

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


_OWN_FAULT = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.INVALID_MSG,
}


class KafkaTransactionalProducer:
    """`protocols.TransactionalProducer` on confluent-kafka, for one thread; dropped after any error but `Retriable`.

    Args:
        connection: the cluster.
        transactional_id: stable over restarts, so that a restart aborts what its predecessor left open.
        transaction_timeout_ms: after this the coordinator aborts on its own.
        max_batch_bytes: the smallest `max.message.bytes` of the topics written to: it holds for whole batches.
    """

    def __init__(
        self, connection: Connection, transactional_id: str, transaction_timeout_ms: int, max_batch_bytes: int
    ) -> None:
        self.transactional_id = transactional_id
        self._suspect: str | None = None
        self._failed = 0
        self._first_failure = ""
        self._refused: list[RefusedRecord] = []
        # librdkafka refuses message.timeout.ms and socket.timeout.ms above the transaction's time-out.
        own = {
            **DEFAULTS,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": transaction_timeout_ms,
            "batch.size": min(int(DEFAULTS["batch.size"]), max_batch_bytes),
            "message.timeout.ms": transaction_timeout_ms,
            "socket.timeout.ms": min(60_000, transaction_timeout_ms),
        }
        options = connection.options(own, connection.producer, client_id=transactional_id)
        self._producer = Producer(
            {**options, "error_cb": self._on_error, "on_delivery": self._on_delivery_failed, "logger": LOGGER}
        )

    @property
    def suspect(self) -> str | None:
        """Why a request may have been sent twice since the last `begin_transaction`; None = no sign of it."""
        return self._suspect

    def init_transactions(self, timeout_s: float) -> None:
        """Fence predecessors with this id; returns once their transaction is resolved.

        Raises:
            KafkaUnavailable: the coordinator is loading or moving; call again.
            ConfigurationError: rights, transaction time-out.
        """
        self._call("init_transactions", lambda: self._producer.init_transactions(timeout_s))

    def begin_transaction(self) -> None:
        """Open a transaction; sends nothing."""
        self._suspect = None
        self._failed = 0
        self._refused.clear()
        self._call("begin_transaction", self._producer.begin_transaction)

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        *,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Hand a batch over, parallel lists; a full local queue is waited out.

        Raises:
            Fenced: a newer producer holds the id.
            TransactionAborted: the client refused a record; `refused` says which.
        """
        produce = self._producer.produce
        chosen: Sequence[int] = partitions if partitions is not None else [-1] * len(keys)
        if headers is not None:
            for key, value, partition, header in zip(keys, values, chosen, headers, strict=True):
                self._one(topic, value, key, partition, list(header))
            return
        for key, value, partition in zip(keys, values, chosen, strict=True):
            try:
                produce(topic, value, key, partition)  # positional: keywords cost half as much again
            except (BufferError, KafkaException):
                self._one(topic, value, key, partition, None)
        self._serve(0)

    def _one(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        partition: int,
        headers: list[tuple[str, bytes | None]] | None,
    ) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, headers=headers)  # type: ignore[arg-type]
            except BufferError:
                self._serve(0.005)  # the queue is full: let the background threads send
            except KafkaException as exc:
                raise from_call(exc, f"produce to {topic} in '{self.transactional_id}'") from exc
            else:
                return

    def flush(self, timeout_s: float) -> None:
        """Return once every record handed over is acknowledged.

        Raises:
            TransactionAborted: a record was refused or not acknowledged in time; `refused` says which.
            Fenced: a newer producer holds the id.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                left = self._producer.flush(0.1)  # in slices, so that signals are served
            except Exception as exc:  # the binding raises SystemError for a fatal error
                raise self._fatal(exc, "flush") from exc
            if self._failed:
                raise TransactionAborted(
                    f"flush of '{self.transactional_id}': {self._failed} record(s) not accepted, "
                    f"the first: {self._first_failure}"
                )
            if left == 0:
                return
            if time.monotonic() > deadline:
                raise TransactionAborted(
                    f"flush of '{self.transactional_id}': {left} records not acknowledged within {timeout_s:.0f} s"
                )

    def commit_transaction(self, timeout_s: float) -> None:
        """Commit; to be called after `flush`, so that its duration tells about its own request only.

        Raises:
            KafkaUnavailable: in progress; call this again, and nothing else.
            OutcomeUnknown: ask the log.
            Fenced: a newer producer holds the id; the outcome is unknown as well.
        """
        started = time.monotonic()
        try:
            self._producer.commit_transaction(timeout_s)
        except Exception as exc:
            raise from_commit(exc, self.transactional_id) from exc
        finally:
            took_s = time.monotonic() - started
            if took_s >= _SUSPECT_COMMIT_S:
                self._suspect = f"commit took {took_s * 1000:.0f} ms, long enough for its request to be sent twice"
            self._serve_quietly()

    def refused(self) -> list[RefusedRecord]:
        """What the broker refused for its own sake since `begin_transaction`, after `flush` has raised."""
        return list(self._refused)

    def close(self) -> None:
        """Purge what is queued and let go of the handle, without committing or aborting."""
        try:
            self._producer.purge(in_queue=True, in_flight=True, blocking=True)
            self._producer.poll(0)
        except Exception as exc:  # noqa: BLE001 - the handle is dropped whatever it says; a fenced one raises here
            LOGGER.debug("closing '%s': %s", self.transactional_id, type(exc).__name__)

    def _call(self, name: str, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as exc:
            raise from_call(exc, f"{name} of '{self.transactional_id}'") from exc

    def _serve(self, timeout_s: float) -> None:
        """Run callbacks; the client raises a fatal error here and nowhere else."""
        try:
            self._producer.poll(timeout_s)
        except Exception as exc:
            raise self._fatal(exc, "poll") from exc

    def _serve_quietly(self) -> None:
        try:
            self._producer.poll(0)
        except Exception as exc:  # noqa: BLE001 - commit has its answer; a fatal error shows at the next call
            LOGGER.debug("poll of '%s': %s", self.transactional_id, type(exc).__name__)

    def _fatal(self, exc: Exception, doing: str) -> Exception:
        """Name a fatal error: after a `SystemError` the next `poll` says which one it was, at times."""
        if not isinstance(exc, KafkaException):
            try:
                self._producer.poll(0)
            except Exception as second:  # noqa: BLE001 - whatever it is, it is what we were looking for
                exc = second
        return from_call(exc, f"{doing} of '{self.transactional_id}'")

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _RESENT:
            self._suspect = f"{error.name()} reported during the transaction"
        log_error(error)

    def _on_delivery_failed(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        if not self._failed:
            self._first_failure = f"{message.topic()}: {describe(error)}"
        self._failed += 1
        if error.code() in _OWN_FAULT and len(self._refused) < _MAX_FAILURES_KEPT:
            self._refused.append(RefusedRecord(message.topic() or "", message.key(), message.value(), describe(error)))

"""A transactional producer handle: one `transactional.id`, and the signs of a request that was sent twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Event, Thread

from confluent_kafka import KafkaError, TopicPartition

from penstock.errors import TransactionAborted
from penstock.kafka.client import LOGGER, SOCKET_TIMEOUT_MS, Connection
from penstock.kafka.error_map import from_commit
from penstock.kafka.producer import DEFAULTS, RETRY_BACKOFF_MS, IdempotentProducer
from penstock.protocols import GroupMetadata

_DOUBTFUL_COMMIT_S = 0.8 * RETRY_BACKOFF_MS / 1000
_DOUBTFUL_OFFSETS_S = 0.4  # its resend waits 500 ms
_OFFSETS_PATIENCE_S = 2 * SOCKET_TIMEOUT_MS / 1000
_MARGIN_S = 1.0

# Lost connections and time-outs are what makes librdkafka send a request again.
_RESENT = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT_QUEUE}


class KafkaTransactionalProducer(IdempotentProducer):
    """`protocols.TransactionalProducer` on confluent-kafka; dropped after any error but `Retriable`.

    Args:
        connection: the cluster.
        transactional_id: stable over restarts, so that a restart aborts what its predecessor left open.
        transaction_timeout_ms: after this the coordinator aborts on its own.
        max_batch_bytes: the smallest `max.message.bytes` of the topics written to: it holds for whole batches.
        records_have_timestamps: see `IdempotentProducer`.
    """

    def __init__(
        self,
        connection: Connection,
        transactional_id: str,
        transaction_timeout_ms: int,
        max_batch_bytes: int,
        *,
        records_have_timestamps: bool = False,
    ) -> None:
        self._doubt: str | None = None
        super().__init__(
            connection,
            transactional_id,
            {
                "transactional.id": transactional_id,
                "transaction.timeout.ms": transaction_timeout_ms,
                "batch.size": min(int(DEFAULTS["batch.size"]), max_batch_bytes),
                # librdkafka refuses both of these above the transaction's time-out.
                "message.timeout.ms": transaction_timeout_ms,
                "socket.timeout.ms": min(SOCKET_TIMEOUT_MS, transaction_timeout_ms),
            },
            records_have_timestamps=records_have_timestamps,
        )

    def doubt(self) -> str | None:
        """Why a request may have been sent twice since the last `begin_transaction`; None = no sign of it.

        Raises:
            Fenced: a newer producer holds the id.
        """
        self._serve(0)
        return self._doubt

    def init_transactions(self, timeout_s: float) -> None:
        """Fence predecessors with this id; returns once their transaction is resolved.

        Raises:
            KafkaUnavailable: the coordinator is loading or moving; call again.
            ConfigurationError: rights, transaction time-out.
        """
        self._call("init_transactions", lambda: self._producer.init_transactions(timeout_s))

    def begin_transaction(self) -> None:
        """Open a transaction; sends nothing."""
        self._doubt = None
        self.forget_failures()
        self._call("begin_transaction", self._producer.begin_transaction)

    def send_offsets(
        self, offsets: Mapping[tuple[str, int], tuple[int, str]], group: GroupMetadata, timeout_s: float
    ) -> None:
        """Make input positions part of the transaction (KIP-447).

        Args:
            offsets: {partition: (next offset, metadata)}; never empty, since an empty list does not reach the
                coordinator and so would not be fenced.
            group: our membership, read right before.
            timeout_s: for this call.

        Raises:
            KafkaUnavailable: the coordinator moves; the same call again, with the same arguments.
            TransactionAborted: the group has moved on without us, or the client does not come back: discard. Not a
                crash.
            Fenced: a newer producer holds the id.
        """
        if not offsets:
            raise ValueError("a transaction without offsets would not be fenced; please report")
        positions = [
            TopicPartition(topic, partition, next_offset, metadata=metadata)
            for (topic, partition), (next_offset, metadata) in offsets.items()
        ]
        patience_s = min(timeout_s, _OFFSETS_PATIENCE_S)
        started = time.monotonic()
        try:
            self._call_apart(
                "send_offsets_to_transaction",
                lambda: self._producer.send_offsets_to_transaction(positions, group.opaque, patience_s),
                patience_s + _MARGIN_S,
            )
        finally:
            took_s = time.monotonic() - started
            if took_s >= _DOUBTFUL_OFFSETS_S:
                self._doubt = f"send_offsets took {took_s * 1000:.0f} ms, long enough for its request to be sent twice"

    def _call_apart(self, name: str, call: Callable[[], None], timeout_s: float) -> None:
        """Make a call that may never return; the thread that makes it is then left behind, with its handle.

        The client asks for the group's coordinator with a time-out that nobody looks at (librdkafka#5456; seen with
        2.16: a worker stood for more than a minute, beyond the budget of its transaction and deaf to signals). Nothing
        else is done meanwhile, so there is one thread at work all the same.
        """
        failed: list[Exception] = []
        done = Event()

        def run() -> None:
            try:
                self._call(name, call)
            except Exception as exc:  # noqa: BLE001 - raised by the thread that waits
                failed.append(exc)
            finally:
                done.set()

        Thread(target=run, name=name, daemon=True).start()
        if not done.wait(timeout_s):
            raise TransactionAborted(f"{name} of '{self.name}' has not come back in {timeout_s:.0f} s; a new handle")
        if failed:
            raise failed[0]

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
            self._doubt = "commit was not answered at once, so its request is sent again"
            raise from_commit(exc, self.name) from exc
        finally:
            took_s = time.monotonic() - started
            if took_s >= _DOUBTFUL_COMMIT_S:
                self._doubt = f"commit took {took_s * 1000:.0f} ms, long enough for its request to be sent twice"
            self._serve_quietly()

    def _serve_quietly(self) -> None:
        try:
            self._producer.poll(0)
        except Exception as exc:  # noqa: BLE001 - commit has its answer; a fatal error shows at the next call
            LOGGER.debug("poll of '%s': %s", self.name, type(exc).__name__)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _RESENT:
            self._doubt = f"{error.name()} reported during the transaction"
        super()._on_error(error)

"""At least once behind the seam of a transaction: what was staged is acknowledged, then the group's offsets move.

There is no transaction: records are visible as soon as the broker has them, and stay visible when the work is done
again. A failure between the two steps of a commit makes duplicates and loses nothing, since offsets never move before
`flush` has returned. For the same reason nobody waits for the answer to the offsets: one that is lost, late or refused
costs duplicates. `begin`, `doubt` and the commit itself have nothing to do here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from confluent_kafka import KafkaError

from penstock.errors import Fenced, PenstockError, TransactionAborted
from penstock.kafka.client import Connection
from penstock.kafka.producer import DEFAULTS, IdempotentProducer
from penstock.protocols import GroupMetadata

Offsets = Mapping[tuple[str, int], tuple[int, str]]

_LINGER_MS = 2
"""Who gives up transactions for the sake of latency does not want to wait for fuller batches either."""


class AcknowledgedProducer(IdempotentProducer):
    """`protocols.TransactionalProducer` without transactions; dropped after any error but `Retriable`.

    Args:
        connection: the cluster.
        name: its `client.id`.
        delivery_timeout_ms: a record that is not acknowledged by then has failed.
        max_batch_bytes: the smallest `max.message.bytes` of the topics written to.
        commit_offsets: has the group's offsets committed.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        delivery_timeout_ms: int,
        max_batch_bytes: int,
        commit_offsets: Callable[[Offsets], None],
    ) -> None:
        self._commit_offsets = commit_offsets
        super().__init__(
            connection,
            name,
            {
                "linger.ms": _LINGER_MS,
                "batch.size": min(int(DEFAULTS["batch.size"]), max_batch_bytes),
                "message.timeout.ms": delivery_timeout_ms,
            },
            records_have_timestamps=True,
        )

    def doubt(self) -> str | None:
        """None: a request that is sent twice makes duplicates at worst."""
        self._serve(0)
        return None

    def init_transactions(self, timeout_s: float) -> None:
        """Nobody is fenced: what a predecessor still sends are duplicates."""

    def begin_transaction(self) -> None:
        """Count failures anew."""
        self.forget_failures()

    def send_offsets(self, offsets: Offsets, group: GroupMetadata, timeout_s: float) -> None:
        """Have the group's offsets committed; everything staged is acknowledged by now."""
        del group, timeout_s  # the client sends its membership along
        self._commit_offsets(offsets)

    def commit_transaction(self, timeout_s: float) -> None:
        """All is done."""

    def _fatal(self, exc: Exception, doing: str) -> PenstockError:
        return _not_fenced(super()._fatal(exc, doing))

    def _not_accepted(self, topic: str, error: KafkaError) -> PenstockError:
        return _not_fenced(super()._not_accepted(topic, error))


def _not_fenced(error: PenstockError) -> PenstockError:
    """An epoch that is refused says that the broker has forgotten this handle, not that there is another worker."""
    return TransactionAborted(str(error)) if isinstance(error, Fenced) else error

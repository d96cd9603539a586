"""One of many: a process is the leader while Kafka's group coordinator lets it hold one certain partition.

Group membership decides who may begin, on whichever machine, and notices a dead leader after the session time-out. It
does not fence: a process that stood still believes that it leads until its next poll. Whoever writes under this
leadership needs a second guard in what it writes.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from penstock.errors import DuplicateIdentity, PenstockError, ServerUnreachable
from penstock.kafka.client import LOGGER, Connection, connected
from penstock.kafka.group_members import GroupMembers

_POLL_S = 0.2
_MARGIN_S = 2.0  # joining, and the coordinator's own timers


class Leadership:
    """Membership in a group in which one partition is at stake; a newcomer never takes it from a live member.

    Args:
        connection: the cluster.
        group: the consumer group that decides.
        topic: partition 0 of it is at stake; it is not read.
        session_timeout_s: how long a silent leader keeps it. Brokers refuse less than 6 s by default.
        on_lost: called once, from this object's thread, when leadership was lost.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        group: str,
        topic: str,
        session_timeout_s: float,
        on_lost: Callable[[], None],
    ) -> None:
        self._connection, self._group, self._topic = connection, group, topic
        self._session_timeout_s, self._on_lost = session_timeout_s, on_lost
        self.client_id = f"{group}@{socket.gethostname()}:{os.getpid()}"
        self._held, self._closing = threading.Event(), threading.Event()
        options = connection.options(self._options(), connection.consumer, self.client_id)
        self._consumer = connected(Consumer, options, self.client_id)
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)

    def _options(self) -> dict[str, Any]:
        session_ms = round(self._session_timeout_s * 1000)
        return {
            "group.id": self._group,
            "group.protocol": "classic",
            # Sticky, so that the partition stays where it is when a newcomer joins.
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": max(100, session_ms // 6),
            # A leader whose poll loop hangs holds up every rebalance this long.
            "max.poll.interval.ms": max(10_000, 2 * session_ms),
            "enable.auto.commit": False,
            "auto.offset.reset": "latest",
        }

    def acquire(self) -> None:
        """Return once this process leads.

        Raises:
            DuplicateIdentity: another live member leads; the message names it.
            ServerUnreachable: the coordinator did not answer.
        """
        self._consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._gone, on_lost=self._gone)
        self._thread.start()
        if self._held.wait(self._session_timeout_s + _MARGIN_S):
            return
        holder = self._holder()
        self.close()
        if holder is None:
            raise ServerUnreachable(
                f"group '{self._group}' at {self._connection.bootstrap_servers} gave partition 0 of "
                f"'{self._topic}' to nobody within {self._session_timeout_s + _MARGIN_S:.0f} s; try again"
            )
        raise DuplicateIdentity(
            f"'{self._topic}' at {self._connection.bootstrap_servers} is held by {holder}: "
            "only one process may write it. Use that one, or stop it first"
        )

    @property
    def held(self) -> bool:
        """Whether this process leads, as far as it knows."""
        return self._held.is_set()

    def close(self) -> None:
        """Leave the group, so that a successor need not wait for the session time-out."""
        self._closing.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        # Unsubscribing and closing happen in the thread that polls: callbacks run inside both.
        while not self._closing.is_set():
            try:
                self._consumer.consume(1, _POLL_S)
            except KafkaException as exc:  # told again by the next call, until the coordinator is back
                LOGGER.debug("group %s: %s", self._group, exc)
                time.sleep(_POLL_S)
        self._consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if partitions:
            consumer.pause(partitions)  # membership is all that is wanted
            self._held.set()

    def _gone(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if partitions:
            consumer.incremental_unassign(partitions)
        if self._held.is_set() and not self._closing.is_set():
            self._held.clear()
            self._on_lost()

    def _holder(self) -> str | None:
        """The member that holds the partition, unless it is what an earlier life of this process left in the group."""
        asks = GroupMembers(self._connection, f"{self.client_id}-admin")
        try:
            members = asks.of(self._group, 5.0)
        except PenstockError as exc:
            LOGGER.debug("group %s: %s", self._group, exc)
            return None
        finally:
            asks.close()
        for member in members:
            if member.client_id != self.client_id and member.assigned:
                return f"{member.client_id} (host {member.host.lstrip('/')})"
        return None

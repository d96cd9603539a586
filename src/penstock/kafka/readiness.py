"""Ask a cluster that is starting whether it is up: which brokers it counts, and whether transactions work yet."""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from penstock.errors import KafkaUnavailable
from penstock.kafka.client import LOGGER, log_error
from penstock.kafka.error_map import describe

_PAUSE_S = 0.05
_THROW_AWAY_ID = "penstock-readiness"


class ReadinessProbe:
    """One client that keeps knocking, fast: brokers that start refuse connections at first.

    Args:
        bootstrap_servers: `host:port`, comma-separated.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._options: dict[str, Any] = {
            "bootstrap.servers": bootstrap_servers,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "retry.backoff.ms": 50,
            # Cluster requests go to the broker that the last metadata named as controller. When that one dies they time
            # out until the next refresh, and the default for that is five minutes.
            "topic.metadata.refresh.interval.ms": 500,
            "log_level": 0,  # refused connections are what a start looks like, not news
            "error_cb": log_error,
            "logger": LOGGER,
        }
        self._admin = AdminClient(self._options)

    def nodes(self, timeout_s: float) -> frozenset[int]:
        """The ids of the brokers that count as live; empty when nobody answers in time. May return early."""
        try:
            cluster = self._admin.describe_cluster(request_timeout=timeout_s).result(timeout_s + 1)
        except (KafkaException, TimeoutError):
            time.sleep(_PAUSE_S)
            return frozenset()
        return frozenset(node.id for node in cluster.nodes)

    def require_transactions(self, timeout_s: float) -> None:
        """Return once an `init_transactions` succeeded: it makes the cluster create and load `__transaction_state`.

        Raises:
            KafkaUnavailable: the coordinator did not answer in time; the message has its last words.
        """
        deadline = time.monotonic() + timeout_s
        # Dropped, not closed: closing aborts, and warns when it cannot because init is still in progress.
        producer = Producer({**self._options, "transactional.id": _THROW_AWAY_ID})
        while True:
            try:
                producer.init_transactions(max(0.1, deadline - time.monotonic()))
            except KafkaException as err:
                # "Coordinator load in progress" is the usual answer of the first second.
                if time.monotonic() > deadline or not err.args[0].retriable():
                    raise KafkaUnavailable(f"init_transactions: {describe(err.args[0])}") from err
                time.sleep(_PAUSE_S)
            else:
                return

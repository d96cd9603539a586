"""Wait until brokers serve, and tell at once when one cannot: a process that ended says why in its last log lines."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.embedded.ports import LOOPBACK
from penstock.errors import KafkaUnavailable, StartFailed
from penstock.kafka.readiness import ReadinessProbe

if TYPE_CHECKING:
    from penstock.embedded.broker import Broker

START_TIMEOUT_S = 60.0
FULL = "No space left on device"  # as Java tells ENOSPC
_PROBE_S = 1.0
_LEAST_DISK = 1_000_000  # where not even the log could be written
_TRANSACTIONS_S = 5.0


class PortClash(Exception):
    """Another process took a port between our look at it and the broker's."""


def wait_until_ready(brokers: Sequence[Broker]) -> None:
    """Return once every broker is counted as live and a transaction coordinator has answered.

    Raises:
        PortClash: a broker ended because its port was taken.
        StartFailed: a broker ended for another reason, or 60 seconds were not enough.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    everyone = {broker.node_id for broker in brokers}
    probe = ReadinessProbe(",".join(f"{LOOPBACK}:{broker.port}" for broker in brokers))
    while not probe.nodes(_PROBE_S) >= everyone:
        for broker in brokers:
            _require_alive(broker, deadline)
    while True:
        try:
            probe.require_transactions(_TRANSACTIONS_S)
        except KafkaUnavailable:
            for broker in brokers:
                _require_alive(broker, deadline)
        else:
            return


def wait_until_serving(broker: Broker) -> None:
    """Return once a restarted broker is counted as live by itself: the others still count its predecessor for a while.

    Raises:
        StartFailed: it ended, or 60 seconds were not enough.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    probe = ReadinessProbe(f"{LOOPBACK}:{broker.port}")
    while broker.node_id not in probe.nodes(_PROBE_S):
        try:
            _require_alive(broker, deadline)
        except PortClash:
            broker.start()  # a client's outgoing connection may sit on the port for a moment


def _require_alive(broker: Broker, deadline: float) -> None:
    if not broker.is_alive:
        log = broker.last_log_lines()
        if "BindException" in log or "Address already in use" in log:
            raise PortClash
        if FULL in log or shutil.disk_usage(broker.directory).free < _LEAST_DISK:
            raise StartFailed(f"disk full: broker {broker.node_id} ended, no room in {broker.directory}:\n{log}")
        raise StartFailed(f"broker {broker.node_id} ended while it started; its last log lines:\n{log}")
    if time.monotonic() > deadline:
        raise StartFailed(
            f"broker {broker.node_id} does not serve after {START_TIMEOUT_S:.0f} s (is this machine very busy?); "
            f"its last log lines:\n{broker.last_log_lines()}"
        )

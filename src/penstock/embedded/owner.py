"""The process that owns a cluster started by `penstock kafka up`: the brokers die with it.

In the foreground it is the command itself; detached it is this module, run as `python -m penstock.embedded.owner` in a
session of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec

from penstock.embedded.cluster import KafkaCluster
from penstock.embedded.local_server import LocalServer
from penstock.embedded.owner_state import NodeState, OwnerState, StateFolder
from penstock.embedded.ports import require_free
from penstock.errors import PenstockError, StartFailed

if TYPE_CHECKING:
    from penstock.embedded.registry import RegistryServer

_LOOK_EVERY_S = 0.5
_WAIT_EVERY_S = 0.05
_END_TIMEOUT_S = 60.0


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to start.

    Attributes:
        port: of node 1; the next nodes listen on the next ports.
        registry_port: None = no schema registry.
        persist: absolute; None = nothing is kept.
        java: see `KafkaCluster`; likewise `jars`. Absolute, as text: the order travels as JSON.
    """

    nodes: int
    port: int
    registry_port: int | None = None
    persist: str | None = None
    java: str | None = None
    jars: str | None = None

    def cluster(self) -> KafkaCluster:
        """The cluster that is ordered, not started yet."""
        return KafkaCluster(
            self.nodes,
            port=self.port,
            persist=_path(self.persist),
            java=_path(self.java),
            jars=_path(self.jars),
        )


def own(order: Order, folder: StateFolder, ready: Callable[[OwnerState], None]) -> None:
    """Start what is ordered, call `ready`, and keep it up until Ctrl-C or SIGTERM; then take it down.

    Raises:
        UsageError: another process owns a cluster of this project.
        StartFailed: it did not come up, or all its brokers ended by themselves.
        KeyboardInterrupt: always, at the end of a life in order.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, _interrupt)
    with folder.owned(), ExitStack() as running:
        cluster = order.cluster()
        if order.registry_port is not None:
            require_free(order.registry_port, option="--registry-port")  # before the broker is started in vain
        running.enter_context(cluster)
        registry = _start_registry(cluster, order.registry_port, running)
        state = OwnerState(
            owner_pid=os.getpid(),
            started_at=datetime.now(UTC),
            bootstrap_servers=cluster.bootstrap_servers,
            cluster_id=cluster.cluster_id,
            nodes=tuple(NodeState(each.node_id, each.port, each.pid) for each in cluster.brokers),
            registry_url=registry.url if registry else None,
            registry_pid=registry.pid if registry else None,
            persist=order.persist,
        )
        folder.write(state)
        ready(state)
        _watch(cluster, registry)


def start_detached(order: Order, folder: StateFolder) -> OwnerState:
    """Start an owner that outlives this process, and return once it says that the cluster is up.

    Raises:
        UsageError: another process owns a cluster of this project.
        StartFailed: it did not come up; the message is what the owner said.
    """
    folder.require_no_owner()
    with os.fdopen(os.open(folder.log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
        owner = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder.folder), msgspec.json.encode(order).decode()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        state = _wait_until_up(owner, folder)
    except BaseException:
        owner.terminate()  # a Ctrl-C while we wait takes back what was ordered
        raise
    owner.returncode = 0  # it lives on, and that is meant: no warning that it was not waited for
    return state


def end(folder: StateFolder) -> OwnerState | None:
    """Ask the owner to take everything down, and return once it has; None when there was nothing to end.

    Raises:
        StartFailed: it does not end within a minute.
    """
    state = folder.read()
    if state is None:
        return None
    os.kill(state.owner_pid, signal.SIGTERM)
    deadline = time.monotonic() + _END_TIMEOUT_S
    while folder.has_owner:
        if time.monotonic() > deadline:
            raise StartFailed(
                f"process {state.owner_pid} does not end: `kill -9 {state.owner_pid}` ends it, and its brokers with it"
            )
        time.sleep(_WAIT_EVERY_S)
    return state


def _wait_until_up(owner: subprocess.Popen[bytes], folder: StateFolder) -> OwnerState:
    while (state := folder.read()) is None or state.owner_pid != owner.pid:
        if owner.poll() is not None:
            raise StartFailed(folder.log_file.read_text(errors="replace").strip())
        time.sleep(_WAIT_EVERY_S)
    return state


def _start_registry(cluster: KafkaCluster, port: int | None, running: ExitStack) -> RegistryServer | None:
    if port is None:
        return None
    from penstock.embedded.registry import RegistryServer  # noqa: PLC0415 - a web server that few orders need

    return running.enter_context(RegistryServer(bootstrap_servers=cluster.bootstrap_servers, port=port))


def _watch(cluster: KafkaCluster, registry: RegistryServer | None) -> NoReturn:
    """Wait for a signal; what ends by itself is told, and when no broker is left we end too."""
    told: set[LocalServer] = set()
    while True:
        for broker in cluster.brokers:
            _tell_end(f"broker {broker.node_id}", broker, told)
        if registry is not None:
            _tell_end("the schema registry", registry, told)
        if told.issuperset(cluster.brokers):
            raise StartFailed("no broker is left: start again with `penstock kafka up`")
        time.sleep(_LOOK_EVERY_S)


def _tell_end(name: str, server: LocalServer, told: set[LocalServer]) -> None:
    if not server.is_alive and server not in told:
        told.add(server)
        sys.stderr.write(f"{name} ended by itself; its last log lines:\n{server.last_log_lines()}\n")
        sys.stderr.flush()


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main() -> None:
    """The detached owner's life; what goes wrong is written to standard error, which is the log file."""
    order = msgspec.json.decode(sys.argv[2], type=Order)
    try:
        own(order, StateFolder(Path(sys.argv[1])), ready=lambda _state: None)
    except KeyboardInterrupt:
        sys.exit(0)
    except PenstockError as err:
        sys.stderr.write(f"{err}\n")
        sys.exit(err.exit_code)


if __name__ == "__main__":
    main()

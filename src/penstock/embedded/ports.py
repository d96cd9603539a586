"""TCP ports on the loopback address."""

from __future__ import annotations

import socket
from contextlib import ExitStack

from penstock.errors import StartFailed

LOOPBACK = "127.0.0.1"

_CONNECT_TIMEOUT_S = 2.0


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now; another process may take one before we do, so starts are retried."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as trial:
        # As the broker does it: connections of a predecessor that are still closing are no obstacle.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_listened_to(port: int) -> bool:
    """Whether a server takes connections there now."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=_CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def require_free(port: int, *, option: str = "--port") -> None:
    """Refuse a port that is taken; `option` is what chooses another.

    Raises:
        StartFailed: something listens there.
    """
    if not is_free(port):
        raise StartFailed(
            f"port {port} on {LOOPBACK} is taken: stop what listens there, or choose another with {option}"
        )

"""Tells Prometheus where the workers of this supervisor answer (HTTP service discovery), from a thread of its own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from penstock.monitoring.endpoints import JSON
from penstock.monitoring.http import LOGGER, Page, PageServer
from penstock.monitoring.whereabouts import found, targets
from penstock.supervisor.observed import reachable

PATH: Final = "/targets"


def worker_port(port: int | None, number: int) -> int | None:
    """The port of a worker, given the supervisor's: the ones behind it, or a free one each; None = none."""
    return port if not port else port + 1 + number


@contextmanager
def discovery(state_directory: Path, host: str, port: int | None) -> Generator[None]:
    """Serve the list for the time of the block; nothing where there is no port."""
    if port is None:
        yield
        return

    def page() -> Page:
        return Page(msgspec.json.encode(targets(found(state_directory))), JSON)

    with PageServer(host, port, {PATH: page}) as server:
        LOGGER.info("where the workers answer: http://%s:%d%s", reachable(host), server.port, PATH)
        yield

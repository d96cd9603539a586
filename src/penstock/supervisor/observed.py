"""A worker that can be looked at: its metrics, its pages over HTTP, and the file that says where they are."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from penstock.clock import Clock
from penstock.kafka.client import Connection, librdkafka_version
from penstock.monitoring.endpoints import openmetrics_pages, worker_pages
from penstock.monitoring.health import Health
from penstock.monitoring.http import LOGGER, PageServer
from penstock.monitoring.schema_metrics import ObservedRegistry
from penstock.monitoring.task_view import Worker
from penstock.monitoring.whereabouts import Whereabouts, began, told
from penstock.monitoring.worker_metrics import Place, WorkerMetrics
from penstock.redrive.backlog import BacklogReader, PipelinesTopics
from penstock.redrive.ledger import ledger_topic
from penstock.redrive.opening import DEAD_LETTERS
from penstock.runtime.clients import KafkaClients, Watched
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.opening import WorkerSurroundings
from penstock.supervisor.dead_letter_watch import DeadLetterWatch

if TYPE_CHECKING:
    from penstock.config import Config

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not bound to


class Stoppable(Worker, Protocol):
    """A worker, as far as stopping and looking at it go."""

    def stop(self) -> None:
        """Commit what is done, then end."""
        ...


class Observed:
    """What a worker is run with.

    Args:
        metrics: None = nobody looks, and nothing is counted.
        health: likewise.
    """

    def __init__(self, metrics: WorkerMetrics | None = None, health: Health | None = None) -> None:
        self._metrics, self._health = metrics, health
        self.hooks: WorkerHooks = metrics or WorkerHooks()

    def surroundings(self, around: WorkerSurroundings, writer: str) -> WorkerSurroundings:
        """The same, with clients and a registry that are looked at.

        Args:
            around: where the worker is to run, on Kafka.
            writer: its `transactional.id`.
        """
        metrics = self._metrics
        if metrics is None:
            return around
        registry = around.registry
        return replace(
            around,
            clients=partial(KafkaClients, watched=Watched(writer, metrics.clients.take)),
            registry=None if registry is None else ObservedRegistry(registry, metrics.schemas),
        )

    def watch(self, worker: Worker) -> None:
        """Look at this one; on its thread."""
        if self._metrics is not None:
            self._metrics.watch(worker)

    def stop(self, worker: Stoppable) -> None:
        """Have it end, and not be ready from now on; any thread may call this."""
        if self._health is not None:
            self._health.is_draining = True
        worker.stop()


@contextmanager
def observed(
    config: Config, pipeline: str, writer: str, state_directory: Path, clock: Clock, port: int | None
) -> Generator[Observed]:
    """Serve a worker's pages for the time of the block.

    Args:
        config: says where, and what the objective is.
        pipeline: the worker's.
        writer: its `transactional.id`.
        state_directory: where its address is told.
        clock: time.
        port: of its own, handed out by the supervisor; None = nobody is to look.

    Raises:
        ConfigurationError: the port is taken.
    """
    if port is None:
        yield Observed()
        return
    settings = config.monitoring
    objective_ms = settings.objective_time_lag_ms
    place = Place(
        pipeline,
        settings.cluster,
        version("penstock"),
        settings.commit,
        librdkafka_version(),
        None if objective_ms is None else objective_ms / 1000,
        config.state.checkpoint_interval_ms / 1000,
    )
    metrics = WorkerMetrics(place, clock)
    health = Health(metrics, clock)
    watch = _watch(config, pipeline, metrics)
    metrics.beside = lambda: watch.families(pipeline)
    pages = worker_pages(writer, metrics, health, clock)
    with PageServer(settings.host, port, pages, openmetrics_pages(metrics)) as server, watch:
        address = f"{reachable(settings.host)}:{server.port}"
        LOGGER.info("metrics and health at http://%s", address)
        pid = os.getpid()
        where = Whereabouts(worker=writer, pipeline=pipeline, address=address, pid=pid, began=began(pid))
        with told(state_directory, where):
            yield Observed(metrics, health)


def _watch(config: Config, pipeline: str, metrics: WorkerMetrics) -> DeadLetterWatch:
    connection, prefix = Connection.of(config.kafka), config.project.prefixed("")
    topics = PipelinesTopics(connection, f"{prefix}{DEAD_LETTERS}{pipeline}.")
    ledger = ledger_topic(config.project.name, prefix).name
    return DeadLetterWatch(
        topics.names, lambda topic: BacklogReader(connection, topic, ledger), lambda: metrics.is_first
    )


def reachable(host: str) -> str:
    """What others call an address that is listened on."""
    return socket.gethostname() if host in _EVERYWHERE else host

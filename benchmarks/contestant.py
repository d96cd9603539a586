"""One contestant as a process of its own: `python -m benchmarks.contestant` runs a job and tells what it took.

Its last line is a `Measured`, as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

import msgspec

from benchmarks import bare_loop, bids
from benchmarks.window import Window
from penstock.cli.garbage import settle
from penstock.config import load as load_config
from penstock.errors import TransactionAborted
from penstock.kafka.client import Connection
from penstock.kafka.registry import RegistryClient
from penstock.runtime.hook_chain import HookChain
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.opening import WorkerSurroundings, opened
from penstock.supervisor.observed import observed


class Task(msgspec.Struct, kw_only=True):
    """What a contestant is told.

    Attributes:
        system: `penstock`, `bare`, or `naked` for the bare loop with fastavro alone.
        job: `stateless`, `aggregate` or `join`.
        name: of the pipeline, the group and the transactions; another one for each run.
        bids: topic to read.
        auctions: the table's topic.
        output: topic to write.
        changelog: of the bare aggregate.
        partitions: of every topic.
        warm_up: records before the window.
        records: with these; 0 = until standard input ends, as one of several workers.
        instance: tells several workers apart.
        port: where metrics of penstock are served; None = nothing is counted.
    """

    system: str
    job: str
    name: str
    bids: str
    auctions: str
    output: str
    changelog: str
    partitions: int
    warm_up: int
    records: int
    bootstrap_servers: str
    registry: str
    instance: str = "0"
    port: int | None = None


class Commits(WorkerHooks):
    """Tells the window of every commit.

    Nothing may go wrong where a worker is alone: a run that retries measures something else. One of several is aborted
    when another joins; what it reads again is a part of what several workers cost.
    """

    def __init__(self, window: Window, before: int, *, is_alone: bool) -> None:
        self._window = window
        self._is_alone = is_alone
        self._skip = before
        self._began_s = 0.0

    def on_step(self, step: str) -> None:
        """A commit begins with the first changelog, or with the flush where there is none."""
        if step == "process":
            self._began_s = 0.0
        elif step in {"changelog", "flush"} and not self._began_s:
            self._began_s = time.perf_counter()

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Count; the table's rows come first and are left out."""
        del dead_letters
        took_s = time.perf_counter() - self._began_s
        skipped = min(self._skip, records)
        self._skip -= skipped
        self._window.committed(records - skipped, took_s)

    def on_abort(self, error: Exception) -> None:
        """Fail, where nobody else can be the reason."""
        if self._is_alone or not isinstance(error, TransactionAborted):
            raise error


def main() -> None:
    """Run what the one argument says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", help="a Task as JSON")
    task = msgspec.json.decode(parser.parse_args().task, type=Task)
    window = Window(task.warm_up, task.records or sys.maxsize)
    settle()  # as `penstock run` does; for all of them, so that only the code differs
    with contextlib.closing(RegistryClient(task.registry)) as registry:
        if task.system == "penstock":
            _penstock(task, registry, window)
        else:
            _bare(task, registry, window)
    sys.stdout.buffer.write(msgspec.json.encode(window.measured) + b"\n")


def _penstock(task: Task, registry: RegistryClient, window: Window) -> None:
    pipeline = bids.pipeline(task.job, task.name, task.bids, task.auctions, task.output, task.partitions)
    hooks = Commits(window, bids.AUCTIONS if task.job == "join" else 0, is_alone=task.records > 0)
    with tempfile.TemporaryDirectory() as state:
        around = WorkerSurroundings(Connection(task.bootstrap_servers), registry, Path(state), instance=task.instance)
        # What stands beside a worker that is looked at goes by the configuration.
        os.environ["PENSTOCK_KAFKA__BOOTSTRAP_SERVERS"] = task.bootstrap_servers
        topology = pipeline.topology()
        writer = around.writer(topology)
        with (
            observed(load_config(), topology.name, writer, Path(state), around.clock, task.port) as seen,
            opened(topology, seen.surroundings(around, writer), HookChain(hooks, seen.hooks)) as worker,
        ):
            seen.watch(worker)
            stopped = _end_of_input() if task.records == 0 else Event()
            while window.measured is None and not stopped.is_set():
                worker.step()
            if window.measured is None:
                window.close()
            worker.close()


def _end_of_input() -> Event:
    """Set once standard input has ended."""
    ended = Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    Thread(target=wait, daemon=True).start()
    return ended


def _bare(task: Task, registry: RegistryClient, window: Window) -> None:
    connection = Connection(task.bootstrap_servers)
    changelog = None
    if task.job == "aggregate":
        work, changes = bare_loop.aggregate(registry, task.bids, task.output)
        changelog = task.changelog, changes
    elif task.job == "join":
        table = bare_loop.read_table(connection, registry, task.auctions, task.partitions)
        work = bare_loop.join(registry, task.bids, task.output, table)
    else:
        made = bare_loop.naked if task.system == "naked" else bare_loop.stateless
        work = made(registry, task.bids, task.output)
    bare_loop.run(connection, task.name, task.bids, task.output, work, window, changelog=changelog)


if __name__ == "__main__":
    main()

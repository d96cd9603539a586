"""A worker that comes back, as a process of its own: `python -m benchmarks.restorer` tells what its restore took.

Its last line is a `Comeback`, as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

import msgspec

import penstock as ps
from benchmarks.measure import cpu_s
from penstock.cli.garbage import settle
from penstock.kafka.client import Connection
from penstock.kafka.reader import Reader
from penstock.runtime.hooks import RestoreReport, WorkerHooks
from penstock.runtime.opening import WorkerSurroundings, opened

NAME = "seen"
CHANGELOG = f"{NAME}.keys.changelog"


class Task(msgspec.Struct, kw_only=True):
    """What the process is told.

    Attributes:
        role: `fill` reads the topic and leaves a checkpoint behind, `restore` comes back, `bare` reads the changelog.
        topic: of keys.
        records: in it, each with a key of its own.
        partitions: of topic and changelog.
        state: directory with the checkpoints, or an empty one.
    """

    role: str
    topic: str
    records: int
    partitions: int
    state: str
    bootstrap_servers: str


class Comeback(msgspec.Struct, kw_only=True):
    """Seconds from the assignment to the last task; entries, and bytes by source."""

    entries: int
    wall_s: float
    cpu_s: float
    changelog_bytes: int = 0
    checkpoint_bytes: int = 0


class Restoring(WorkerHooks):
    """Counts tasks that are back, and records that are committed."""

    def __init__(self) -> None:
        self.restored: list[RestoreReport] = []
        self.committed = 0
        self.began: tuple[float, float] | None = None
        self.ended = (0.0, 0.0)

    def on_step(self, step: str) -> None:
        """The first restore begins."""
        if step == "restore" and self.began is None:
            self.began = time.perf_counter(), cpu_s()

    def on_restore(self, restore: RestoreReport) -> None:
        """One more."""
        self.restored.append(restore)
        self.ended = time.perf_counter(), cpu_s()

    def on_commit(self, records: int, dead_letters: int) -> None:
        """Count."""
        del dead_letters
        self.committed += records


def main() -> None:
    """Play the role that the one argument says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("task", help="a Task as JSON")
    task = msgspec.json.decode(parser.parse_args().task, type=Task)
    settle()
    comeback = _bare(task) if task.role == "bare" else _worker(task)
    sys.stdout.buffer.write(msgspec.json.encode(comeback) + b"\n")


def _worker(task: Task) -> Comeback:
    pipeline = ps.Pipeline(NAME)
    pipeline.stream(ps.Topic(task.topic, key=str, value=str), name="keys").count(name="times")
    hooks = Restoring()
    around = WorkerSurroundings(Connection(task.bootstrap_servers), None, Path(task.state))
    with opened(pipeline.topology(), around, hooks) as worker:
        while len(hooks.restored) < task.partitions:
            worker.step()
        entries = sum(len(each.state.committed) for each in worker.tasks.values() if each.state is not None)
        if task.role == "fill":
            while hooks.committed < task.records:
                worker.step()
            worker.close()
    began, ended = hooks.began or (0.0, 0.0), hooks.ended
    return Comeback(
        entries=entries,
        wall_s=ended[0] - began[0],
        cpu_s=ended[1] - began[1],
        changelog_bytes=sum(each.changelog_bytes for each in hooks.restored),
        checkpoint_bytes=sum(each.checkpoint_bytes for each in hooks.restored),
    )


def _bare(task: Task) -> Comeback:
    """The changelog into a dict, and no comparison of anything."""
    began = time.perf_counter(), cpu_s()
    entries: dict[bytes, bytes] = {}
    with contextlib.closing(Reader(Connection(task.bootstrap_servers))) as reader:
        starts = {(CHANGELOG, partition): 0 for partition in range(task.partitions)}
        reader.assign(starts)
        while reader.at_end != starts.keys():
            for record in reader.poll(0.1):
                entries[record.key or b""] = record.value or b""
    wall_s, used_s = time.perf_counter() - began[0], cpu_s() - began[1]
    return Comeback(entries=len(entries), wall_s=wall_s, cpu_s=used_s)


if __name__ == "__main__":
    main()

"""The pipelines as processes of their own, killed while they work, and how long each kill was felt."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from demo.broker_files import TopicFiles
from demo.coordinator_log import CoordinatorLog
from demo.figures import Actor, PipelineGauge
from demo.pipelines import PIPELINES, PipelineInDemo
from demo.project import Project
from demo.publish import SETTLES_S
from demo.watch import GroupWatch, TopicWatch
from penstock.errors import StartFailed

_LOOK_EVERY_S = 0.05
_PATIENCE_S = 120.0
_COMMIT_INTERVAL_S = 0.1


class PipelineKill(msgspec.Struct, kw_only=True):
    """One SIGKILL of a worker in the middle of its input.

    Attributes:
        pipeline: whose worker.
        after_s: seconds since the first start of the pipelines.
        committed: input offsets that its group had committed.
        recovery_s: seconds from the kill to the next commit that its group can see, by the worker started after it.
        life: (producer id, epoch) of the dead worker's last transaction.
        aborted: records in the broker's files of the transaction that died with it; counted afterwards. 0 = it died
            between two transactions, or before anything of the open one had reached the broker.
    """

    pipeline: str
    after_s: float
    committed: int
    recovery_s: float
    life: tuple[int, int]
    aborted: int = 0


class Cluster:
    """Where the pipelines run: how to ask the broker, and where its files are."""

    def __init__(self, bootstrap_servers: str, log_directory: Path) -> None:
        self.bootstrap_servers, self.log_directory = bootstrap_servers, log_directory

    def group(self, pipeline: PipelineInDemo) -> GroupWatch:
        """The pipeline's committed offsets."""
        return GroupWatch(self.bootstrap_servers, pipeline.name, pipeline.inputs)

    def gauge(self, pipeline: PipelineInDemo) -> PipelineGauge:
        """For the live view."""
        return PipelineGauge(
            self.log_directory,
            pipeline.inputs,
            pipeline.dead_letter_topics,
            pipeline.transactional_id,
            self.group(pipeline).committed,
        )


def run_all(
    project: Project,
    cluster: Cluster,
    actors: Sequence[Actor],
    *,
    seed: int,
    kills: int,
    tell: Callable[[PipelineKill], None],
) -> list[PipelineKill]:
    """Run all pipelines at once, each to the end of its input, each killed on the way; in the order of the kills.

    Args:
        project: starts them.
        cluster: where.
        actors: one for each pipeline, in their order.
        seed: of the moments of the kills.
        kills: of each pipeline.
        tell: of each kill, once it is recovered from.

    Raises:
        StartFailed: one ended by itself, or was done before it could be killed.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(len(PIPELINES)) as together:
        runs = [
            together.submit(_Run(project, cluster, pipeline, actor, began, tell).through, seed, kills)
            for pipeline, actor in zip(PIPELINES, actors, strict=True)
        ]
        return sorted((kill for run in runs for kill in run.result()), key=lambda kill: kill.after_s)


class _Run:
    """One pipeline from its first start to the end of its input."""

    _process: subprocess.Popen[bytes]

    def __init__(
        self,
        project: Project,
        cluster: Cluster,
        pipeline: PipelineInDemo,
        actor: Actor,
        began: float,
        tell: Callable[[PipelineKill], None],
    ) -> None:
        self._project, self._actor, self._began, self._tell = project, actor, began, tell
        self._pipeline = pipeline
        self._group = cluster.group(pipeline)
        self._coordinator = CoordinatorLog(cluster.log_directory)
        self._output = TopicFiles(cluster.log_directory, pipeline.outputs[0])
        # The input stands still while the pipelines run.
        self._total = sum(
            sum(TopicWatch(cluster.bootstrap_servers, topic).committed().values()) for topic in pipeline.inputs
        )

    def through(self, seed: int, kills: int) -> list[PipelineKill]:
        """Run it and kill it; the kills in their order."""
        dice = random.Random(f"{seed} {self._pipeline.name}")  # noqa: S311 - to be repeated, not to be kept secret
        thresholds = sorted(int(self._total * dice.uniform(0.03, 0.8)) for _ in range(kills))
        found: list[PipelineKill] = []
        self._process = self._start()
        try:
            self._wait_until(1)
            for number, threshold in enumerate(thresholds):
                self._wait_until(max(threshold, self._committed()) + 1)
                time.sleep(dice.uniform(0, _COMMIT_INTERVAL_S))
                # At any moment much of a transaction is still in the worker; every other kill finds some of it sent.
                found.append(self._kill(inside=number % 2 == 1))
                self._tell(found[-1])
            self._wait_until(self._total)
            self._process.send_signal(signal.SIGINT)
            self._project.finish("run", self._pipeline.name, self._process)
            self._actor.done()
        finally:
            self._process.kill()
            self._process.wait()
        return found

    def _start(self) -> subprocess.Popen[bytes]:
        process = self._project.start("run", self._pipeline.name)
        self._actor.started()
        return process

    def _kill(self, *, inside: bool) -> PipelineKill:
        if inside:
            self._wait_until_open()
        killed_at = time.monotonic()
        self._process.kill()
        self._process.wait()
        self._actor.killed()
        time.sleep(SETTLES_S)
        self._coordinator.look()
        life = self._coordinator.of(self._pipeline.transactional_id).life
        committed = self._committed()
        if committed >= self._total:
            raise StartFailed(f"`penstock run {self._pipeline.name}` was done before it could be killed")
        self._process = self._start()
        self._wait_until(committed + 1)
        return PipelineKill(
            pipeline=self._pipeline.name,
            after_s=round(killed_at - self._began, 2),
            committed=committed,
            recovery_s=round(time.monotonic() - killed_at, 2),
            life=life,
        )

    def _committed(self) -> int:
        return sum(self._group.committed().values())

    def _wait_until(self, offsets: int) -> None:
        """Until the group has committed so many more, all inputs together."""
        deadline = time.monotonic() + _PATIENCE_S
        while (committed := self._committed()) < offsets:
            if self._process.poll() is not None:
                raise StartFailed(
                    f"a worker of {self._pipeline.name} ended by itself with code {self._process.returncode}:\n"
                    + self._project.last_words("run", self._pipeline.name)
                )
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"a worker of {self._pipeline.name} stands still at {committed:,} of {self._total:,} offsets:\n"
                    + self._project.last_words("run", self._pipeline.name)
                )
            time.sleep(_LOOK_EVERY_S)

    def _wait_until_open(self) -> None:
        """Until the output holds records of an open transaction, or the worker has ended."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._process.poll() is None and time.monotonic() < deadline:
            self._output.look()
            if self._output.is_open:
                return
            time.sleep(0.001)


def count_aborted(kills: Sequence[PipelineKill], log_directory: Path) -> int:
    """Fill in what each dead worker left behind in the broker's files; the sum over all aborted transactions.

    A worker's successor has another producer epoch, so what is aborted in an epoch died with its worker.
    """
    total = 0
    for pipeline in PIPELINES:
        found: dict[tuple[int, int], int] = {}
        for topic in pipeline.written:
            files = TopicFiles(log_directory, topic)
            files.look()
            total += files.aborted
            for life, records in files.aborted_by_life().items():
                found[life] = found.get(life, 0) + records
        for kill in kills:
            if kill.pipeline == pipeline.name:
                kill.aborted = found.get(kill.life, 0)
    return total

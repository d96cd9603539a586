"""The pipelines as processes of their own: more and fewer of them, killed while they work, and how long it was felt."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

import msgspec

from demo.broker_files import TopicFiles
from demo.coordinator_log import CoordinatorLog
from demo.figures import Actor, PipelineGauge
from demo.kill import AT_ONCE_S, LOOK_EVERY_S, PATIENCE_S, kill_when
from demo.pipelines import SLOTS, PipelineInDemo, instance
from demo.project import Project, ProjectProcess
from demo.watch import GroupWatch, Partition, TopicWatch
from penstock.errors import StartFailed

WORKERS: Final = (1, SLOTS, 2)
"""So many workers at first, from the first of these parts of the input on, and from the second."""
_PARTS: Final = (0.08, 0.6)
_COMMIT_INTERVAL_S = 0.1
_BEGINS_NONE_S: Final = 60.0
"""A worker that was to be killed inside a transaction and begins none for so long has lost its partitions meanwhile."""


class PipelineKill(msgspec.Struct, kw_only=True):
    """One SIGKILL of a worker in the middle of its input.

    Attributes:
        pipeline: whose worker.
        slot: which of its workers.
        workers: of the pipeline at that moment, this one included.
        after_s: seconds since the first start of the pipelines.
        committed: input offsets that the group had committed.
        recovery_s: seconds from the kill to the moment at which its group has committed something in every partition
            that was the dead worker's and had not come to its end.
        life: (producer id, epoch) of the dead worker's last transaction.
        aborted: records in the broker's files of the transaction that died with it; counted afterwards. 0 = it died
            between two transactions, or before anything of the open one had reached the broker.
    """

    pipeline: str
    slot: int
    workers: int
    after_s: float
    committed: int
    recovery_s: float
    life: tuple[int, int]
    aborted: int = 0


class Finale:
    """Something that is done when one pipeline has come to the end of its input, while the workers of all live on.

    What it adds to their inputs is dealt with before they stop.

    Args:
        pipeline: whose end it is.
        act: what is done.
    """

    def __init__(self, pipeline: PipelineInDemo, act: Callable[[], None]) -> None:
        self._pipeline, self._act = pipeline, act
        self._is_over = Event()

    def reach(self, pipeline: PipelineInDemo) -> None:
        """This one has come to its end: do it, or wait until it is done."""
        if pipeline == self._pipeline:
            self._act()
            self._is_over.set()
        self._is_over.wait()

    def leave(self, pipeline: PipelineInDemo) -> None:
        """This one has stopped, however it was: nobody has to wait for it."""
        if pipeline == self._pipeline:
            self._is_over.set()


class Cluster:
    """Where the pipelines run: how to ask the brokers, and where the files of one of them are."""

    def __init__(self, bootstrap_servers: str, log_directory: Path) -> None:
        self.bootstrap_servers, self.log_directory = bootstrap_servers, log_directory

    def group(self, pipeline: PipelineInDemo) -> GroupWatch:
        """The pipeline's committed offsets."""
        return GroupWatch(self.bootstrap_servers, pipeline.name, pipeline.read_topics)

    def gauge(self, pipeline: PipelineInDemo) -> PipelineGauge:
        """For the live view."""
        return PipelineGauge(
            self.log_directory,
            pipeline.inputs,
            pipeline.dead_letter_topics,
            pipeline.transactional_ids,
            self.group(pipeline).committed,
        )


def run_all(
    project: Project,
    cluster: Cluster,
    pipelines: Sequence[tuple[PipelineInDemo, Actor]],
    *,
    seed: int,
    kills: int,
    workers: Sequence[int],
    finale: Finale,
    tell: Callable[[PipelineKill], None],
) -> list[PipelineKill]:
    """Run all pipelines at once, each to the end of its input, each killed on the way; in the order of the kills.

    Args:
        project: starts them.
        cluster: where.
        pipelines: each with its actor.
        seed: of the moments of the kills, and of their victims.
        kills: of each pipeline.
        workers: of each pipeline, one number after the other; see `WORKERS`.
        finale: what comes at the end, while they live.
        tell: of each kill, once it is recovered from.

    Raises:
        StartFailed: one ended by itself, or stands still.
    """
    began = time.monotonic()
    with project.threads(len(pipelines)) as together:
        runs = [
            together.submit(_Run(project, cluster, pipeline, actor, began, tell).through, seed, kills, workers, finale)
            for pipeline, actor in pipelines
        ]
        ended, _ = wait(runs, return_when=FIRST_EXCEPTION)  # the others would go on for minutes
        return sorted((kill for run in ended for kill in run.result()), key=lambda kill: kill.after_s)


class _Run:
    """One pipeline from its first start to the end of its input."""

    def __init__(
        self,
        project: Project,
        cluster: Cluster,
        pipeline: PipelineInDemo,
        actor: Actor,
        began: float,
        tell: Callable[[PipelineKill], None],
    ) -> None:
        self._project, self._actor, self._tell = project, actor, tell
        self._pipeline, self._began = pipeline, began
        self._workers: dict[int, ProjectProcess] = {}
        self._kills: list[PipelineKill] = []
        self._felt: list[tuple[PipelineKill, float, dict[Partition, int]]] = []
        self._group = cluster.group(pipeline)
        self._coordinator = CoordinatorLog(cluster.log_directory)
        self._read = {topic: TopicWatch(cluster.bootstrap_servers, topic) for topic in pipeline.read_topics}
        sent = (*pipeline.outputs, *pipeline.repartition_topics)
        self._sent = [TopicFiles(cluster.log_directory, topic) for topic in sent]
        self._total = self._input_ends()  # it stands still until the finale

    def through(self, seed: int, kills: int, workers: Sequence[int], finale: Finale) -> list[PipelineKill]:
        """Run it, with more and with fewer workers, and kill them; the kills in their order."""
        dice = random.Random(f"{seed} {self._pipeline.name}")  # noqa: S311 - to be repeated, not to be kept secret
        acts: list[tuple[float, Callable[[], None]]] = [
            # At any moment much of a transaction is still in the worker; every other kill finds some of it sent.
            (dice.uniform(0.03, 0.8), partial(self._kill, dice, inside=number % 2 == 1))
            for number in range(kills)
        ]
        acts += [(part, partial(self._scale, n, dice)) for part, n in zip(_PARTS, workers[1:], strict=False)]
        try:
            self._scale(workers[0], dice)
            self._wait_until(1)
            for part, act in sorted(acts, key=lambda act: act[0]):
                self._wait_until(int(self._total * part))
                time.sleep(dice.uniform(0, _COMMIT_INTERVAL_S))
                act()
            self._wait_for(self._is_done)
            finale.reach(self._pipeline)
            self._total = self._input_ends()
            self._wait_for(self._is_done)
            self._scale(0, dice)
            self._actor.done()
        finally:
            finale.leave(self._pipeline)
            for worker in self._workers.values():
                worker.kill()
        return self._kills

    # ------------------------------------------------------------ workers

    def _scale(self, workers: int, dice: random.Random) -> None:
        """Have so many of them."""
        for slot in [slot for slot in range(SLOTS) if slot not in self._workers]:
            if len(self._workers) < workers:
                self._start(slot)
        while len(self._workers) > workers:
            slot = dice.choice(sorted(self._workers))
            self._workers.pop(slot).stop()
            self._actor.stopped()

    def _start(self, slot: int) -> None:
        self._workers[slot] = self._project.start("run", self._pipeline.name, ("--instance", instance(slot)))
        self._actor.started()

    def _kill(self, dice: random.Random, *, inside: bool) -> None:
        """Kill a worker that has work left, and start it again; whoever waits notes when that is recovered from."""
        slot, held = self._victim(dice)
        if not held:
            return  # all is done; the verdict counts how many kills there were
        workers, worker = len(self._workers), self._workers[slot]
        is_moment = self._is_sending(slot) if inside else lambda: True
        killed_at = kill_when(worker, is_moment, look_every_s=AT_ONCE_S)
        if killed_at is None:
            raise _ended(worker)
        del self._workers[slot]
        self._actor.killed()
        left = self._unfinished()
        before = {place: offset for place, offset in left.items() if place in held} or left
        kill = PipelineKill(
            pipeline=self._pipeline.name,
            slot=slot,
            workers=workers,
            after_s=round(killed_at - self._began, 2),
            committed=self._committed(),
            recovery_s=0.0,
            life=self._life(slot),
        )
        self._felt.append((kill, killed_at, before))
        self._start(slot)

    def _note_recoveries(self) -> None:
        now = self._group.committed()
        for felt in list(self._felt):
            kill, killed_at, before = felt
            if all(now.get(place, 0) > offset for place, offset in before.items()):
                kill.recovery_s = round(time.monotonic() - killed_at, 2)
                self._felt.remove(felt)
                self._kills.append(kill)
                self._tell(kill)

    # ------------------------------------------------------------ how far it is

    def _committed(self) -> int:
        return sum(offset for (topic, _), offset in self._group.committed().items() if topic in self._pipeline.inputs)

    def _input_ends(self) -> int:
        return sum(sum(self._read[topic].committed().values()) for topic in self._pipeline.inputs)

    def _unfinished(self) -> dict[Partition, int]:
        """Where the group stands in each partition that it has not come to the end of."""
        ends = self._read_ends()
        return {place: offset for place, offset in self._group.committed().items() if offset < ends.get(place, 0)}

    def _read_ends(self) -> dict[Partition, int]:
        return {(topic, number): end for topic, each in self._read.items() for number, end in each.committed().items()}

    def _victim(self, dice: random.Random) -> tuple[int, set[Partition]]:
        """A worker with work left, and the partitions in which it was the last to commit."""
        held: dict[int, set[Partition]] = {}

        def is_there() -> bool:
            unfinished, positions = self._unfinished(), self._group.positions()
            for slot in self._workers:
                name = self._pipeline.transactional_id(slot)
                held[slot] = {place for place in unfinished if place in positions and positions[place].writer == name}
            return any(held.values()) or self._committed() >= self._total

        self._wait_for(is_there)
        slot = dice.choice([slot for slot in sorted(held) if held[slot]] or sorted(self._workers))
        return slot, held[slot]

    def _is_done(self) -> bool:
        """Whether the group stands at the end of its input, and then of what it sent to itself."""
        if self._committed() < self._total or self._felt:
            return False
        # They grow no more once the input is dealt with, so the ends of now are the last ones.
        ends, now = self._read_ends(), self._group.committed()
        return bool(ends) and all(now.get(place, 0) >= end for place, end in ends.items())

    def _life(self, slot: int) -> tuple[int, int]:
        self._coordinator.look()
        return self._coordinator.of(self._pipeline.transactional_id(slot)).life

    # ------------------------------------------------------------ waiting

    def _wait_until(self, offsets: int) -> None:
        """Until the group has committed so many in all inputs together."""
        self._wait_for(lambda: self._committed() >= offsets)

    def _wait_for(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        seen = -1
        while not is_so():
            self._note_recoveries()
            for worker in self._workers.values():
                if worker.exit_code is not None:
                    raise _ended(worker)
            if (now := sum(self._group.committed().values())) != seen:
                seen, deadline = now, time.monotonic() + PATIENCE_S
            if time.monotonic() > deadline:
                told = "\n".join(f"{worker.command}:\n{worker.last_words()}" for worker in self._workers.values())
                raise StartFailed(
                    f"the workers of {self._pipeline.name} stand still at {self._committed():,} of {self._total:,} "
                    f"offsets:\n{told}"
                )
            time.sleep(LOOK_EVERY_S)

    def _is_sending(self, slot: int) -> Callable[[], bool]:
        """Whether the files hold records of an open transaction of this worker; said so of one that begins none."""
        producer, _ = self._life(slot)
        deadline = time.monotonic() + _BEGINS_NONE_S

        def is_so() -> bool:
            for files in self._sent:
                files.look()
            return any(producer in files.open_producers for files in self._sent) or time.monotonic() > deadline

        return is_so


def _ended(worker: ProjectProcess) -> StartFailed:
    return StartFailed(f"`{worker.command}` ended by itself with code {worker.exit_code}:\n{worker.last_words()}")


def count_aborted(pipelines: Sequence[PipelineInDemo], kills: Sequence[PipelineKill], log_directory: Path) -> int:
    """Fill in what each dead worker left behind in the broker's files; the sum over all aborted transactions.

    A worker's successor has another producer epoch, so what is aborted in an epoch died with its worker.
    """
    total = 0
    for pipeline in pipelines:
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

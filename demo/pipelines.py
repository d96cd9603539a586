"""The pipelines as processes of their own, killed while they work, and how long each kill was felt."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from demo.publish import Project, Reached, TopicWatch
from penstock.errors import StartFailed
from penstock.testing.segments import Fate, read_topic

_LOOK_EVERY_S = 0.05
_PATIENCE_S = 120.0
_COMMIT_INTERVAL_S = 0.1
_SETTLES_S = 0.1


@dataclass(frozen=True, slots=True)
class PipelineInDemo:
    """A pipeline with the topics it reads and writes; its name is its consumer group's."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def dead_letter_topics(self) -> tuple[str, ...]:
        """One for each input."""
        return tuple(f"dlq.{self.name}.{topic}" for topic in self.inputs)


PIPELINES = (
    PipelineInDemo("flight-status", ("flights", "planes"), ("flight-status", "cancelled-flights")),
    PipelineInDemo("aircraft-rotation", ("flights",), ("aircraft-rotations",)),
)


class PipelineKill(msgspec.Struct, kw_only=True):
    """One SIGKILL of a worker in the middle of its input.

    Attributes:
        pipeline: whose worker.
        after_s: seconds since the first start of the pipelines.
        committed: input offsets that its group had committed.
        recovery_s: seconds from the kill to the next commit that its group can see, by the worker started after it.
    """

    pipeline: str
    after_s: float
    committed: int
    recovery_s: float


class PipelineWatch:
    """How far a pipeline is, as the brokers tell anybody."""

    def __init__(self, bootstrap_servers: str, pipeline: PipelineInDemo) -> None:
        self._admin: Any = AdminClient({"bootstrap.servers": bootstrap_servers})
        self._pipeline = pipeline
        self._output = TopicWatch(bootstrap_servers, pipeline.outputs[0])
        # The input stands still while the pipelines run.
        self.total = sum(sum(TopicWatch(bootstrap_servers, topic).committed().values()) for topic in pipeline.inputs)

    def committed(self) -> int:
        """Sum of the committed offsets over all inputs."""
        group = self._pipeline.name
        answers = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=10)
        places = answers[group].result().topic_partitions
        return sum(place.offset for place in places if place.offset > 0 and place.topic in self._pipeline.inputs)

    def wait_until_open(self, process: subprocess.Popen[bytes]) -> None:
        """Until the output holds records of an open transaction, or the worker has ended."""
        deadline = time.monotonic() + _PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline:
            written = self._output.written()
            if sum(self._output.committed().values()) < sum(written.values()):
                return


def run_all(
    project: Project, bootstrap_servers: str, *, seed: int, kills: int, reached: Mapping[str, Reached]
) -> list[PipelineKill]:
    """Run all pipelines at once, each to the end of its input, each killed on the way; in the order of the kills.

    Args:
        project: starts them.
        bootstrap_servers: where.
        seed: of the moments of the kills.
        kills: of each pipeline.
        reached: by pipeline: told now and then how far it is.

    Raises:
        StartFailed: one ended by itself, or was done before it could be killed.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(len(PIPELINES)) as together:
        runs = [
            together.submit(
                _run_and_kill,
                project,
                pipeline,
                PipelineWatch(bootstrap_servers, pipeline),
                random.Random(f"{seed} {pipeline.name}"),  # noqa: S311 - to be repeated, not to be kept secret
                kills,
                began,
                reached[pipeline.name],
            )
            for pipeline in PIPELINES
        ]
        return sorted((kill for run in runs for kill in run.result()), key=lambda kill: kill.after_s)


def _run_and_kill(
    project: Project,
    pipeline: PipelineInDemo,
    watch: PipelineWatch,
    dice: random.Random,
    kills: int,
    began: float,
    reached: Reached,
) -> list[PipelineKill]:
    found: list[PipelineKill] = []
    thresholds = sorted(int(watch.total * dice.uniform(0.03, 0.8)) for _ in range(kills))
    process = project.start("run", pipeline.name)
    try:
        for number, threshold in enumerate(thresholds):
            _wait_until(process, watch, max(threshold, watch.committed()) + 1, reached)
            time.sleep(dice.uniform(0, _COMMIT_INTERVAL_S))
            if (
                number % 2
            ):  # at any moment much of a transaction is still in the worker; every other kill finds some sent
                watch.wait_until_open(process)
            killed_at = time.monotonic()
            process.kill()
            process.wait()
            time.sleep(_SETTLES_S)  # what it had asked the coordinator to commit is committed, by nobody's help
            committed = watch.committed()
            if committed >= watch.total:
                raise StartFailed(f"`penstock run {pipeline.name}` was done before it could be killed")
            process = project.start("run", pipeline.name)
            _wait_until(process, watch, committed + 1, reached)
            found.append(
                PipelineKill(
                    pipeline=pipeline.name,
                    after_s=round(killed_at - began, 2),
                    committed=committed,
                    recovery_s=round(time.monotonic() - killed_at, 2),
                )
            )
        _wait_until(process, watch, watch.total, reached)
        process.send_signal(signal.SIGINT)
        project.finish("run", pipeline.name, process)
    finally:
        process.kill()
        process.wait()
    return found


def _wait_until(process: subprocess.Popen[bytes], watch: PipelineWatch, offsets: int, reached: Reached) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (committed := watch.committed()) < offsets:
        if process.poll() is not None:
            raise StartFailed(f"a worker ended by itself with code {process.returncode}; its last words are in its log")
        if time.monotonic() > deadline:
            raise StartFailed(f"a worker stands still at {committed:,} of {watch.total:,} offsets")
        reached(committed)
        time.sleep(_LOOK_EVERY_S)
    reached(committed)


@dataclass(frozen=True, slots=True)
class AbortedData:
    """What the broker's files hold of aborted transactions: records, and how many transactions' workers died so."""

    records: int
    transactions: int


def aborted_data(log_directory: Path) -> AbortedData:
    """Count the aborted data in the pipelines' output topics, by the broker's own files.

    A worker's successor has another producer epoch, so each epoch with aborted data is a worker that died inside.
    """
    records = 0
    epochs: set[tuple[int, int]] = set()
    for pipeline in PIPELINES:
        for topic in pipeline.outputs:
            for partition in read_topic(log_directory, topic).values():
                for transaction in partition.transactions:
                    if transaction.fate is Fate.ABORTED:
                        records += transaction.count
                        epochs.add((transaction.producer_id, transaction.producer_epoch))
    return AbortedData(records, len(epochs))

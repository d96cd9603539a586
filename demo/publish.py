"""The project's commands as processes of their own, and the producer that is killed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined] # re-exported without __all__

from penstock.errors import StartFailed

_LOOK_EVERY_S = 0.05
_PATIENCE_S = 120.0
_COMMIT_INTERVAL_S = 0.25


class Kill(msgspec.Struct, kw_only=True):
    """One SIGKILL in the middle of publishing.

    Attributes:
        after_s: seconds since the first start of the producer.
        committed: records that were committed at that moment; counted afterwards.
        uncommitted: records in the transaction that died with the process.
        last_stable_offsets: {partition: offset} at that moment.
    """

    after_s: float
    uncommitted: int
    last_stable_offsets: dict[int, int]
    committed: int = 0


class Reached(Protocol):
    """Told how far a producer is."""

    def __call__(self, offsets: int, /) -> None:
        """So many offsets of its topic are committed."""


class Project:
    """Starts `penstock produce` and `penstock run` for one project on one cluster.

    Args:
        root: the project's folder.
        environment: variables of the processes.
        logs: a folder for what they print.
    """

    def __init__(self, root: Path, environment: Mapping[str, str], logs: Path) -> None:
        self._root, self._environment, self._logs = root, dict(environment), logs

    def start(self, verb: str, name: str, arguments: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a producer (`produce`) or a pipeline's worker (`run`)."""
        command = Path(sys.executable).with_name("penstock")
        with self._log(verb, name).open("ab") as log:
            return subprocess.Popen(
                [str(command), verb, name, *arguments],
                cwd=self._root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _log(self, verb: str, name: str) -> Path:
        return self._logs / f"{verb}-{name}.log"

    def finish(self, verb: str, name: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until it is done.

        Raises:
            StartFailed: it ended with an error; the message has its last words.
        """
        if (code := process.wait()) != 0:
            words = self._log(verb, name).read_text(errors="replace").strip().splitlines()[-15:]
            raise StartFailed(f"`penstock {verb} {name}` ended with code {code}:\n" + "\n".join(words))


def environment(bootstrap_servers: str, registry_url: str, state: Path) -> dict[str, str]:
    """Variables for producers and workers on this cluster; nobody's own settings mix in."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")} | {
        "PENSTOCK_PROFILE": "dev",
        "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "PENSTOCK_REGISTRY__URL": registry_url,
        "PENSTOCK_STATE__DIRECTORY": str(state),
        # A dead worker keeps its place in the group for this long; the default of 45 s would be most of the demo.
        "PENSTOCK_KAFKA__CONSUMER": '{"session.timeout.ms": 2000, "heartbeat.interval.ms": 500}',
    }


class TopicWatch:
    """How far a topic has grown, as its readers see it."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        self._topic = topic

    def committed(self) -> dict[int, int]:
        """{partition: last stable offset}; empty while there is no such topic."""
        return self._ends(IsolationLevel.READ_COMMITTED)

    def written(self) -> dict[int, int]:
        """{partition: high watermark}; empty while there is no such topic."""
        return self._ends(IsolationLevel.READ_UNCOMMITTED)

    def _ends(self, isolation: IsolationLevel) -> dict[int, int]:
        topics = self._admin.list_topics(timeout=10).topics
        if self._topic not in topics:
            return {}
        spec: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        asked = {TopicPartition(self._topic, number): spec for number in topics[self._topic].partitions}
        answers = self._admin.list_offsets(asked, isolation_level=isolation, request_timeout=10)
        try:
            return {place.partition: answer.result().offset for place, answer in answers.items()}
        except KafkaException:
            return {}  # a leader is not elected yet; the next look will see it


def publish_and_kill(
    project: Project,
    name: str,
    watch: TopicWatch,
    moments: Sequence[tuple[int, float]],
    reached: Reached,
    arguments: Sequence[str] = (),
) -> list[Kill]:
    """Run a producer to its end, killing it with SIGKILL on the way.

    Args:
        project: starts it.
        name: the producer.
        watch: of its topic.
        moments: of the kills: when the topic holds so many offsets, and then after so many seconds. The process has
            always published something itself before it dies.
        reached: told now and then how far it is.
        arguments: further ones for `penstock produce`.

    Raises:
        StartFailed: it ended before it could be killed, or with an error.
    """
    began = time.monotonic()
    kills: list[Kill] = []
    for threshold, delay_s in moments:
        process = project.start("produce", name, arguments)
        try:
            at_start = watch.written()
            # Its first act is to have its predecessor's transaction aborted: one marker in each partition, no record.
            own_first_record = sum(at_start.values()) + len(at_start) + 1
            _wait_until_written(process, watch, max(threshold, own_first_record), reached)
            time.sleep(delay_s)
            if process.poll() is not None:
                project.finish("produce", name, process)
                raise StartFailed(f"`penstock produce {name}` was done before it could be killed")
        finally:
            process.kill()
            process.wait()
        stable, written = watch.committed(), watch.written()
        kills.append(
            Kill(
                after_s=round(time.monotonic() - began, 2),
                uncommitted=sum(written.values()) - sum(stable.values()),
                last_stable_offsets=stable,
            )
        )
    process = project.start("produce", name, arguments)
    while process.poll() is None:
        reached(sum(watch.committed().values()))
        time.sleep(_LOOK_EVERY_S * 4)
    project.finish("produce", name, process)
    return kills


def random_moments(seed: int, total: int, kills: int) -> list[tuple[int, float]]:
    """Where and when to kill: anywhere in the topic but its ends, and anywhere in a transaction."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated, not to be kept secret
    thresholds = sorted(int(total * dice.uniform(0.03, 0.85)) for _ in range(kills))
    return [(threshold, dice.uniform(0, _COMMIT_INTERVAL_S)) for threshold in thresholds]


def _wait_until_written(process: subprocess.Popen[bytes], watch: TopicWatch, offsets: int, reached: Reached) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while process.poll() is None and sum(watch.written().values()) < offsets:
        if time.monotonic() > deadline:
            raise StartFailed(f"nothing was published for {_PATIENCE_S:.0f} s")
        reached(sum(watch.committed().values()))
        time.sleep(_LOOK_EVERY_S)

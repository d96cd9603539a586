"""Workers of one pipeline that come, go, die and stand still, as a test tells them to."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException

from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.testing.history.notes import fields
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.testing.segments import read_topic
from tests.broker.harness.bare_reader import CommittedOffset, group_offsets
from tests.broker.harness.failpoint import LOG, arm, release
from tests.broker.harness.victims import NO_COORDINATOR, members, nothing_is_open, stands_still, start, until
from tests.broker.runtime.numbers_topic import Numbers
from tests.broker.runtime.worker_oracle import Findings, Topics, check

SCRIPT = Path(__file__).with_name("group_worker.py")


@dataclass
class Cast:
    """The workers of one pipeline.

    Args:
        kafka: where.
        topic: of the numbers.
        partitions: how many it has.
        root: for the workers' folders.
        options: for each of them.
    """

    kafka: KafkaUnderTest
    topic: str
    partitions: int
    root: Path
    options: tuple[str, ...] = ()
    pipeline: str = field(default_factory=lambda: f"group-{uuid.uuid4().hex[:8]}")
    alive: dict[str, subprocess.Popen[str]] = field(default_factory=dict[str, "subprocess.Popen[str]"])
    _said_bytes: dict[str, int] = field(default_factory=dict[str, int])

    def join(self, name: str, *options: str, folder: str | None = None, instance: str | None = None) -> None:
        """Start a worker."""
        state = self.root / (folder or name)
        state.mkdir(exist_ok=True)
        own = ["--topic", self.topic, "--instance", instance or name]
        log = self.root / f"{name}.log"
        self._said_bytes[name] = len(log.read_bytes()) if log.exists() else 0
        self.alive[name] = start(SCRIPT, self.kafka, self.pipeline, state, *own, *self.options, *options, log=log)

    def log(self, name: str) -> str:
        """What this worker has said, all its lives together."""
        return (self.root / f"{name}.log").read_text()

    def leave(self, name: str) -> None:
        """Ask it to end, and see that it does."""
        process = self.alive.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
            # One that has not said a word is still being loaded on a busy machine, and heeds no signal yet.
            has_begun = len((self.root / f"{name}.log").read_bytes()) > self._said_bytes[name]
            expected = {0} if has_begun else {0, -signal.SIGTERM}
            assert process.returncode in expected, (process.returncode, self.log(name))
        except subprocess.TimeoutExpired as late:
            process.send_signal(signal.SIGUSR1)  # it says where it stands
            with suppress(subprocess.TimeoutExpired):
                process.wait(1)
            process.kill()
            process.wait()
            raise AssertionError(f"{name} has not ended: {self.log(name)[-8_000:]}") from late

    def kill(self, name: str) -> None:
        """SIGKILL."""
        process = self.alive.pop(name)
        process.kill()
        process.wait(30)

    def stop(self, name: str) -> None:
        """SIGSTOP, and wait until it stands still."""
        os.kill(self.alive[name].pid, signal.SIGSTOP)
        until(lambda: stands_still(self.alive[name].pid))

    def wake(self, name: str) -> None:
        """SIGCONT."""
        os.kill(self.alive[name].pid, signal.SIGCONT)

    def arm(self, name: str) -> None:
        """Let its failpoint count from now on."""
        arm(self.root / name)

    def until_it_holds(self, name: str) -> None:
        """Wait until it waits at its failpoint."""
        until(lambda: (self.root / name / LOG).exists() or self.alive[name].poll() is not None)
        assert self.alive[name].poll() is None, self.log(name)

    def release(self, name: str) -> None:
        """Let it go on from there."""
        release(self.root / name)

    def until_it_stands_still(self, name: str) -> None:
        """Wait until it has stopped itself at its failpoint."""
        process = self.alive[name]
        until(lambda: (self.root / name / LOG).exists() or process.poll() is not None)
        assert process.poll() is None, self.log(name)
        until(lambda: stands_still(process.pid))

    def until_it_is_dead(self, name: str) -> None:
        """Wait until it has killed itself at its failpoint."""
        process = self.alive[name]
        process.wait(60)
        del self.alive[name]
        assert (self.root / name / LOG).exists(), self.log(name)
        assert process.returncode == -signal.SIGKILL

    def members(self) -> int:
        """How many the coordinator believes to be there."""
        return members(self.kafka, self.pipeline)

    def until_members(self, count: int, timeout_s: float = 60.0) -> None:
        """Wait until the coordinator believes so many to be there; everyone must be alive."""

        def is_so() -> bool:
            self._everyone_is_alive()
            return self.members() == count

        until(is_so, timeout_s)

    def committed(self) -> list[CommittedOffset]:
        """The group's offsets, per partition; negative where there is none."""
        try:
            return group_offsets(self.kafka.bootstrap_servers, self.pipeline, self.topic, range(self.partitions))
        except KafkaException as exc:
            if exc.args[0].code() not in NO_COORDINATOR:
                raise
            return [CommittedOffset(-1, "")] * self.partitions

    def offsets(self) -> list[int]:
        """The group's places."""
        return [commit.offset for commit in self.committed()]

    def owners(self) -> list[tuple[str, int]]:
        """Who committed last, per partition, and how often the task has been claimed."""
        told = [fields(commit.metadata) for commit in self.committed()]
        return [
            (each.get("w", "").removeprefix(f"{self.pipeline}.").removesuffix(".0"), int(each.get("oe", 0)))
            for each in told
        ]

    @property
    def topics(self) -> Topics:
        """What the pipeline writes."""
        return Topics.of(self.pipeline, self.topic)

    def until_visible(self, timeout_s: float = 30.0) -> None:
        """Wait until a read_committed reader of all outputs is shown what is there now, or knows that it is aborted."""
        admin = Admin(Connection(self.kafka.bootstrap_servers))
        places = [(self.topics.sums, partition) for partition in range(admin.topics()[self.topics.sums].partitions)]
        ends = admin.end_offsets(places)
        try:
            until(
                lambda: all(at >= ends[p] for p, at in admin.end_offsets(places, "read_committed").items()), timeout_s
            )
        except AssertionError:
            raise AssertionError(f"open: {self.open_transactions()}") from None

    def until_nothing_is_open(self, timeout_s: float = 30.0) -> None:
        """Wait until no transaction is open in what the pipeline writes; less than a transaction's time-out."""
        topics = self.topics
        try:
            until(lambda: nothing_is_open(self.kafka, topics.sums, topics.changelog, topics.dead_letters), timeout_s)
        except AssertionError:
            raise AssertionError(f"open: {self.open_transactions()}") from None

    def open_transactions(self) -> list[str]:
        """Those that the files of the first broker show, for messages."""
        assert self.kafka.cluster is not None
        files, topics = self.kafka.cluster.log_directory(1), self.topics
        return [
            f"{topic}[{p}]@{t.first_offset} of {log.next_offset}: producer {t.producer_id}, epoch {t.producer_epoch}"
            for topic in (topics.sums, topics.changelog, topics.dead_letters)
            for p, log in read_topic(files, topic).items()
            for t in log.open_transactions
        ]

    def advance(self, timeout_s: float = 60.0, partitions: Sequence[int] | None = None) -> None:
        """Wait until these partitions, or all, have been processed further than now; everyone must be alive."""
        before = self.offsets()
        waited_for = range(self.partitions) if partitions is None else partitions

        def is_so() -> bool:
            self._everyone_is_alive()
            now = self.offsets()
            return all(now[partition] > before[partition] for partition in waited_for)

        until(is_so, timeout_s)

    def _everyone_is_alive(self) -> None:
        for name, process in self.alive.items():
            assert process.poll() is None, f"{name} has ended with {process.returncode}: {self.log(name)}"

    def finish(self, numbers: Numbers, timeout_s: float = 60.0) -> Findings:
        """Let the input be dealt with, everyone leave, and judge."""
        until(lambda: all(now >= end for now, end in zip(self.offsets(), numbers.last, strict=True)), timeout_s)
        for name in list(self.alive):
            self.leave(name)
        self.until_nothing_is_open()
        return check(self.kafka, self.pipeline, numbers)

    def close(self) -> None:
        """End what is left, after a failure; each says where it stands first."""
        for process in self.alive.values():
            process.send_signal(signal.SIGUSR1)
            process.send_signal(signal.SIGCONT)
        for process in self.alive.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.kill()
            process.wait(30)
        for log in sorted(self.root.glob("*.log")):
            print(f"{log.name}, its end:\n{log.read_text()[-6_000:]}")  # noqa: T201 - shown where the test failed

"""Brokers that are killed or paused while the demo runs: one at a time, by what they lead."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Event
from typing import Final, Literal

import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from demo.pipelines import FOLDED
from demo.watch import QUIET
from penstock.embedded import KafkaCluster
from penstock.errors import StartFailed
from penstock.testing.history.reading import java_hash

_EVERY_S: Final = (8.0, 16.0)
_DEAD_S: Final = (0.5, 4.0)
# Past the time after which the controllers take a broker for dead, and shorter.
_PAUSED_S: Final = (2.0, 14.0)
_PATIENCE_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.3

Role = Literal["coordinator of transactions", "coordinator of a group", "leader of an output"]
_ROLES: Final[tuple[Role, ...]] = ("coordinator of transactions", "coordinator of a group", "leader of an output")


class BrokerFault(msgspec.Struct, kw_only=True):
    """A broker that failed.

    Attributes:
        node: its id.
        kind: `killed` with SIGKILL and started again, or `paused` by SIGSTOP until SIGCONT.
        role: why it was this one.
        after_s: seconds since the first chance for a fault.
        lasted_s: seconds until it was started again or went on.
    """

    node: int
    kind: Literal["killed", "paused"]
    role: Role
    after_s: float
    lasted_s: float


@contextmanager
def failing_brokers(
    kafka: KafkaCluster, seed: int, tell: Callable[[BrokerFault], None]
) -> Generator[list[BrokerFault]]:
    """Let brokers of a cluster of three fail for the block, the next one when all are in step again.

    Afterwards, all of them are there and in step. None of a cluster of one fails.
    """
    faults: list[BrokerFault] = []
    if len(kafka.brokers) == 1:
        yield faults
        return
    stop = Event()
    run = _Run(kafka, random.Random(f"{seed} brokers"), faults, tell, stop)  # noqa: S311 - to be repeated
    with ThreadPoolExecutor(1) as background:
        running = background.submit(run.through)
        try:
            yield faults
        finally:
            stop.set()
        running.result()
    run.wait_until_in_step()


class _Run:
    """See `failing_brokers`."""

    def __init__(
        self,
        kafka: KafkaCluster,
        dice: random.Random,
        faults: list[BrokerFault],
        tell: Callable[[BrokerFault], None],
        stop: Event,
    ) -> None:
        self._kafka, self._dice, self._faults, self._tell, self._stop = kafka, dice, faults, tell, stop
        self._admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, **QUIET})

    def through(self) -> None:
        began = time.monotonic()
        for number in count():
            if self._stop.wait(self._dice.uniform(*_EVERY_S)):
                return
            self.wait_until_in_step()
            role = _ROLES[number % len(_ROLES)]
            node = self._victim(role)
            failed_at = time.monotonic()
            kind: Literal["killed", "paused"] = "paused" if number % 2 else "killed"
            if kind == "killed":
                self._kafka.brokers[node - 1].kill()
                self._stop.wait(self._dice.uniform(*_DEAD_S))
                lasted_s = time.monotonic() - failed_at
                self._kafka.brokers[node - 1].restart()
            else:
                self._kafka.brokers[node - 1].stop()
                self._stop.wait(self._dice.uniform(*_PAUSED_S))
                self._kafka.brokers[node - 1].cont()
                lasted_s = time.monotonic() - failed_at
            fault = BrokerFault(
                node=node,
                kind=kind,
                role=role,
                after_s=round(failed_at - began, 2),
                lasted_s=round(lasted_s, 2),
            )
            self._faults.append(fault)
            self._tell(fault)

    def wait_until_in_step(self) -> None:
        """Until each partition has all its replicas in sync."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._is_in_step():
            if time.monotonic() > deadline:
                raise StartFailed(f"the brokers have not come into step within {_PATIENCE_S:.0f} s")
            time.sleep(_LOOK_EVERY_S)

    def _is_in_step(self) -> bool:
        try:
            topics = self._admin.list_topics(timeout=10).topics.values()
        except KafkaException:
            return False
        return all(len(p.isrs) == len(p.replicas) for topic in topics for p in topic.partitions.values())

    def _victim(self, role: Role) -> int:
        """The id of a broker that leads a partition of this role."""
        topics = self._admin.list_topics(timeout=10).topics
        pipeline = self._dice.choice(FOLDED)
        match role:
            case "coordinator of transactions":
                topic, text = "__transaction_state", self._dice.choice(pipeline.transactional_ids)
            case "coordinator of a group":
                topic, text = "__consumer_offsets", pipeline.name
            case "leader of an output":
                topic, text = pipeline.outputs[0], str(self._dice.random())
        partitions = topics[topic].partitions if topic in topics else {}
        # There may be no output yet.
        leader = partitions[java_hash(text) % len(partitions)].leader if partitions else -1
        return leader if leader > 0 else self._dice.randrange(len(self._kafka.brokers)) + 1

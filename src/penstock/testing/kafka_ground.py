"""A real Kafka under a pipeline under test: the same tests as on the cluster in memory, slower, and the truth.

The workers run in the test's own process. Topics of the user's keep their names, so they are deleted before each test
and after it: only an embedded broker that nobody else uses is taken.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from threading import Thread
from typing import Final, NoReturn

from penstock.clock import Clock, SystemClock
from penstock.errors import KafkaUnavailable
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.consumer import Committed, GroupConsumer
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.group_view import Asked, GroupView
from penstock.kafka.partitioner import partition_for
from penstock.kafka.producer import IdempotentProducer
from penstock.kafka.reader import RawRecord, read_to_end
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.record import Headers
from penstock.runtime.assignment import needs_copartitioning
from penstock.runtime.opening import WorkerSurroundings
from penstock.testing.stepped_worker import SteppedWorker
from penstock.topology.topology import Topology

Partition = tuple[str, int]

_PATIENCE_S: Final = 60.0
_GONE_S: Final = 30.0


class KafkaGround:
    """`ground.Ground` on a broker that is embedded.

    Args:
        bootstrap_servers: of the broker.
        skip: called, with a reason, by a test that asks for what cannot be done here; does not return.
    """

    def __init__(self, bootstrap_servers: str, skip: Callable[[str], NoReturn]) -> None:
        self._skip = skip
        self.connection = Connection(bootstrap_servers)
        self.prefix = f"driver-{uuid.uuid4().hex[:8]}."
        self.patience_s = _PATIENCE_S
        self._clock = SystemClock()
        self._admin = Admin(self.connection)
        self._created: list[str] = []
        self._counts: dict[str, int] = {}
        self._group_settings = GroupSettings()
        self._threads: list[Thread] = []
        self._producer = IdempotentProducer(self.connection, f"{self.prefix}feeds")

    @property
    def clock(self) -> Clock:
        """The machine's."""
        return self._clock

    def create(self, name: str, partitions: int, config: Mapping[str, str]) -> None:
        """A topic of the user's, empty: one of this name that is there is deleted."""
        self._delete([name])
        self._admin.create([TopicSettings(name, partitions, config=config)])
        self._created.append(name)

    def _delete(self, names: Sequence[str]) -> None:
        there = [name for name in names if name in self._admin.topics()]
        if not there:
            return
        self._admin.delete(there)
        until_s = time.monotonic() + _GONE_S
        while set(there) & self._admin.topics().keys():
            if time.monotonic() > until_s:
                raise AssertionError(f"topics {there} do not go away")
            time.sleep(0.05)

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None,
        timestamp_ms: int | None,
        headers: Headers,
    ) -> tuple[int, int]:
        """Append a record outside of any transaction; its partition and offset, since nobody else writes there."""
        if partition is None:
            partition = 0 if key is None else partition_for(key, self.partitions(topic))
        place = (topic, partition)
        self._producer.produce(
            topic,
            [key],
            [value],
            partitions=[partition],
            headers=[headers],
            timestamps_ms=[self._clock.now_ms() if timestamp_ms is None else timestamp_ms],
        )
        self._producer.flush(_GONE_S)
        return partition, self._admin.end_offsets([place])[place] - 1

    def partitions(self, topic: str) -> int:
        """How many it has; 0 where there is no such topic."""
        if topic not in self._counts:
            found = self._admin.topics().get(topic)
            if found is None:
                return 0
            self._counts[topic] = found.partitions
        return self._counts[topic]

    def committed(self, topic: str) -> list[RawRecord]:
        """What a read_committed reader is shown: partition by partition, in offset order."""
        return [
            record
            for number in range(self.partitions(topic))
            for record in read_to_end(self.connection, topic, number, client_id="driver")
        ]

    def left(self, group: str, places: Sequence[Partition]) -> list[str]:
        """What is open, and which of these partitions the group has not committed to their ends."""
        ours = [name for name in self._admin.topics() if name in self._created or name.startswith(self.prefix)]
        written = [(name, number) for name in ours for number in range(self.partitions(name))]
        ends = self._admin.end_offsets(written)
        stable = self._admin.end_offsets(written, "read_committed")
        view = GroupView(self.connection, group, "driver")
        asked = Asked(lambda: view.last_offsets(places))
        try:
            offsets = _waited_for(asked)
        finally:
            view.close()
        at = {place: offsets[place].next_offset if place in offsets else -1 for place in places}
        return [
            *(
                f"a transaction in {topic}[{number}]"
                for (topic, number), end in ends.items()
                if stable[topic, number] < end
            ),
            *(f"{t}[{p}]: at {at[t, p]} of {stable[t, p]}" for t, p in places if at[t, p] < stable[t, p]),
        ]

    def worker(self, topology: Topology, around: WorkerSurroundings) -> SteppedWorker:
        """A worker, not started yet."""
        self._group_settings = GroupSettings(is_copartitioned=needs_copartitioning(topology))
        return SteppedWorker(topology, around)

    def rebalance(self, group: str) -> None:
        """Let another member come and go, while the workers are stepped."""
        thread = Thread(target=self._visit, args=(group,), name="penstock-driver-visitor", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _visit(self, group: str) -> None:
        visitor = _Visitor()
        member = GroupConsumer(self.connection, group, "driver-visitor", visitor, self._group_settings)
        member.subscribe(self._created[:1])
        until_s = time.monotonic() + _GONE_S
        while not visitor.has_joined and time.monotonic() < until_s:
            member.poll(1, 0.1)
        member.close()

    def fence(self, transactional_id: str) -> None:
        """Take this id over, and let go of it."""
        handle = KafkaTransactionalProducer(self.connection, transactional_id, 60_000, max_batch_bytes=1_000_000)
        until_s = time.monotonic() + _GONE_S
        while True:
            try:
                handle.init_transactions(1.0)
                break
            except KafkaUnavailable:
                if time.monotonic() > until_s:
                    raise
        handle.close()

    def check(self, verb: str) -> None:
        """Skip the test that asks for a delay or pause."""
        self._skip(f"{verb}() needs the cluster in memory")

    def late_copy(self, worker: SteppedWorker, request: str, seconds: float) -> None:
        """Not here: `check` has said so."""
        raise NotImplementedError

    def stand_still(self, worker: SteppedWorker, seconds: float, meanwhile: Callable[[float], None]) -> None:
        """Not here: `check` has said so."""
        raise NotImplementedError

    def close(self) -> None:
        """Delete what was created."""
        for thread in self._threads:
            thread.join()
        self._producer.close()
        self._delete([name for name in self._admin.topics() if name in self._created or name.startswith(self.prefix)])


class _Visitor:
    """A member that is there for the sake of the rebalance."""

    has_joined = False

    def on_assigned(self, partitions: list[Partition]) -> None:
        del partitions
        self.has_joined = True

    def on_revoked(self, partitions: list[Partition]) -> None:
        """Nothing was done with them."""

    def on_lost(self, partitions: list[Partition]) -> None:
        """Likewise."""


def _waited_for(asked: Asked[dict[Partition, Committed]]) -> dict[Partition, Committed]:
    until_s = time.monotonic() + _GONE_S
    while True:
        try:
            return asked.get()
        except KafkaUnavailable:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.01)

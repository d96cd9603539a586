"""Where a pipeline under test runs: on a cluster in memory, or on a real Kafka. `driver.py` is what tests use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from penstock.clock import Clock
from penstock.kafka.client import Connection
from penstock.kafka.reader import RawRecord
from penstock.record import Headers
from penstock.runtime.opening import WorkerSurroundings
from penstock.testing.cluster.clients import SimulatedClients
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.process import Trouble
from penstock.testing.cluster.reading import raw
from penstock.testing.cluster.worker import SimulatedWorker
from penstock.testing.stepped_worker import SteppedWorker
from penstock.topology.topology import Topology

Partition = tuple[str, int]


class Ground(Protocol):
    """See the module's text.

    Attributes:
        connection: for the workers' surroundings.
        prefix: of everything that is the pipeline's own.
        patience_s: so long, on its clock, a pipeline may take to deal with what it was fed.
    """

    connection: Connection
    prefix: str
    patience_s: float

    @property
    def clock(self) -> Clock:
        """The workers'."""
        ...

    def create(self, name: str, partitions: int, config: Mapping[str, str]) -> None:
        """A topic of the user's, empty."""
        ...

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
        """Append a record outside of any transaction; its partition and offset."""
        ...

    def partitions(self, topic: str) -> int:
        """How many it has; 0 where there is no such topic."""
        ...

    def committed(self, topic: str) -> list[RawRecord]:
        """What a read_committed reader is shown: partition by partition, in offset order."""
        ...

    def left(self, group: str, places: Sequence[Partition]) -> list[str]:
        """What is open, and which of these partitions the group has not committed to their ends."""
        ...

    def worker(self, topology: Topology, around: WorkerSurroundings) -> SteppedWorker:
        """A worker, not started yet."""
        ...

    def rebalance(self, group: str) -> None:
        """Let everybody join anew."""
        ...

    def fence(self, transactional_id: str) -> None:
        """Take this id over, and let go of it."""
        ...

    def check(self, verb: str) -> None:
        """Whether a delay or pause can be had here; ends the test if not."""
        ...

    def late_copy(self, worker: SteppedWorker, request: str, seconds: float) -> None:
        """Let the worker's next request of this kind be sent twice, and the first copy arrive so much later."""
        ...

    def stand_still(self, worker: SteppedWorker, seconds: float, meanwhile: Callable[[float], None]) -> None:
        """Let the worker, in the middle of its step, stand still while others work."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class SimulatedGround:
    """A cluster in memory.

    Args:
        seed: of what is left to chance.

    Attributes:
        cluster: that cluster.
    """

    def __init__(self, seed: int) -> None:
        self.cluster = SimulatedCluster(seed)
        self.connection = Connection("simulated")
        self.prefix = ""
        self.patience_s = 600.0

    @property
    def clock(self) -> Clock:
        """The cluster's."""
        return self.cluster.clock

    def create(self, name: str, partitions: int, config: Mapping[str, str]) -> None:
        """A topic of the user's, empty."""
        self.cluster.create(name, partitions, config)

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
        """Append a record outside of any transaction; its partition and offset."""
        return self.cluster.append(topic, key, value, partition=partition, timestamp_ms=timestamp_ms, headers=headers)

    def partitions(self, topic: str) -> int:
        """How many it has; 0 where there is no such topic."""
        return len(self.cluster.topics[topic].partitions) if topic in self.cluster.topics else 0

    def committed(self, topic: str) -> list[RawRecord]:
        """What a read_committed reader is shown: partition by partition, in offset order."""
        found: list[RawRecord] = []
        for number, log in enumerate(self.cluster.topics[topic].partitions):
            entries, _ = log.fetch(log.begin, log.high_watermark + 1, "read_committed")
            found += [raw((topic, number), entry) for entry in entries]
        return found

    def left(self, group: str, places: Sequence[Partition]) -> list[str]:
        """What is open, and which of these partitions the group has not committed to their ends."""
        if self.cluster.transactions.open_ids:
            return [f"transaction of '{name}'" for name in self.cluster.transactions.open_ids]
        offsets = self.cluster.groups.group(group).offsets.fetch(places, is_stable=False)
        found = [
            (
                place,
                offsets[place].next_offset if place in offsets else -1,
                self.cluster.partition(place).last_stable_offset,
            )
            for place in places
        ]
        return [f"{topic}[{number}]: at {at} of {end}" for (topic, number), at, end in found if at < end]

    def worker(self, topology: Topology, around: WorkerSurroundings) -> SimulatedWorker:
        """A worker, not started yet."""
        return SimulatedWorker(self.cluster, topology, around)

    def rebalance(self, group: str) -> None:
        """Let everybody join anew."""
        self.cluster.rebalance(group)

    def fence(self, transactional_id: str) -> None:
        """Take this id over, and let go of it."""
        clients = SimulatedClients(self.cluster, self.cluster.process("twin"))
        handle = clients.producer(transactional_id, 60_000, max_batch_bytes=1_000_000)
        handle.init_transactions(timeout_s=10.0)
        handle.close()

    def check(self, verb: str) -> None:
        """Everything can be done here."""

    def late_copy(self, worker: SteppedWorker, request: str, seconds: float) -> None:
        """Let the worker's next request of this kind be sent twice, and the first copy arrive so much later."""
        process = _simulated(worker).process
        process.troubles[request, process.requests[request] + 1] = Trouble("late copy", seconds)

    def stand_still(self, worker: SteppedWorker, seconds: float, meanwhile: Callable[[float], None]) -> None:
        """Let the worker, in the middle of its step, stand still while others work."""
        _simulated(worker).stand_still(seconds, meanwhile)

    def close(self) -> None:
        """Nothing to let go of."""


def _simulated(worker: SteppedWorker) -> SimulatedWorker:
    if not isinstance(worker, SimulatedWorker):
        raise TypeError("a worker of another ground")
    return worker

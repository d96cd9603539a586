"""The cluster: topics, coordinators, time and chance, in one place.

```python
cluster = SimulatedCluster(seed=7)
cluster.create("flights", partitions=2)
clients = SimulatedClients(cluster, cluster.process("worker"))   # what a worker is given
```

Everything that happens follows from the seed and from the order of the calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from penstock.kafka.partitioner import partition_for
from penstock.protocols import GroupMetadata
from penstock.record import Headers
from penstock.testing.cluster.brokers import Brokers
from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.compaction import Cleaner
from penstock.testing.cluster.consumer_groups import ConsumerGroupCoordinator, EpochMember
from penstock.testing.cluster.groups import GroupCoordinator, Membership
from penstock.testing.cluster.network import Network
from penstock.testing.cluster.partition import SimulatedPartition
from penstock.testing.cluster.process import Process, Trouble
from penstock.testing.cluster.refusal import Refusal
from penstock.testing.cluster.retention import Retention
from penstock.testing.cluster.transactions import TransactionCoordinator

Partition = tuple[str, int]

DEFAULTS: Final = {
    "cleanup.policy": "delete",
    "delete.retention.ms": "86400000",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.before.max.ms": str(2**63 - 1),
    "retention.bytes": "-1",
    "retention.ms": "604800000",
}
"""A topic's settings where nothing else was asked for, as a broker of today has them."""

_HEARTBEAT_S: Final = 0.5
_MARKER_DELAYS_S: Final = (*(0.0, 0.001, 0.002, 0.005, 0.02) * 6, 0.3, 0.3, 1.2)
_NOTICED_AFTER_S: Final = (0.05, 0.05, 1.0, 4.0)
"""A broker that is shut down says so; of one that is killed the others notice when its session is over."""


@dataclass(frozen=True, slots=True)
class SimulatedTopic:
    """A topic that is there.

    Attributes:
        id: unlike that of any other, also of an earlier topic of this name.
        config: its settings, defaults included.
        partitions: its logs.
    """

    id: str
    config: Mapping[str, str]
    partitions: tuple[SimulatedPartition, ...]


@dataclass(frozen=True, slots=True)
class Happening:
    """A mishap that took place: when, to whom, to which request, and what."""

    at_s: float
    process: str
    request: str
    what: str


class SimulatedCluster:
    """See the module's text.

    Args:
        seed: of everything that is left to chance: latencies of markers and heartbeats, sizes of fetches.
        brokers: how many.

    Attributes:
        clock: everybody's.
        random: everybody's.
        brokers: who leads what.
        topics: by name.
        groups: the group coordinator, by the classic protocol; also keeps every group's offsets.
        consumer_groups: likewise, by the newer one (KIP-848).
        transactions: the transaction coordinator.
        network: between processes and brokers.
        retention: deletes what is old.
        cleaner: compacts, once it is told to.
        happenings: every mishap so far.
    """

    def __init__(self, seed: int = 0, *, brokers: int = 1) -> None:
        self.clock = SimulatedClock()
        self.random = Random(seed)  # noqa: S311 - a schedule, not a secret
        self.brokers = Brokers(self.clock, brokers)
        self.topics: dict[str, SimulatedTopic] = {}
        self.happenings: list[Happening] = []
        self.network = Network(self.clock, self.brokers, self.kill, self.stop_broker, self._note)
        self.groups = GroupCoordinator(
            self.clock,
            heartbeat_s=lambda: self.random.random() * _HEARTBEAT_S,
            partitions_of=self._partitions_of,
            is_led=self._has_coordinator,
        )
        self.consumer_groups = ConsumerGroupCoordinator(
            self.clock, partitions_of=self._partitions_of, is_led=self._has_coordinator
        )
        self.transactions = TransactionCoordinator(
            self.clock,
            marker_delay_s=self._marker_delay_s,
            mark_partition=self._mark_partition,
            mark_group=lambda group, producer_id, epoch, commit: self.groups.group(group).offsets.end(
                producer_id, epoch, commit=commit
            ),
            is_led=lambda seat: self.brokers.leader(seat) is not None,
        )
        self.retention = Retention(self.clock, self.topics.values)
        self.cleaner = Cleaner(self.clock, self.topics.values)
        self._logs: dict[Partition, SimulatedPartition] = {}
        self._created = 0
        self._idempotent = 0

    # ------------------------------------------------------------ topics

    def create(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Create a topic."""
        self._created += 1
        logs = tuple(SimulatedPartition() for _ in range(partitions))
        self.topics[name] = SimulatedTopic(f"topic-{self._created}", {**DEFAULTS, **(config or {})}, logs)
        self._logs = {place: log for place, log in self._logs.items() if place[0] != name}
        self._logs |= {(name, number): log for number, log in enumerate(logs)}

    def partition(self, place: Partition) -> SimulatedPartition:
        """One partition's log.

        Raises:
            Refusal: there is none.
        """
        found = self._logs.get(place)
        if found is None:
            raise Refusal("UNKNOWN_TOPIC_OR_PART")
        return found

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers = (),
    ) -> tuple[int, int]:
        """Append a record outside of any transaction; returns its partition and offset.

        By key where no partition is named, as Java does it; without a key to partition 0.
        """
        if partition is None:
            partition = 0 if key is None else partition_for(key, len(self.topics[topic].partitions))
        stamp_ms = self.clock.now_ms() if timestamp_ms is None else timestamp_ms
        return partition, self.partition((topic, partition)).append(key, value, stamp_ms, headers)

    def idempotent_id(self) -> int:
        """For a producer without transactions, unlike that of any other; below 0, for it stands in no log."""
        self._idempotent += 1
        return -1 - self._idempotent

    # ------------------------------------------------------------ groups

    def _partitions_of(self, topic: str) -> int:
        return len(self.topics[topic].partitions) if topic in self.topics else 0

    def _has_coordinator(self, group: str) -> bool:
        return self.brokers.leader(("group", group)) is not None

    def rebalance(self, group: str) -> None:
        """Have everybody take part in a rebalance, as when a member comes or goes."""
        if group in self.consumer_groups:
            self.consumer_groups.rebalance(group)
        else:
            self.groups.rebalance(group)

    def members(self, group: str) -> Sequence[Membership | EpochMember]:
        """Who is in a group."""
        if group in self.consumer_groups:
            return self.consumer_groups.members(group)
        return list(self.groups.group(group).members.values())

    def check_member(self, group: str, member: GroupMetadata, partitions: Collection[Partition]) -> None:
        """Whether offsets of these partitions may be committed by this member.

        Raises:
            Refusal: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION.
        """
        if group in self.consumer_groups:
            self.consumer_groups.check(group, member.member_id, member.generation, partitions)
        else:
            self.groups.check(group, member.member_id, member.generation)

    # ------------------------------------------------------------ brokers

    def stop_broker(self, broker: int, for_s: float) -> None:
        """Stop one for so long, in good order or by `kill -9`, as chance will have it."""
        self.brokers.stop(broker, for_s=for_s, noticed_after_s=self.random.choice(_NOTICED_AFTER_S))

    # ------------------------------------------------------------ processes

    def process(self, name: str) -> Process:
        """A new process; a later one may have the same name."""
        return Process(name)

    def kill(self, process: Process) -> None:
        """As `kill -9`: it does nothing any more; its transaction stays open, and the group misses it in time."""
        process.is_alive = False
        self._silence(process)

    def freeze(self, process: Process) -> None:
        """As SIGSTOP."""
        self._silence(process)

    def thaw(self, process: Process) -> None:
        """As SIGCONT. Whether its client has already heard that the group forgot it is left to chance."""
        process.is_silent = False
        self.groups.speak_again(process, lambda: self.random.random() < 0.5)

    def _silence(self, process: Process) -> None:
        process.is_silent = True
        process.silences += 1
        self.groups.fall_silent(process)
        self.consumer_groups.fall_silent(process)

    def _note(self, process: Process, request: str, trouble: Trouble) -> None:
        self.happenings.append(Happening(self.clock.monotonic_s(), process.name, request, trouble.what))

    # ------------------------------------------------------------ markers

    def _marker_delay_s(self) -> float:
        """Mostly at once, now and then later than whatever comes next."""
        return self.random.choice(_MARKER_DELAYS_S)

    def _mark_partition(self, place: Partition, producer_id: int, epoch: int, commit: bool) -> None:
        self.partition(place).mark(producer_id, epoch, self.clock.now_ms(), commit=commit)

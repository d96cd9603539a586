"""How far a simulated pipeline is. Asked before every step, so that nothing is looked at twice that cannot change."""

from __future__ import annotations

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.offsets import StoredOffset
from penstock.testing.simulation.recorded import ParkedKeys
from penstock.testing.simulation.shape import PIPELINE
from penstock.topology.topology import Topology


class Progress:
    """Of one pipeline on one cluster.

    Args:
        cluster: where.
        topology: the pipeline.
    """

    def __init__(self, cluster: SimulatedCluster, topology: Topology) -> None:
        self._cluster = cluster
        self._offsets = cluster.groups.group(PIPELINE).offsets
        self._inputs = [topic.name for group in topology.groups.values() for topic in group.input_topics]
        self._places: list[tuple[str, int]] = []
        self._topics = 0
        self._logged = 0
        self._committed = 0
        self._reached: dict[tuple[str, int], int] = {}
        self._taken_in = 0
        self._decisions = 0
        self._commits = 0
        changelogs = [f"{PIPELINE}.{group.name}.changelog" for group in topology.groups.values() if group.has_changelog]
        self._parked = [ParkedKeys(cluster, changelog) for changelog in changelogs]

    def committed(self) -> int:
        """Grows with every offset that is committed."""
        if len(self._offsets.log) != self._logged:
            self._logged = len(self._offsets.log)
            fetched = self._offsets.fetch(self._read(), is_stable=False)
            self._committed = sum(each.next_offset for each in fetched.values())
        return self._committed

    def transactions(self) -> int:
        """Grows with every transaction that is committed: what was parked moves no offset."""
        decisions = self._cluster.transactions.decisions
        self._commits += sum(decision.is_commit for decision in decisions[self._decisions :])
        self._decisions = len(decisions)
        return self._commits

    def parked(self) -> int:
        """Keys with records that are to be tried again, as the changelogs have it: a task may be nobody's just now."""
        return sum(changelog.count() for changelog in self._parked)

    def left(self) -> str:
        """A partition that is not read to its end; empty = there is none.

        Without transactions a late copy of a commit puts a group back, as it does on a broker, and it stays there until
        the next commit. A worker that has nothing to do makes none: it counts how far the group ever was.
        """
        self._take_in()
        offsets = self._offsets.fetch(self._read(), is_stable=False)
        for place in self._read():
            end, committed = self._cluster.partition(place).last_stable_offset, offsets.get(place)
            if committed is None or max(committed.next_offset, self._reached.get(place, 0)) < end:
                return f"{place} is committed up to {committed and committed.next_offset} of {end}"
        return ""

    def _take_in(self) -> None:
        """What was committed without a transaction since the last look."""
        for entry in self._offsets.log[self._taken_in :]:
            if isinstance(entry, StoredOffset) and entry.producer_id < 0:
                self._reached[entry.partition] = max(entry.next_offset, self._reached.get(entry.partition, 0))
        self._taken_in = len(self._offsets.log)

    def _read(self) -> list[tuple[str, int]]:
        """What the pipeline reads, its own topics as soon as they are there."""
        topics = self._cluster.topics
        if len(topics) != self._topics:
            self._topics = len(topics)
            there = [name for name in self._inputs if name in topics]
            self._places = [(name, number) for name in there for number in range(len(topics[name].partitions))]
        return self._places

"""What a simulated cluster has recorded, as a history for the checker (`penstock.testing.history`)."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.offsets import OffsetMarker
from penstock.testing.cluster.partition import Kind, SimulatedPartition, Stored
from penstock.testing.history import Data, History, Log, Marker, OffsetCommit, Place, Writer
from penstock.testing.record_batch import StoredRecord


def history_of(cluster: SimulatedCluster, group: str) -> History:
    """Every partition's log and the group's, with what is open or was aborted."""
    logs = {
        Place(topic, number): _log(log)
        for topic, found in cluster.topics.items()
        for number, log in enumerate(found.partitions)
    }
    return History(logs, _group_log(cluster, group))


class ParkedKeys:
    """Keys that are parked, by what is committed in a changelog; what is decided is looked at once.

    Args:
        cluster: where.
        changelog: the topic; it may come to be later.
    """

    def __init__(self, cluster: SimulatedCluster, changelog: str) -> None:
        self._cluster = cluster
        self._changelog = changelog
        self._decided: dict[int, tuple[int, set[bytes]]] = {}

    def count(self) -> int:
        """How many there are now."""
        return sum(map(self._count, range(len(self._cluster.topics[self._changelog].partitions))))

    def _count(self, number: int) -> int:
        log = self._cluster.partition((self._changelog, number))
        behind, found = self._decided.get(number, (0, set[bytes]()))
        stable, end = log.last_stable_offset, log.high_watermark
        _follow(log.between(behind, stable), found)
        self._decided[number] = stable, found
        if stable == end:
            return len(found)
        found = set(found)
        _follow(log.between(stable, end), found)
        return len(found)


def _follow(entries: Iterable[Stored], found: set[bytes]) -> None:
    for entry in entries:
        key = entry.key or b""
        if entry.is_committed and key[1:].startswith(b"parked-keys-"):  # behind the length of the store's name
            (found.discard if entry.value is None else found.add)(key)


def _log(log: SimulatedPartition) -> Log[Data]:
    entries: list[Data | Marker] = []
    for entry in log.entries:  # also what was purged meanwhile: a simulated log forgets nothing
        writer = Writer(entry.producer_id, entry.epoch)
        if entry.kind is Kind.DATA:
            record = StoredRecord(entry.offset, entry.timestamp_ms, entry.key, entry.value, entry.headers)
            entries.append(Data(record, writer, is_transactional=entry.producer_id >= 0))
        else:
            entries.append(Marker(entry.offset, writer, entry.kind is Kind.COMMIT))
    return Log(entries, 0, log.high_watermark)


def _group_log(cluster: SimulatedCluster, group: str) -> Log[OffsetCommit]:
    entries: list[OffsetCommit | Marker] = []
    for offset, entry in enumerate(cluster.groups.group(group).offsets.log):
        writer = Writer(entry.producer_id, entry.epoch)
        if isinstance(entry, OffsetMarker):
            entries.append(Marker(offset, writer, entry.is_commit))
            continue
        source, is_transactional = Place(*entry.partition), entry.producer_id >= 0
        entries.append(
            OffsetCommit(offset, source, entry.next_offset, entry.metadata, writer, is_transactional=is_transactional)
        )
    return Log(entries, 0, len(entries))

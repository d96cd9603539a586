"""What a simulated cluster has recorded, as a history for the checker (`penstock.testing.history`)."""

from __future__ import annotations

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.offsets import OffsetMarker
from penstock.testing.cluster.partition import Kind, SimulatedPartition
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


def parked_keys(cluster: SimulatedCluster, changelog: str) -> int:
    """How many keys are parked, by what is committed in a changelog."""
    found: set[tuple[int, bytes]] = set()
    for number, log in enumerate(cluster.topics[changelog].partitions):
        for entry in log.entries:
            key = entry.key or b""
            if entry.is_committed and key[1:].startswith(b"parked-keys-"):  # behind the length of the store's name
                (found.discard if entry.value is None else found.add)((number, key))
    return len(found)


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

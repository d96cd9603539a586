"""Where a restored task begins: the group's offsets and the task's changelog must say the same, or it stands still.

They do if one topology has written both. After a deploy they may speak of other topics than those that are read now,
and of other stores; `lineage.py` says what of it goes on. The rule, by what is there:

    neither offsets nor a commit record   a new task: each source from where its declaration says
    offsets only                          good if whoever made them kept no changelog of this group: state begins empty
    a commit record only                  the offsets have expired: an operator sets them
    both                                  what both speak of has to be equal; unless an offset was committed later, by a
                                          topology without this changelog: it is a leftover then, and state begins empty

A topic that is new to the state goes on where the group is. A table that begins empty is read from its beginning, and
to its end before any stream goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from penstock.errors import OperatorMustDecide
from penstock.kafka.consumer import Committed
from penstock.runtime.lineage import Lineage
from penstock.runtime.merge import Partition
from penstock.runtime.stream_time import StreamTime
from penstock.runtime.task import Progress, TaskId
from penstock.state.commit_record import CommitRecord
from penstock.state.offset_metadata import OffsetMetadata, parse

Offsets = dict[Partition, int]

_NOTHING = OffsetMetadata(sequence=0, writer="", owner_epoch=0)


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a task goes on with.

    Attributes:
        progress: where it begins.
        kept: stores whose entries go on, all others are deleted; None = every entry goes on.
    """

    progress: Progress
    kept: frozenset[str] | None = None


class Inheritance:
    """One task's.

    Args:
        task_id: for messages, and for the group's name.
        sources: the task's partitions.
        committed: where the group is, stable.
        first_offset: where a source begins for a group that never read it.
        lineage: the deploys so far; None = no other topology has ever run here.

    Raises:
        OperatorMustDecide: by either method: what is there does not fit together, or not this code. Both sides are
            named, and what accepts them.
    """

    def __init__(
        self,
        task_id: TaskId,
        sources: tuple[Partition, ...],
        committed: Mapping[Partition, Committed],
        first_offset: Callable[[Partition], int],
        lineage: Lineage | None,
    ) -> None:
        self._id = task_id
        self._sources = sources
        self._committed = committed
        self._first_offset = first_offset
        self._lineage = lineage
        told = {partition: parse(each.metadata) for partition, each in committed.items()}
        self._told: dict[Partition, OffsetMetadata] = {p: found for p, found in told.items() if found is not None}

    def without_state(self) -> Inherited:
        """Of a task that keeps nothing."""
        self._makers()  # refuses to take over from newer code
        return Inherited(self._by_offsets(self._group_positions()))

    def with_state(self, record: CommitRecord | None) -> Inherited:
        """Of a task whose changelog ends with this record."""
        makers = self._makers()
        if record is None:
            return self._from_nothing(makers)
        # The record's partitions were all committed with it: whoever else stands beside an offset of them came later.
        later = {makers.get((topic, self._id.partition)) for topic in record.next_offsets} - {None, record.topology}
        if any(not self._kept_the_changelog(topology) for topology in later if topology is not None):
            return self._beginning_empty()
        return self._from(record)

    # ------------------------------------------------------------ the cases

    def _from_nothing(self, makers: Mapping[Partition, str | None]) -> Inherited:
        if not self._committed:
            return self._beginning_empty()
        if any(topology is None or self._kept_the_changelog(topology) for topology in makers.values()):
            raise OperatorMustDecide(
                f"task {self._id}: the group has committed {_listed(self._group_positions())}, but its changelog is "
                "empty: it was deleted, or belongs to another pipeline. Bring it back, or start the pipeline anew "
                "under another name"
            )
        return self._beginning_empty()

    def _from(self, record: CommitRecord) -> Inherited:
        recorded = {(topic, self._id.partition): offset for topic, offset in record.next_offsets.items()}
        kept: frozenset[str] | None = None
        read_again: frozenset[str] = frozenset()
        spoken_of = set(self._sources) | recorded.keys()
        if self._lineage is not None and not self._lineage.is_ours(record.topology):
            ancestry = self._lineage.ancestry(self._id.group, record.topology)
            kept, read_again = ancestry.kept, ancestry.read_again
            spoken_of = set(self._sources) & recorded.keys()
        self._compare(record, recorded, spoken_of)
        positions = self._group_positions() | {p: recorded[p] for p in self._sources if p in recorded}
        positions |= {p: self._first_offset(p) for p in self._sources if p[0] in read_again}
        progress = self._by_offsets(positions)
        progress.sequence, progress.owner_epoch = record.sequence, record.owner_epoch
        clocks = {} if record.clocks_ms is msgspec.UNSET else record.clocks_ms
        progress.time = StreamTime(record.stream_time_ms, clocks)
        progress.streams_begun = record.streams_begun and not read_again
        return Inherited(progress, kept)

    def _compare(self, record: CommitRecord, recorded: Offsets, spoken_of: set[Partition]) -> None:
        """Whether offsets and changelog say the same of these partitions."""
        recorded = {partition: offset for partition, offset in recorded.items() if partition in spoken_of}
        group = {partition: offset for partition, offset in self._group_positions().items() if partition in spoken_of}
        if recorded and not self._committed.keys() & recorded.keys():
            raise OperatorMustDecide(
                f"task {self._id}: the group's offsets are gone (expired, or deleted), its changelog says "
                f"{_listed(recorded)}. Set the group's offsets to these, then start again"
            )
        sequence = max((m.sequence for p, m in self._told.items() if p in spoken_of), default=0)
        if recorded != group or sequence not in {0, record.sequence}:
            raise OperatorMustDecide(
                f"task {self._id}: the group is at {_listed(group)}, its changelog at {_listed(recorded)} "
                f"(transactions {sequence} and {record.sequence}). Behind: an operator has rewound it, or a "
                "transaction was torn; ahead: the changelog was lost. Set the group's offsets to the changelog's, or "
                "start the pipeline anew under another name"
            )

    def _makers(self) -> dict[Partition, str | None]:
        """{partition: the topology that committed its offset}; None where that is not told. All may be taken over."""
        makers = {p: self._told[p].topology if p in self._told else None for p in self._committed}
        for topology in {each for each in makers.values() if each is not None}:
            self._kept_the_changelog(topology)
        return makers

    def _kept_the_changelog(self, topology: str) -> bool:
        return self._lineage is None or self._lineage.ancestry(self._id.group, topology).kept_changelog

    # ------------------------------------------------------------ positions

    def _group_positions(self) -> Offsets:
        """Where the group is; a source that it never committed begins where its declaration says."""
        return {
            partition: self._committed[partition].next_offset
            if partition in self._committed
            else self._first_offset(partition)
            for partition in self._sources
        }

    def _beginning_empty(self) -> Inherited:
        """Where the group is, tables at their beginning; and before the streams, as at the first start of all."""
        tables = frozenset[str]() if self._lineage is None else self._lineage.tables(self._id.group)
        again = {partition: self._first_offset(partition) for partition in self._sources if partition[0] in tables}
        progress = self._by_offsets(self._group_positions() | again)
        progress.streams_begun = False
        return Inherited(progress, kept=frozenset() if self._committed else None)

    def _by_offsets(self, positions: Offsets) -> Progress:
        last = max(self._told.values(), key=lambda metadata: metadata.sequence, default=_NOTHING)
        return Progress(
            positions,
            sequence=last.sequence,
            owner_epoch=max((metadata.owner_epoch for metadata in self._told.values()), default=0),
            time=StreamTime(last.stream_time_ms),
            append_time_ms=last.append_time_ms,
            event_time_ms=last.event_time_ms,
        )


def _listed(offsets: Mapping[Partition, int]) -> str:
    return ", ".join(f"{topic}[{partition}]={offset}" for (topic, partition), offset in sorted(offsets.items()))

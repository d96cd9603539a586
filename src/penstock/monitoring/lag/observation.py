"""What one cycle over a cluster found; unchangeable, so that other threads may read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.kafka.extents import Extent
from penstock.kafka.polled import Partition
from penstock.monitoring.lag.standing import Status
from penstock.monitoring.lag.time_lag import TimeLag


@dataclass(frozen=True, slots=True)
class Backlog:
    """A group on a partition.

    Attributes:
        group: whose.
        topic: where.
        partition: likewise.
        committed: the next offset to read; None = it has committed none here.
        end: as far as it can read now.
        lag: offsets between the two, never negative; None without a commit.
        time_lag: how old the next record is; None = not known.
        headroom: how far the commit is from the deletion of records: 1 = at the end, 0 = at the beginning of the log.
        status: see `standing.py`.
    """

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int | None
    time_lag: TimeLag | None
    headroom: float | None
    status: Status


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group: its state as Kafka names it, and its members."""

    state: str
    members: int


@dataclass(frozen=True, slots=True)
class Observation:
    """One cycle.

    Attributes:
        at_ms: when it began, since 1970 UTC.
        duration_s: how long it took.
        extents: of the partitions that groups read.
        stuck_since_ms: {partition whose last stable offset stands below a moving high watermark: since when}.
        backlogs: one for each group and partition.
        groups: {name: state}.
        drain_s: {(group, topic): seconds until it has caught up}; infinite while it does not come nearer.
        lost: {(group, topic): offsets deleted before they were read, so far}.
        requests: {(what was asked, outcome): how often, so far}.
        degraded: {why: partitions that could not be judged}.
        widths: {topic that groups read: its partitions}.
    """

    at_ms: int
    duration_s: float = 0.0
    extents: Mapping[Partition, Extent] = field(default_factory=dict[Partition, Extent])
    stuck_since_ms: Mapping[Partition, int] = field(default_factory=dict[Partition, int])
    backlogs: tuple[Backlog, ...] = ()
    groups: Mapping[str, GroupState] = field(default_factory=dict[str, GroupState])
    drain_s: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    lost: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    requests: Mapping[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    degraded: Mapping[str, int] = field(default_factory=dict[str, int])
    widths: Mapping[str, int] = field(default_factory=dict[str, int])

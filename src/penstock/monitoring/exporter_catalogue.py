"""Every metric of the lag exporter."""

from __future__ import annotations

from typing import Final

from penstock.monitoring.lag.standing import STATUSES
from penstock.monitoring.metric import Metric
from penstock.monitoring.process_catalogue import PROCESS

_PARTITION: Final = ("cluster", "topic", "partition")
_GROUP_TOPIC: Final = ("cluster", "group", "topic")
_GROUP_PARTITION: Final = (*_GROUP_TOPIC, "partition")

LOG_START: Final = Metric(
    "kafka_partition_log_start_offset", "gauge", _PARTITION, "The first offset that is still in the log."
)
LAST_STABLE: Final = Metric(
    "kafka_partition_last_stable_offset", "gauge", _PARTITION, "As far as read_committed consumers can read."
)
HIGH_WATERMARK: Final = Metric(
    "kafka_partition_high_watermark_offset", "gauge", _PARTITION, "As far as read_uncommitted consumers can read."
)
UNSTABLE: Final = Metric(
    "kafka_partition_unstable_offsets", "gauge", _PARTITION, "Offsets that open transactions keep from read_committed."
)
LSO_STUCK: Final = Metric(
    "kafka_partition_lso_stuck_since_timestamp_seconds",
    "gauge",
    _PARTITION,
    "Since when the last stable offset stands still below a high watermark that moves; only while it does.",
)
COMMITTED: Final = Metric(
    "kafka_group_committed_offset", "gauge", _GROUP_PARTITION, "The next offset that a group reads."
)
LAG: Final = Metric(
    "kafka_group_lag_offsets", "gauge", _GROUP_PARTITION, "Offsets between the commit and what the group can read."
)
TIME_LAG: Final = Metric(
    "kafka_group_time_lag_seconds",
    "gauge",
    _GROUP_PARTITION,
    "Age of the next record to be read; 0 where nothing waits.",
)
TIME_LAG_ERROR: Final = Metric(
    "kafka_group_time_lag_error_seconds", "gauge", _GROUP_PARTITION, "How wrong the time lag may be, on either side."
)
HEADROOM: Final = Metric(
    "kafka_group_retention_headroom_ratio",
    "gauge",
    _GROUP_PARTITION,
    "How far the commit is from records being deleted before they are read: 1 = at the end, 0 = at the beginning.",
)
TOPIC_LAG: Final = Metric("kafka_group_topic_lag_offsets", "gauge", _GROUP_TOPIC, "Lag over all partitions.")
TOPIC_TIME_LAG: Final = Metric(
    "kafka_group_topic_time_lag_seconds", "gauge", _GROUP_TOPIC, "Time lag of the partition that is furthest behind."
)
TOPIC_DRAIN: Final = Metric(
    "kafka_group_topic_drain_seconds",
    "gauge",
    _GROUP_TOPIC,
    "When the group will have caught up, at the pace of the last cycles; +Inf while it comes no nearer.",
)
TOPIC_HEADROOM: Final = Metric(
    "kafka_group_topic_retention_headroom_ratio",
    "gauge",
    _GROUP_TOPIC,
    "Head-room of the partition that has the least.",
)
PARTITIONS: Final = Metric(
    "kafka_group_partitions",
    "gauge",
    (*_GROUP_TOPIC, "status"),
    "Partitions by how the group stands there.",
    values=(("status", STATUSES),),
)
UNHEALTHY: Final = Metric(
    "kafka_group_partition_unhealthy",
    "gauge",
    (*_GROUP_PARTITION, "status"),
    "1 for each partition that is neither ok nor without a commit.",
    values=(("status", STATUSES),),
)
LOST: Final = Metric(
    "kafka_group_lost_offsets_total",
    "counter",
    _GROUP_TOPIC,
    "Offsets that were deleted before the group had read them.",
)
GROUP_STATE: Final = Metric("kafka_group_state", "gauge", ("cluster", "group", "state"), "1 for the state of a group.")
GROUP_MEMBERS: Final = Metric("kafka_group_members", "gauge", ("cluster", "group"), "Members of a group.")
SUCCESS: Final = Metric(
    "kafka_lag_exporter_last_success_timestamp_seconds",
    "gauge",
    ("cluster",),
    "When a cycle last succeeded; 0 = never.",
)
CYCLE: Final = Metric("kafka_lag_exporter_cycle_duration_seconds", "gauge", ("cluster",), "Time of the last cycle.")
REQUESTS: Final = Metric(
    "kafka_lag_exporter_requests_total",
    "counter",
    ("cluster", "api", "outcome"),
    "What the cluster was asked.",
    values=(("outcome", ("ok", "failed")),),
)
DEGRADED: Final = Metric(
    "kafka_lag_exporter_degraded_partitions",
    "gauge",
    ("cluster", "reason"),
    "Partitions, and whole groups, that did not answer in the last cycle and are left out.",
    values=(("reason", ("partition", "group")),),
)

EXPORTER: Final = (
    LOG_START, LAST_STABLE, HIGH_WATERMARK, UNSTABLE, LSO_STUCK,
    COMMITTED, LAG, TIME_LAG, TIME_LAG_ERROR, HEADROOM,
    TOPIC_LAG, TOPIC_TIME_LAG, TOPIC_DRAIN, TOPIC_HEADROOM, PARTITIONS, UNHEALTHY, LOST,
    GROUP_STATE, GROUP_MEMBERS,
    SUCCESS, CYCLE, REQUESTS, DEGRADED,
    *PROCESS,
)  # fmt: skip
"""All metrics of the lag exporter, in the order of the reference."""

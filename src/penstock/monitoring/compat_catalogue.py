"""Names under which other lag exporters tell the same, for dashboards and autoscalers that ask for these.

Names and labels are those of danielqsj/kafka_exporter (KE) and of seglo/kafka-lag-exporter (KLE); numbers are ours: lag
is measured against what the group can read, and what is not known is not told. What those tell beside lag (brokers,
leaders, replicas) is for the brokers' own metrics.
"""

from __future__ import annotations

from typing import Final

from penstock.monitoring import exporter_catalogue as ours
from penstock.monitoring.metric import Metric

# ------------------------------------------------------------ kafka_exporter

_PARTITION: Final = ("topic", "partition")
_GROUP_TOPIC: Final = ("consumergroup", "topic")


def _gauge(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name, "gauge", labels, text)


KE_PARTITIONS: Final = _gauge(
    "kafka_topic_partitions", ("topic",), "Partitions of a topic that some group reads; not told elsewhere."
)
KE_CURRENT: Final = _gauge("kafka_topic_partition_current_offset", _PARTITION, f"`{ours.HIGH_WATERMARK}`.")
KE_OLDEST: Final = _gauge("kafka_topic_partition_oldest_offset", _PARTITION, f"`{ours.LOG_START}`.")
KE_COMMITTED: Final = _gauge("kafka_consumergroup_current_offset", (*_GROUP_TOPIC, "partition"), f"`{ours.COMMITTED}`.")
KE_COMMITTED_SUM: Final = _gauge(
    "kafka_consumergroup_current_offset_sum", _GROUP_TOPIC, f"Sum of `{ours.COMMITTED}` over partitions."
)
KE_LAG: Final = _gauge("kafka_consumergroup_lag", (*_GROUP_TOPIC, "partition"), f"`{ours.LAG}`.")
KE_LAG_SUM: Final = _gauge("kafka_consumergroup_lag_sum", _GROUP_TOPIC, f"`{ours.TOPIC_LAG}`.")
KE_MEMBERS: Final = _gauge("kafka_consumergroup_members", ("consumergroup",), f"`{ours.GROUP_MEMBERS}`.")

# ------------------------------------------------------------ kafka-lag-exporter

_OF_PARTITION: Final = ("cluster_name", "topic", "partition")
_OF_GROUP: Final = ("cluster_name", "group")
_OF_TOPIC: Final = (*_OF_GROUP, "topic")

KLE_LATEST: Final = _gauge("kafka_partition_latest_offset", _OF_PARTITION, f"`{ours.HIGH_WATERMARK}`.")
KLE_EARLIEST: Final = _gauge("kafka_partition_earliest_offset", _OF_PARTITION, f"`{ours.LOG_START}`.")
KLE_OFFSET: Final = _gauge("kafka_consumergroup_group_offset", (*_OF_TOPIC, "partition"), f"`{ours.COMMITTED}`.")
KLE_LAG: Final = _gauge("kafka_consumergroup_group_lag", (*_OF_TOPIC, "partition"), f"`{ours.LAG}`.")
KLE_LAG_SECONDS: Final = _gauge(
    "kafka_consumergroup_group_lag_seconds", (*_OF_TOPIC, "partition"), f"`{ours.TIME_LAG}`."
)
KLE_MAX_LAG: Final = _gauge("kafka_consumergroup_group_max_lag", _OF_GROUP, f"Greatest `{ours.LAG}` of a group.")
KLE_MAX_LAG_SECONDS: Final = _gauge(
    "kafka_consumergroup_group_max_lag_seconds", _OF_GROUP, f"Greatest `{ours.TIME_LAG}` of a group."
)
KLE_SUM_LAG: Final = _gauge("kafka_consumergroup_group_sum_lag", _OF_GROUP, f"Sum of `{ours.LAG}` of a group.")
KLE_TOPIC_SUM_LAG: Final = _gauge("kafka_consumergroup_group_topic_sum_lag", _OF_TOPIC, f"`{ours.TOPIC_LAG}`.")
KLE_POLL_TIME: Final = _gauge(
    "kafka_consumergroup_poll_time_ms", ("cluster_name",), f"`{ours.CYCLE}`, in milliseconds."
)

COMPAT: Final = (
    KE_PARTITIONS, KE_CURRENT, KE_OLDEST, KE_COMMITTED, KE_COMMITTED_SUM, KE_LAG, KE_LAG_SUM, KE_MEMBERS,
    KLE_LATEST, KLE_EARLIEST, KLE_OFFSET, KLE_LAG, KLE_LAG_SECONDS, KLE_MAX_LAG, KLE_MAX_LAG_SECONDS, KLE_SUM_LAG,
    KLE_TOPIC_SUM_LAG, KLE_POLL_TIME,
)  # fmt: skip
"""All of them, in the order of the reference."""

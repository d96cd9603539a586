"""For each alert: numbers at which it fires, at which it is over, and at which it does not fire yet."""

from __future__ import annotations

from dataclasses import dataclass, field

P = 'pipeline="p",instance="a"'
G = 'cluster="k",group="g",topic="in"'
IN_0 = 'cluster="k",topic="in",partition="0"'
OF_GROUP = {"cluster": "k", "group": "g", "topic": "in"}
OF_PIPELINE = {"pipeline": "p"}

Numbers = dict[str, str]
"""{series: values, one a minute, as promtool writes them: `0+1x5` = 0 1 2 3 4 5}."""

JOIN: Numbers = {
    f'penstock_group_info{{{P},cluster="k",group="g",isolation="read_committed"}}': "1x1000",
    # Another worker of the same group, which must not make the join ambiguous.
    'penstock_group_info{pipeline="p",instance="b",cluster="k",group="g",isolation="read_committed"}': "1x1000",
    f"penstock_slo_time_lag_seconds{{{P}}}": "60x1000",
}


@dataclass(frozen=True)
class Case:
    """An alert.

    Attributes:
        alert: its name.
        bad: numbers that are bad, and then good again.
        at: when it fires.
        over: when it does not any more; None = it always fires.
        nearly: numbers that are nearly bad; it must not fire at `at`.
        labels: of the alert that fires, without its severity.
    """

    alert: str
    bad: Numbers
    at: str
    over: str | None
    nearly: Numbers
    labels: dict[str, str] = field(default_factory=dict[str, str])


LAG = f"kafka_group_topic_time_lag_seconds{{{G}}}"
DLQ_OLDEST = f'penstock_dlq_oldest_record_timestamp_seconds{{{P},dlq_topic="dlq.p.in"}}'
REJECTED = f'penstock_schema_errors_total{{{P},subject="in-value",reason="decode"}}'
QUEUE = f"penstock_producer_queue_messages{{{P}}}"
QUEUE_LIMIT = f"penstock_producer_queue_limit_messages{{{P}}}"
BUILD_A = f'penstock_build_info{{{P},version="1",commit="c",librdkafka="2"}}'
BUILD_B = 'penstock_build_info{pipeline="p",instance="b",version="1",commit="c",librdkafka="2"}'
UP = 'up{job="penstock",instance="a",worker="p.a.0"}'
EXPORTER = 'kafka_lag_exporter_last_success_timestamp_seconds{cluster="k"}'
STATUS = f"kafka_group_partitions{{{G},status="

CASES = [
    Case("FreshnessBurnFast", {**JOIN, LAG: "100x60 0x900"}, "1h", "9h", {**JOIN, LAG: "60x900"}, OF_PIPELINE),
    Case("FreshnessBurnSlow", {**JOIN, LAG: "100x60 0x900"}, "1h", "9h", {**JOIN, LAG: "60x900"}, OF_PIPELINE),
    Case(
        "DeadLetterRatio",
        {
            f'penstock_records_total{{{P},topic="in",outcome="ok"}}': "0+100x60",
            f'penstock_records_total{{{P},topic="in",outcome="dlq"}}': "0+5x30 150x30",
        },
        "15m",
        "50m",
        {
            f'penstock_records_total{{{P},topic="in",outcome="ok"}}': "0+1000x60",
            f'penstock_records_total{{{P},topic="in",outcome="dlq"}}': "0+5x60",
        },
        OF_PIPELINE,
    ),
    Case(
        "DeadLetterOld",
        {DLQ_OLDEST: "60x1500 0x60"},
        "1460m",
        "1510m",
        # A day at the end of the test, and not yet the quarter of an hour beyond it.
        {DLQ_OLDEST: "900x1500"},
        {**OF_PIPELINE, "dlq_topic": "dlq.p.in"},
    ),
    Case(
        "SchemaRejected",
        {REJECTED: "_x12 1x3 2x30"},
        "14m",
        "40m",
        # Errors of long ago.
        {REJECTED: "5x40"},
        {**OF_PIPELINE, "subject": "in-value", "reason": "decode"},
    ),
    Case(
        "TaskStopped",
        {f'penstock_tasks{{{P},status="stopped"}}': "0x5 1x5 0x5"},
        "8m",
        "14m",
        {f'penstock_tasks{{{P},status="stopped"}}': "0x20", f'penstock_tasks{{{P},status="running"}}': "3x20"},
        OF_PIPELINE,
    ),
    Case(
        "PartitionStuck",
        {f'{STATUS}"stalled"}}': "0x1 1x20 0x20"},
        "10m",
        "30m",
        {f'{STATUS}"stalled"}}': "0x20", f'{STATUS}"blocked"}}': "1x20", f'{STATUS}"lagging"}}': "1x20"},
        OF_GROUP,
    ),
    Case(
        "ReadCommittedBlocked",
        {
            'kafka_partition_lso_stuck_since_timestamp_seconds{cluster="k",topic="in",partition="0"}': "60x15 stale",
            'kafka_partition_unstable_offsets{cluster="k",topic="in",partition="0"}': "5x15 0x15",
        },
        "8m",
        "25m",
        {
            'kafka_partition_lso_stuck_since_timestamp_seconds{cluster="k",topic="in",partition="0"}': "240x15",
            'kafka_partition_unstable_offsets{cluster="k",topic="in",partition="0"}': "5x15",
        },
        {"cluster": "k", "topic": "in", "partition": "0"},
    ),
    Case(
        "RetentionHeadroomLow",
        {
            f"kafka_group_topic_retention_headroom_ratio{{{G}}}": "0.125x20 0.9x30",
            f"kafka_group_topic_lag_offsets{{{G}}}": "5x50",
            'kafka_partition_log_start_offset{cluster="k",topic="in",partition="0"}': "7x50",
        },
        "15m",
        "40m",
        {
            f"kafka_group_topic_retention_headroom_ratio{{{G}}}": "0x20",
            f"kafka_group_topic_lag_offsets{{{G}}}": "5x20",
            # Nothing was ever deleted from it.
            'kafka_partition_log_start_offset{cluster="k",topic="in",partition="0"}': "0x20",
        },
        OF_GROUP,
    ),
    Case(
        "DataLost",
        {f"kafka_group_lost_offsets_total{{{G}}}": "0x5 7x40"},
        "7m",
        "40m",
        {f"kafka_group_lost_offsets_total{{{G}}}": "7x40"},
        OF_GROUP,
    ),
    Case(
        "AbortRatio",
        {
            f'penstock_transactions_total{{{P},outcome="aborted"}}': "0+6x30 180x40",
            f'penstock_transactions_total{{{P},outcome="committed"}}': "0+60x70",
        },
        "20m",
        "60m",
        {
            f'penstock_transactions_total{{{P},outcome="aborted"}}': "0+1x70",
            f'penstock_transactions_total{{{P},outcome="committed"}}': "0+60x70",
        },
        OF_PIPELINE,
    ),
    Case(
        "FencingLoop",
        {f'penstock_transactions_total{{{P},outcome="fenced"}}': "0x5 1x3 2x60"},
        "10m",
        "60m",
        {f'penstock_transactions_total{{{P},outcome="fenced"}}': "0x5 1x40"},
        OF_PIPELINE,
    ),
    Case(
        "WastedWork",
        {
            f'penstock_records_total{{{P},topic="in",outcome="ok"}}': "0+50x200",
            f'penstock_records_attempted_total{{{P},topic="in"}}': "0+100x60 6050+50x140",
        },
        "50m",
        "150m",
        {
            f'penstock_records_total{{{P},topic="in",outcome="ok"}}': "0+50x200",
            f'penstock_records_attempted_total{{{P},topic="in"}}': "0+52x200",
        },
        OF_PIPELINE,
    ),
    Case(
        "CheckpointStale",
        {
            f"penstock_checkpoint_last_success_timestamp_seconds{{{P}}}": "0x10 1200x30",
            f"penstock_checkpoint_interval_seconds{{{P}}}": "30x40",
        },
        "5m",
        "20m",
        {
            f"penstock_checkpoint_last_success_timestamp_seconds{{{P}}}": "0+60x40",
            f"penstock_checkpoint_interval_seconds{{{P}}}": "30x40",
        },
        {**OF_PIPELINE, "instance": "a"},
    ),
    Case(
        "RestoreStuck",
        {f'penstock_state_restore_remaining_records{{{P},task_group="in"}}': "100x20 0x20"},
        "12m",
        "35m",
        {f'penstock_state_restore_remaining_records{{{P},task_group="in"}}': "1000-5x40"},
        {**OF_PIPELINE, "instance": "a", "task_group": "in"},
    ),
    Case(
        "PollLoopSlow",
        {
            f"penstock_last_poll_timestamp_seconds{{{P}}}": "1x5 600x20",
            f"penstock_max_poll_interval_seconds{{{P}}}": "120x25",
        },
        "4m",
        "10m",
        {
            f"penstock_last_poll_timestamp_seconds{{{P}}}": "0+60x20",
            f"penstock_max_poll_interval_seconds{{{P}}}": "120x25",
        },
        {**OF_PIPELINE, "instance": "a"},
    ),
    Case(
        "ProducerQueueFull",
        {QUEUE: "90x20 10x20", QUEUE_LIMIT: "100x40"},
        "10m",
        "30m",
        {QUEUE: "80x40", QUEUE_LIMIT: "100x40"},
        {**OF_PIPELINE, "instance": "a"},
    ),
    Case(
        "RebalanceStorm",
        {
            f'penstock_rebalances_total{{{P},kind="assigned"}}': "0+1x30 30x60",
            f'penstock_build_info{{{P},version="1",commit="c",librdkafka="2"}}': "1x90",
        },
        "20m",
        "80m",
        {
            f'penstock_rebalances_total{{{P},kind="assigned"}}': "0x5 4x60",
            f'penstock_build_info{{{P},version="1",commit="c",librdkafka="2"}}': "1x90",
        },
        OF_PIPELINE,
    ),
    Case(
        "PartitionsUncovered",
        {
            f'penstock_assigned_partitions{{{P},topic="in"}}': "2x20 3x20",
            f'penstock_expected_partitions{{{P},topic="in"}}': "3x40",
        },
        "10m",
        "35m",
        {
            f'penstock_assigned_partitions{{{P},topic="in"}}': "2x40",
            'penstock_assigned_partitions{pipeline="p",instance="b",topic="in"}': "1x40",
            f'penstock_expected_partitions{{{P},topic="in"}}': "3x40",
            'penstock_expected_partitions{pipeline="p",instance="b",topic="in"}': "3x40",
        },
        {**OF_PIPELINE, "topic": "in"},
    ),
    Case(
        "PipelineAbsent",
        {BUILD_A: "1x10 _x20 1x20"},
        "25m",
        "40m",
        {BUILD_A: "1x10", BUILD_B: "1x50"},
        OF_PIPELINE,
    ),
    Case(
        "TargetDown",
        {UP: "1x5 0x15 1x20"},
        "12m",
        "30m",
        # It answers now and then; producers come and go, and what is not ours is not our affair.
        {
            UP: "0x3 1 0x3 1 0x3 1 0x3",
            'up{job="penstock-producers",instance="b"}': "0x40",
            'up{job="node",instance="c"}': "0x40",
        },
        {"job": "penstock", "instance": "a", "worker": "p.a.0"},
    ),
    Case("LagRunaway", {LAG: "0+30x60 1800x90"}, "40m", "120m", {LAG: "0+3x100"}, OF_GROUP),
    Case(
        "InputSilent",
        {f"kafka_partition_high_watermark_offset{{{IN_0}}}": "0+1x10080 10080x60 10080+1x60"},
        "10125m",
        "10190m",
        {f"kafka_partition_high_watermark_offset{{{IN_0}}}": "0+1x10200"},
        {"cluster": "k", "topic": "in"},
    ),
    Case(
        "ExporterBlind",
        {EXPORTER: "0x5 600x20"},
        "4m",
        "11m",
        {EXPORTER: "0+60x20"},
        {"cluster": "k"},
    ),
]

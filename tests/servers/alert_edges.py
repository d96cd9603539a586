"""What alerts make of numbers unlike those of a quiet life: counters that begin anew, series that end, two workers."""

from __future__ import annotations

from dataclasses import dataclass

from tests.servers.alert_cases import (
    BUILD_A,
    DLQ_OLDEST,
    EXPORTER,
    IN_0,
    JOIN,
    LAG,
    OF_PIPELINE,
    QUEUE,
    QUEUE_LIMIT,
    REJECTED,
    STATUS,
    UP,
    G,
    Numbers,
    P,
)

Q = 'pipeline="p",instance="b"'
"""Of another worker."""
DEAD, FINE = (f'penstock_records_total{{{P},topic="in",outcome="{outcome}"}}' for outcome in ("dlq", "ok"))
LOST = f"kafka_group_lost_offsets_total{{{G}}}"
SLO = f"penstock_slo_time_lag_seconds{{{P}}}"
EXPORTER_2 = EXPORTER.replace('"k"', '"k2"')
IDLE: Numbers = {
    # Behind its last record stands a marker, at which nothing is left to be read.
    **JOIN,
    LAG: "0x300",
    f"kafka_group_topic_lag_offsets{{{G}}}": "0x300",
    f"kafka_group_topic_retention_headroom_ratio{{{G}}}": "1x300",
    f'{STATUS}"ok"}}': "1x300",
    f"kafka_partition_log_start_offset{{{IN_0}}}": "7x300",
    f"kafka_partition_high_watermark_offset{{{IN_0}}}": "9x300",
    f"kafka_partition_unstable_offsets{{{IN_0}}}": "0x300",
}


@dataclass(frozen=True)
class Edge:
    """One.

    Attributes:
        what: a sentence.
        alert: that fires, or keeps still.
        numbers: what is told; see `alert_cases.Numbers`.
        at: when.
        fires: the labels of each that fires then, without its severity.
    """

    what: str
    alert: str
    numbers: Numbers
    at: str
    fires: tuple[dict[str, str], ...] = ()


EDGES = [
    # ------------------------------------------------------------ counters that begin anew
    Edge(
        "a worker that begins anew sets aside as many as before",
        "DeadLetterRatio",
        {FINE: "0+100x20 0+100x40", DEAD: "0+5x20 0+5x40"},
        "25m",
        (OF_PIPELINE,),
    ),
    Edge("an exporter that begins anew has lost nothing", "DataLost", {LOST: "7x5 0x40"}, "8m"),
    Edge(
        "a worker that begins anew finds the next record that fits no schema",
        "SchemaRejected",
        {REJECTED: "3x20 1x20"},
        "25m",
        ({**OF_PIPELINE, "subject": "in-value", "reason": "decode"},),
    ),
    # ------------------------------------------------------------ series that end, or were never there
    Edge(
        "no worker runs any more, and what they said of their objective counts",
        "FreshnessBurnFast",
        {
            **JOIN,
            'penstock_group_info{pipeline="p",instance="b",cluster="k",group="g",isolation="read_committed"}': "1x30",
            f'penstock_group_info{{{P},cluster="k",group="g",isolation="read_committed"}}': "1x30",
            SLO: "60x30",
            LAG: "100x120",
        },
        "90m",
        (OF_PIPELINE,),
    ),
    Edge("lag that nobody tells is none", "FreshnessBurnFast", {**JOIN, LAG: "100x3 stale"}, "90m"),
    Edge(
        "a pipeline that was taken away a day ago is missed no more",
        "PipelineAbsent",
        {BUILD_A: "1x10"},
        "1500m",
    ),
    Edge("a pipeline that never was is not missed", "PipelineAbsent", {UP: "1x40"}, "25m"),
    Edge(
        "where no worker is left, that is the alert, and not that partitions are uncovered",
        "PartitionsUncovered",
        {
            f'penstock_assigned_partitions{{{P},topic="in"}}': "3x10",
            f'penstock_expected_partitions{{{P},topic="in"}}': "3x10",
        },
        "25m",
    ),
    Edge("a worker that has ended in order is asked no more", "TargetDown", {UP: "1x5 stale"}, "15m"),
    Edge("nobody has ever looked at a cluster", "ExporterBlind", {UP: "1x40"}, "10m", ({},)),
    Edge(
        "of two exporters one is gone",
        "ExporterBlind",
        {EXPORTER: "0+60x40", EXPORTER_2: "0+60x10"},
        "30m",
        ({"cluster": "k2"},),
    ),
    Edge(
        "the only exporter has been gone for some hours",
        "ExporterBlind",
        {EXPORTER: "0+60x10"},
        "1439m",
        ({"cluster": "k"},),
    ),
    Edge("the only exporter has been gone for more than a day", "ExporterBlind", {EXPORTER: "0+60x10"}, "1460m", ({},)),
    Edge(
        "of two exporters one has been gone for more than a day, and is forgotten",
        "ExporterBlind",
        {EXPORTER: "0+60x1500", EXPORTER_2: "0+60x10"},
        "1460m",
    ),
    Edge(
        "an exporter whose cluster has not answered for more than a day",
        "ExporterBlind",
        {EXPORTER: "0x1500"},
        "1460m",
        ({"cluster": "k"},),
    ),
    Edge("a producer that does not say how much it takes", "ProducerQueueFull", {QUEUE: "90x40"}, "10m"),
    Edge("a task that says nothing of its checkpoint interval", "CheckpointStale", {BUILD_A: "1x40"}, "10m"),
    # ------------------------------------------------------------ zeros
    Edge(
        "a worker that has just begun has not polled yet",
        "PollLoopSlow",
        {
            f"penstock_last_poll_timestamp_seconds{{{P}}}": "0x20",
            f"penstock_max_poll_interval_seconds{{{P}}}": "0x5 120x15",
        },
        "10m",
    ),
    Edge("no dead letter is open", "DeadLetterOld", {DLQ_OLDEST: "0x1500"}, "1460m"),
    Edge("a producer has nothing in hand", "ProducerQueueFull", {QUEUE: "0x40", QUEUE_LIMIT: "100x40"}, "10m"),
    *(
        Edge("a group that is idle behind a marker is well", alert, IDLE, "250m")
        for alert in (
            "FreshnessBurnFast",
            "FreshnessBurnSlow",
            "PartitionStuck",
            "ReadCommittedBlocked",
            "RetentionHeadroomLow",
            "LagRunaway",
        )
    ),
    Edge("a pipeline that commits nothing sets nothing aside", "DeadLetterRatio", {FINE: "7x60", DEAD: "7x60"}, "30m"),
    Edge(
        "a pipeline that does nothing wastes nothing",
        "WastedWork",
        {FINE: "7x200", f'penstock_records_attempted_total{{{P},topic="in"}}': "9x200"},
        "90m",
    ),
    # ------------------------------------------------------------ two workers
    Edge(
        "two workers reject records of one subject, and that is one alert",
        "SchemaRejected",
        {REJECTED: "0x12 1x30", REJECTED.replace(P, Q): "0x12 4x30"},
        "14m",
        ({**OF_PIPELINE, "subject": "in-value", "reason": "decode"},),
    ),
    Edge(
        "two workers tell of one dead-letter topic, as it has just moved, and that is one alert",
        "DeadLetterOld",
        {DLQ_OLDEST: "60x1500", DLQ_OLDEST.replace(P, Q): "120x1500"},
        "1460m",
        ({**OF_PIPELINE, "dlq_topic": "dlq.p.in"},),
    ),
    Edge(
        "of two workers one cannot take more",
        "ProducerQueueFull",
        {
            QUEUE: "90x40",
            QUEUE_LIMIT: "100x40",
            QUEUE.replace(P, Q): "5x40",
            QUEUE_LIMIT.replace(P, Q): "100x40",
        },
        "10m",
        ({**OF_PIPELINE, "instance": "a"},),
    ),
    Edge(
        "one of two workers discards everything, and the pipeline is told of once",
        "AbortRatio",
        {
            f'penstock_transactions_total{{{P},outcome="aborted"}}': "0+60x70",
            f'penstock_transactions_total{{{P},outcome="committed"}}': "0x70",
            f'penstock_transactions_total{{{Q},outcome="aborted"}}': "0x70",
            f'penstock_transactions_total{{{Q},outcome="committed"}}': "0+60x70",
        },
        "20m",
        (OF_PIPELINE,),
    ),
    Edge(
        "of two workers one cannot write its checkpoint",
        "CheckpointStale",
        {
            f"penstock_checkpoint_last_success_timestamp_seconds{{{P}}}": "0x40",
            f"penstock_checkpoint_interval_seconds{{{P}}}": "30x40",
            f"penstock_checkpoint_last_success_timestamp_seconds{{{Q}}}": "0+60x40",
            f"penstock_checkpoint_interval_seconds{{{Q}}}": "30x40",
        },
        "10m",
        ({**OF_PIPELINE, "instance": "a"},),
    ),
]

"""What is worth waking somebody for, and what is worth a ticket.

Freshness is judged by time, not by records: a pipeline that stands still processes nothing, so a share of processed
records would never show it. The objective comes from the workers as a metric; what they say is remembered for a day, so
that it still counts when none of them runs. So is who there was: that nobody tells anything any more is an alert of its
own, for all others are silent then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from penstock.monitoring import catalogue as c
from penstock.monitoring import client_catalogue as k
from penstock.monitoring import exporter_catalogue as x

Severity = Literal["page", "ticket", "none"]

OBJECTIVE: Final = 0.995
"""Share of minutes in which a pipeline is fresh."""
MISSED: Final = round(1 - OBJECTIVE, 6)
"""Share of them in which it may be late."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A series that the server works out.

    Attributes:
        name: `<what it is of>:<what it says>:<how>`.
        expr: PromQL.
        help: one sentence.
        labels: what its series are told apart by.
    """

    name: str
    expr: str
    help: str
    labels: tuple[str, ...] = ("pipeline",)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert.

    Attributes:
        name: also of its runbook.
        severity: who hears of it: `page` now, `ticket` in office hours.
        expr: fires where this gives anything.
        summary: one line.
        description: what it means, in two lines.
        hold: for how long it has to be true.
        seconds: numbers in `expr` that are seconds, beside its ranges; whoever plays the rules faster needs them.
    """

    name: str
    severity: Severity
    expr: str
    summary: str
    description: str
    hold: str = "0s"
    seconds: tuple[int, ...] = ()


def _burns(window: str, short: str, factor: float) -> str:
    edge = round(factor * MISSED, 6)
    return f"pipeline:lag_bad:ratio{window} > {edge:g} and pipeline:lag_bad:ratio{short} > {edge:g}"


_OF_TOPIC: Final = ("cluster", "group", "topic")
RECORDED: Final = (
    Recorded(
        "pipeline:lag_bad:bool",
        # Through max: two workers that tell the same of one group would make the join ambiguous.
        f"max by (pipeline) ({x.TOPIC_TIME_LAG} * on (cluster, group) group_left (pipeline) "
        f"max by (cluster, group, pipeline) (last_over_time({c.GROUP_INFO}[1d]))) "
        f"> bool on (pipeline) max by (pipeline) (last_over_time({c.SLO_TIME_LAG}[1d]))",
        "1 while a pipeline's time lag is above its objective, else 0.",
    ),
    *(
        Recorded(
            f"pipeline:lag_bad:ratio{window}",
            f"avg_over_time(pipeline:lag_bad:bool[{window}])",
            "Share of the time in which it was.",
        )
        for window in ("5m", "30m", "1h", "6h", "3d")
    ),
    Recorded(
        "pipeline:dlq:ratio5m",
        # Nothing where nothing is committed: NaN would poison every sum that it gets into.
        f'sum by (pipeline) (rate({c.RECORDS_COMMITTED}{{outcome="dlq"}}[5m])) '
        f"/ (sum by (pipeline) (rate({c.RECORDS_COMMITTED}[5m])) > 0)",
        "Share of the records committed that became dead letters.",
    ),
    Recorded(
        "group_topic:records_per_offset:ratio5m",
        # Worker by worker, for each has one group: a pipeline's name may stand for one on each of several clusters.
        f'clamp_max(sum by (cluster, group, topic) (rate({c.RECORDS_COMMITTED}{{outcome!="parked"}}[5m]) '
        f"* on (job, instance, pipeline) group_left (cluster, group) {c.GROUP_INFO}) "
        f"/ sum by (cluster, group, topic) (rate({x.COMMITTED}[5m])), 1) > 0",
        "Share of the offsets a group of penstock went over that were records: the others are markers of transactions, "
        "and what was aborted or compacted away.",
        _OF_TOPIC,
    ),
    Recorded(
        "group_topic:lag_records:estimate",
        # Markers make up ten offsets a second and partition where a transaction takes a tenth of one. A group that does
        # not get on has no share to tell, so the last one counts; where there never was one, lag is told as it is.
        f"max by (cluster, group, topic) ({x.TOPIC_LAG}) * on (cluster, group, topic) "
        "max by (cluster, group, topic) (last_over_time(group_topic:records_per_offset:ratio5m[1d])) "
        f"or max by (cluster, group, topic) ({x.TOPIC_LAG})",
        "Lag in records, about: offsets times the share of those passed last that were records. Of a group that is not "
        "of penstock, and of one that has not moved for a day, offsets.",
        _OF_TOPIC,
    ),
)

ALERTS: Final = (
    Alert(
        "FreshnessBurnFast",
        "page",
        f"({_burns('1h', '5m', 14.4)}) or ({_burns('6h', '30m', 6)})",
        "{{ $labels.pipeline }} is behind its objective",
        "Its time lag is above penstock_slo_time_lag_seconds so often that the budget of a month is gone in days.",
    ),
    Alert(
        "FreshnessBurnSlow",
        "ticket",
        _burns("3d", "6h", 1),
        "{{ $labels.pipeline }} misses its objective",
        "Over three days it was late more often than its objective allows, and still is.",
        "30m",
    ),
    Alert(
        "DeadLetterRatio",
        "page",
        "pipeline:dlq:ratio5m > 0.01 and on (pipeline) "
        f'sum by (pipeline) (increase({c.RECORDS_COMMITTED}{{outcome="dlq"}}[5m])) >= 5',
        "{{ $labels.pipeline }} sets aside more than one record in a hundred",
        "Records fail and become dead letters; what they would have led to is missing from the outputs.",
        "5m",
    ),
    Alert(
        "DeadLetterOld",
        "ticket",
        # Of two workers that tell of one topic for a moment, the one that has seen the older letter.
        f"max by (pipeline, dlq_topic) (time() - ({c.DLQ_OLDEST} > 0)) > 86400",
        "A dead letter of {{ $labels.pipeline }} has waited for a day",
        "Nobody has redriven or dropped it; what it would have led to is missing for as long.",
        "15m",
        (86_400,),
    ),
    Alert(
        "SchemaRejected",
        "ticket",
        # A subject is counted from its first error on, which no increase shows: where there was no such series before,
        # all of it is new.
        f"sum by (pipeline, subject, reason) (({k.SCHEMA_ERRORS} unless {k.SCHEMA_ERRORS} offset 10m) "
        f"or increase({k.SCHEMA_ERRORS}[10m])) > 0",
        "{{ $labels.pipeline }} has records that do not fit {{ $labels.subject }}",
        "No schema explains them, or a value does not fit its own: each is set aside, or its task stops there.",
    ),
    Alert(
        "TaskStopped",
        "page",
        f'sum by (pipeline) ({c.TASKS}{{status="stopped"}}) > 0',
        "{{ $labels.pipeline }} has a task that stands still",
        "A record failed whose policy is to stop, or a position is no longer in the log. It will not go on by itself.",
    ),
    Alert(
        "PartitionStuck",
        "page",
        f'sum by (cluster, group, topic) ({x.PARTITIONS}{{status=~"stalled|stopped"}}) > 0',
        "{{ $labels.group }} does not get on in {{ $labels.topic }}",
        "Records wait and nothing was committed for ten cycles of the exporter.",
        "5m",
    ),
    Alert(
        "ReadCommittedBlocked",
        "page",
        f"(time() - {x.LSO_STUCK} > 300) and {x.UNSTABLE} > 0",
        "A transaction hangs in {{ $labels.topic }}[{{ $labels.partition }}]",
        "Its producer neither commits nor aborts; read_committed consumers see nothing of what comes behind it.",
        "1m",
        (300,),
    ),
    Alert(
        "RetentionHeadroomLow",
        "page",
        # A log from which nothing was ever deleted is no danger, however far back in it a group is.
        f"(min by (cluster, group, topic) ({x.TOPIC_HEADROOM}) < 0.2 and on (cluster, group, topic) {x.TOPIC_LAG} > 0) "
        f"and on (cluster, topic) max by (cluster, topic) ({x.LOG_START}) > 0",
        "{{ $labels.group }} is about to lose records of {{ $labels.topic }}",
        "Its commit is near the beginning of the log: retention will soon delete what was not read.",
        "10m",
    ),
    Alert(
        "DataLost",
        "page",
        f"sum by (cluster, group, topic) (increase({x.LOST}[10m])) > 0",
        "{{ $labels.group }} has lost records of {{ $labels.topic }}",
        "They were deleted before the group had read them.",
    ),
    Alert(
        "AbortRatio",
        "ticket",
        f'sum by (pipeline) (rate({c.TRANSACTIONS}{{outcome="aborted"}}[5m])) '
        f"/ sum by (pipeline) (rate({c.TRANSACTIONS}[5m])) > 0.05 and on (pipeline) "
        f'sum by (pipeline) (increase({c.TRANSACTIONS}{{outcome="aborted"}}[5m])) >= 3',
        "{{ $labels.pipeline }} discards one transaction in twenty",
        "Work is done again and again; penstock_transaction_aborts_total says why.",
        "10m",
    ),
    Alert(
        "FencingLoop",
        "page",
        # A worker ends at its third fence in five minutes and takes its counter with it: two are all that is seen.
        f'sum by (pipeline) (increase({c.TRANSACTIONS}{{outcome="fenced"}}[15m])) >= 2',
        "Workers of {{ $labels.pipeline }} fence each other",
        "Two processes have one identity, or transactions take longer than their time-out.",
    ),
    Alert(
        "WastedWork",
        "ticket",
        f"1 - sum by (pipeline) (increase({c.RECORDS_COMMITTED}[30m])) "
        f"/ sum by (pipeline) (increase({c.RECORDS_ATTEMPTED}[30m])) > 0.1",
        "{{ $labels.pipeline }} does one record in ten twice",
        "What was processed is lost with discarded transactions and processed again.",
        "15m",
    ),
    Alert(
        "CheckpointStale",
        "ticket",
        f"time() - {c.CHECKPOINT_SUCCESS} > 3 * {c.CHECKPOINT_INTERVAL}",
        "State of {{ $labels.pipeline }} is not written to disk",
        "Nothing is lost: the next start reads more of the changelog. The log of the worker says why.",
        "2m",
    ),
    Alert(
        "RestoreStuck",
        "page",
        f"{c.RESTORE_REMAINING} > 0 and deriv({c.RESTORE_REMAINING}[5m]) >= 0",
        "A task of {{ $labels.pipeline }} does not come back",
        "It reads its changelog and gets no nearer to its end.",
        "5m",
    ),
    Alert(
        "PollLoopSlow",
        "ticket",
        # A worker that has just begun has not polled yet, and says 0.
        f"time() - ({c.LAST_POLL} > 0) > 0.5 * {c.MAX_POLL_INTERVAL}",
        "A worker of {{ $labels.pipeline }} hardly polls",
        "User code takes so long that the group will soon give its partitions away.",
    ),
    Alert(
        "ProducerQueueFull",
        "ticket",
        f"max by (pipeline, instance) ({k.QUEUE_MESSAGES} / {k.QUEUE_LIMIT}) > 0.8",
        "The producer of {{ $labels.instance }} can hardly take more",
        "Brokers take records more slowly than {{ $labels.pipeline }} makes them; soon it waits for room.",
        "5m",
    ),
    Alert(
        "RebalanceStorm",
        "ticket",
        f"sum by (pipeline) (increase({c.REBALANCES}[10m])) / count by (pipeline) ({c.BUILD_INFO}) > 6",
        "Partitions of {{ $labels.pipeline }} keep moving",
        "Workers come and go, or are taken for dead; nothing is processed while partitions move.",
        "5m",
    ),
    Alert(
        "PartitionsUncovered",
        "page",
        f"sum by (pipeline, topic) ({c.ASSIGNED_PARTITIONS}) < on (pipeline, topic) "
        f"max by (pipeline, topic) ({c.EXPECTED_PARTITIONS})",
        "Some partitions of {{ $labels.topic }} are read by no worker of {{ $labels.pipeline }}",
        "Workers are missing, or one of them cannot be scraped.",
        "5m",
    ),
    Alert(
        "PipelineAbsent",
        "page",
        f"max by (pipeline) (last_over_time({c.BUILD_INFO}[1d])) unless on (pipeline) {c.BUILD_INFO}",
        "No worker of {{ $labels.pipeline }} tells anything",
        "Within a day there was one. None runs, or none can be scraped: all other alerts of its workers are silent.",
        "5m",
    ),
    Alert(
        "TargetDown",
        "ticket",
        # Not of producers, which come and go.
        'up{job=~"penstock|penstock-lag-exporter"} == 0',
        "{{ $labels.instance }} cannot be scraped",
        "Whoever says where it answers still names it, and it does not answer: it hangs, or is out of reach.",
        "5m",
    ),
    Alert(
        "LagRunaway",
        "ticket",
        f"max by (cluster, group, topic) (deriv({x.TOPIC_TIME_LAG}[15m])) > 0.1 "
        f"and max by (cluster, group, topic) ({x.TOPIC_TIME_LAG}) > 60",
        "{{ $labels.group }} falls behind in {{ $labels.topic }}",
        "Each second it is more than a tenth of a second later: there is more input than it can take.",
        "15m",
        (60,),
    ),
    Alert(
        "InputSilent",
        "ticket",
        f"sum by (cluster, topic) (delta({x.HIGH_WATERMARK}[15m])) == 0 "
        f"and sum by (cluster, topic) (delta({x.HIGH_WATERMARK}[15m] offset 1w)) > 0",
        "Nothing comes into {{ $labels.topic }}",
        "A week ago, at this time, something did.",
        "15m",
    ),
    Alert(
        "ExporterBlind",
        "page",
        # Of each cluster that was looked at within a day: of two exporters, the one that is gone tells nothing.
        f"time() - max by (cluster) (last_over_time({x.SUCCESS}[1d])) > 120 or absent(last_over_time({x.SUCCESS}[1d]))",
        "Nobody knows how far groups are behind",
        "The lag exporter does not run, or the cluster does not answer it. All alerts on lag are silent meanwhile.",
        "1m",
        (120,),
    ),
    Alert(
        "Watchdog",
        "none",
        "vector(1)",
        "Alerting works",
        "Always fires. Have something outside of this house tell when it does not come any more.",
    ),
)

DASHBOARD_OF: Final = {
    name: dashboard
    for dashboard, names in {
        "penstock-overview": ("FreshnessBurnFast", "FreshnessBurnSlow", "PipelineAbsent", "Watchdog"),
        "penstock-groups": (
            "PartitionStuck", "ReadCommittedBlocked", "RetentionHeadroomLow", "DataLost", "LagRunaway", "InputSilent",
            "ExporterBlind",
        ),
        "penstock-exactly-once": ("AbortRatio", "FencingLoop", "WastedWork"),
        "penstock-state": (
            "TaskStopped", "CheckpointStale", "RestoreStuck", "RebalanceStorm", "PartitionsUncovered",
        ),
        "penstock-dead-letters": ("DeadLetterRatio", "DeadLetterOld", "SchemaRejected"),
        "penstock-processes": ("PollLoopSlow", "ProducerQueueFull", "TargetDown"),
    }.items()
    for name in names
}  # fmt: skip
"""{alert: the dashboard to look at first}; its path in Grafana is `/d/` and this."""


def rule_file() -> dict[str, object]:
    """What Prometheus loads."""
    recorded = [{"record": each.name, "expr": each.expr} for each in RECORDED]
    return {
        "groups": [
            {"name": "penstock.recorded", "rules": recorded},
            {"name": "penstock.alerts", "rules": [_rule(alert) for alert in ALERTS]},
        ]
    }


def _rule(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.hold,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": f"monitoring/runbooks/{alert.name}.md",
            "dashboard": f"/d/{DASHBOARD_OF[alert.name]}",
        },
    }

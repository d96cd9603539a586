"""Are users hurt, and what goes through?"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring import client_catalogue as k
from penstock.monitoring import exporter_catalogue as x
from penstock.monitoring import process_catalogue as o
from penstock.monitoring import publishing_catalogue as p
from penstock.monitoring.shipped.dashboards.queries import MOMENTS, PIPELINE, P, quantiles, rate
from penstock.monitoring.shipped.panels import Dashboard, Panel, Query, Row
from penstock.monitoring.shipped.rules import MISSED

NO_PRODUCER: Final = "no producer runs, or none is looked at"

OVERVIEW: Final = Dashboard(
    "penstock-overview",
    "penstock: overview",
    (
        Row(
            "Are users hurt?",
            (
                Panel(
                    "Fresh, 30 days",
                    "Share of minutes in which the time lag was within the objective.",
                    "percentunit",
                    (Query('1 - avg_over_time(pipeline:lag_bad:bool{pipeline=~"$pipeline"}[30d])', "{{pipeline}}"),),
                    "stat",
                    warn=0.995,
                    bad=0.99,
                    low_is_bad=True,
                    width=8,
                ),
                Panel(
                    "Budget left, 30 days",
                    "Of the time for which the objective lets it be late; 0 = it is used up.",
                    "percentunit",
                    (
                        Query(
                            'clamp_min(1 - avg_over_time(pipeline:lag_bad:bool{pipeline=~"$pipeline"}[30d]) '
                            f"/ {MISSED:g}, 0)",
                            "{{pipeline}}",
                        ),
                    ),
                    "stat",
                    warn=0.5,
                    bad=0.1,
                    low_is_bad=True,
                    width=8,
                ),
                Panel(
                    "Worst time lag",
                    "Age of the next record that the pipeline will read, of the partition furthest behind.",
                    "s",
                    (
                        Query(
                            f"max by (pipeline) ({x.TOPIC_TIME_LAG} * on (cluster, group) group_left (pipeline) "
                            f"max by (cluster, group, pipeline) ({c.GROUP_INFO}{{{P}}}))",
                            "{{pipeline}}",
                        ),
                    ),
                    "stat",
                    warn=30,
                    bad=60,
                    width=8,
                ),
                Panel(
                    "Dead letters, of all records",
                    "Share of the last five minutes.",
                    "percentunit",
                    (Query('pipeline:dlq:ratio5m{pipeline=~"$pipeline"}', "{{pipeline}}"),),
                    "stat",
                    warn=0.001,
                    bad=0.01,
                    width=12,
                ),
                Panel(
                    "Tasks that stand still",
                    "In front of a record or at a lost position; an operator must act.",
                    "short",
                    (Query(f'sum by (pipeline) ({c.TASKS}{{{P},status="stopped"}})', "{{pipeline}}"),),
                    "stat",
                    bad=1,
                    width=12,
                ),
                Panel(
                    "What fires",
                    "Alerts, by what they are of; their runbooks say what to do.",
                    "short",
                    (
                        Query(
                            "count by (alertname, severity, pipeline, group, topic) "
                            '(ALERTS{alertstate="firing",severity=~"page|ticket"})',
                            empty_while="nothing fires",
                        ),
                    ),
                    "table",
                    width=24,
                ),
            ),
        ),
        Row(
            "Traffic",
            (
                Panel(
                    "Committed records",
                    "Input records whose effects are visible, by what became of them.",
                    "cps",
                    (Query(rate(c.RECORDS_COMMITTED, "pipeline, outcome"), "{{pipeline}} {{outcome}}"),),
                ),
                Panel(
                    "Bytes in and out",
                    "Keys and values of what is committed, before compression.",
                    "Bps",
                    (
                        Query(rate(c.INPUT_BYTES, "pipeline"), "{{pipeline}} in"),
                        Query(rate(c.OUTPUT_BYTES, "pipeline"), "{{pipeline}} out"),
                    ),
                ),
                Panel(
                    "Output records",
                    "Committed, by topic.",
                    "cps",
                    (Query(rate(c.OUTPUT_RECORDS, "pipeline, topic"), "{{topic}}"),),
                ),
            ),
        ),
        Row(
            "Latency",
            (
                Panel(
                    "From a record's time to its commit",
                    "When a read_committed reader can first see the effect. `append` is Kafka's timestamp, `event` the "
                    "record's own time, where its source has one. Points are traces of records that were slower than "
                    "the objective.",
                    "s",
                    tuple(replace(each, has_exemplars=True) for each in quantiles(c.EVENT_LATENCY, "pipeline, clock")),
                ),
                Panel(
                    "From Kafka's timestamp, as a heat map",
                    "Two bands are two kinds of records, or two partitions that are not equally far.",
                    "s",
                    (
                        Query(
                            f'sum by (le) (increase({c.EVENT_LATENCY}_bucket{{{P},clock="append"}}[$__rate_interval]))',
                            "{{le}}",
                            has_exemplars=True,
                        ),
                    ),
                    "heatmap",
                ),
            ),
        ),
        Row(
            "Room left",
            (
                Panel(
                    "Until it has caught up",
                    "At the pace of the last minutes; nothing where it comes no nearer.",
                    "s",
                    (
                        Query(
                            f"max by (pipeline) ({x.TOPIC_DRAIN} * on (cluster, group) group_left (pipeline) "
                            f"max by (cluster, group, pipeline) ({c.GROUP_INFO}{{{P}}}))",
                            "{{pipeline}}",
                        ),
                    ),
                ),
                Panel(
                    "Busy",
                    "Share of the loop's time that is not spent waiting for records; a worker has one loop.",
                    "percentunit",
                    (
                        Query(
                            f'1 - sum by (pipeline, instance) (rate({c.STAGE_DURATION}_sum{{{P},stage="poll"}}'
                            "[$__rate_interval]))",
                            "{{pipeline}} {{instance}}",
                        ),
                    ),
                    warn=0.8,
                    bad=0.95,
                ),
                Panel(
                    "CPU",
                    "Cores, of the worker that takes most; one has one loop, and Kafka's client has threads beside it.",
                    "short",
                    (
                        Query(
                            f"max by (pipeline) (rate({o.CPU}[$__rate_interval]) * on (job, instance) "
                            f"group_left (pipeline) max by (job, instance, pipeline) ({c.BUILD_INFO}{{{P}}}))",
                            "{{pipeline}}",
                        ),
                    ),
                    warn=0.8,
                    bad=0.95,
                ),
                Panel(
                    "Producer's queue",
                    "Of all that it may hold, in the worker where it is fullest: what no broker has yet.",
                    "percentunit",
                    (Query(f"max by (pipeline) ({k.QUEUE_MESSAGES}{{{P}}} / {k.QUEUE_LIMIT}{{{P}}})", "{{pipeline}}"),),
                    warn=0.5,
                    bad=0.8,
                ),
            ),
        ),
        Row(
            "Producers",
            (
                Panel(
                    "Rows published",
                    "Committed, as records or as dead letters.",
                    "cps",
                    (
                        Query(
                            f"sum by (producer, outcome) (rate({p.ROWS}[$__rate_interval]))",
                            "{{producer}} {{outcome}}",
                            NO_PRODUCER,
                        ),
                    ),
                ),
                Panel(
                    "Of the source",
                    "How much of it is published, over all lives of the producer.",
                    "percentunit",
                    (
                        Query(
                            f"max by (producer) ({p.CURSOR_ROWS}) / max by (producer) ({p.SOURCE_ROWS})",
                            "{{producer}}",
                            NO_PRODUCER,
                        ),
                    ),
                ),
                Panel(
                    "A transaction's flush and commit, and a batch's conversion",
                    "99 of 100 are faster.",
                    "s",
                    (
                        Query(
                            f"histogram_quantile(0.99, sum by (producer, stage, le) "
                            f"(rate({p.STAGE_DURATION}_bucket[$__rate_interval])))",
                            "{{producer}} {{stage}}",
                            NO_PRODUCER,
                        ),
                    ),
                ),
                Panel(
                    "Transactions, tries and handles",
                    "What is discarded is published anew from the cursor on; nothing is doubled by it.",
                    "cps",
                    (
                        Query(
                            f"sum by (producer, outcome) (rate({p.TRANSACTIONS}[$__rate_interval]))",
                            "{{producer}} {{outcome}}",
                            NO_PRODUCER,
                        ),
                        Query(
                            f"sum by (producer, reason) (rate({p.RETRIES}[$__rate_interval]))",
                            "{{producer}} commit asked for again: {{reason}}",
                            NO_PRODUCER,
                        ),
                        Query(
                            f"sum by (producer) (rate({p.ROTATIONS}[$__rate_interval]))",
                            "{{producer}} handle replaced",
                            NO_PRODUCER,
                        ),
                    ),
                ),
                Panel(
                    "Last commit",
                    "How long ago.",
                    "s",
                    (
                        Query(
                            f"time() - (max by (producer) ({p.LAST_COMMIT}) > 0)",
                            "{{producer}}",
                            NO_PRODUCER,
                        ),
                    ),
                ),
                Panel(
                    "Which run",
                    "Where they publish, and what they run on.",
                    "short",
                    (Query(f"count by (producer, topic, version, librdkafka) ({p.INFO})", empty_while=NO_PRODUCER),),
                    "table",
                ),
            ),
        ),
    ),
    PIPELINE,
    MOMENTS,
)

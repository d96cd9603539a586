"""What fails."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring import client_catalogue as k
from penstock.monitoring import publishing_catalogue as p
from penstock.monitoring.metric import Metric
from penstock.monitoring.shipped.dashboards.queries import PIPELINE, P, quantile, rate
from penstock.monitoring.shipped.panels import Dashboard, Panel, Query, Row


def _of_groups(metric: Metric) -> str:
    return f"sum by (pipeline, task_group) ({metric}{{{P}}})"


DEAD_LETTERS: Final = Dashboard(
    "penstock-dead-letters",
    "penstock: dead letters",
    (
        Row(
            "What waits for somebody",
            (
                Panel(
                    "Open dead letters",
                    "Neither redriven nor dropped, by topic; `penstock dlq stats` tells their causes.",
                    "short",
                    (Query(f"max by (pipeline, dlq_topic) ({c.DLQ_BACKLOG}{{{P}}})", "{{dlq_topic}}"),),
                    warn=1,
                ),
                Panel(
                    "The oldest of them, for",
                    "Since it failed; 0 where none is open.",
                    "s",
                    (
                        Query(
                            f"max by (pipeline, dlq_topic) ((time() - {c.DLQ_OLDEST}{{{P}}}) "
                            f"* ({c.DLQ_OLDEST}{{{P}}} > bool 0))",
                            "{{dlq_topic}}",
                        ),
                    ),
                    warn=3_600,
                    bad=86_400,
                ),
                Panel(
                    "Redriven and dropped",
                    "What was done with letters so far, by topic; `penstock dlq log` tells by whom.",
                    "short",
                    (
                        Query(
                            f"max by (pipeline, dlq_topic, outcome) ({c.DLQ_SETTLED}{{{P}}})",
                            "{{dlq_topic}} {{outcome}}",
                        ),
                    ),
                    width=24,
                ),
            ),
        ),
        Row(
            "What fails",
            (
                Panel(
                    "Dead letters",
                    "Committed, by topic and stage. Points are traces of such records.",
                    "cps",
                    (
                        Query(
                            f"{rate(c.DLQ_RECORDS, 'pipeline, topic, stage')} > 0",
                            "{{topic}} {{stage}}",
                            "no record fails",
                            has_exemplars=True,
                        ),
                    ),
                ),
                Panel(
                    "Errors",
                    "By class, of records whose transaction was discarded as well. Points are traces of such records.",
                    "cps",
                    (
                        Query(
                            rate(c.ERRORS, "pipeline, stage, error"),
                            "{{stage}} {{error}}",
                            "no record has failed since the workers started",
                            has_exemplars=True,
                        ),
                    ),
                ),
                Panel(
                    "Of all records",
                    "Share of dead letters.",
                    "percentunit",
                    (Query('pipeline:dlq:ratio5m{pipeline=~"$pipeline"}', "{{pipeline}}"),),
                    warn=0.001,
                    bad=0.01,
                ),
                Panel(
                    "Rows that producers set aside",
                    "By the stage at which they failed, and the class of the error.",
                    "cps",
                    (
                        Query(
                            f"sum by (producer, stage, error) (rate({p.REJECTS}[$__rate_interval]))",
                            "{{producer}} {{stage}} {{error}}",
                            "no row was set aside by a producer that runs",
                        ),
                    ),
                ),
                Panel(
                    "Most frequent errors, one hour",
                    "With the class of the error; its text stands in the dead letter.",
                    "short",
                    (
                        # A class of errors is counted from its first error on, which no increase shows: where there was
                        # no such series an hour ago, all of it is new.
                        Query(
                            f"topk(10, sum by (pipeline, stage, error) "
                            f"(({c.ERRORS}{{{P}}} unless {c.ERRORS}{{{P}}} offset 1h) "
                            f"or increase({c.ERRORS}{{{P}}}[1h])) > 0)",
                            empty_while="no record has failed for an hour",
                        ),
                    ),
                    "table",
                ),
            ),
        ),
        Row(
            "Parked records",
            (
                Panel(
                    "Parked",
                    "The first record of each key is tried again, and the others of its key wait behind it.",
                    "short",
                    (
                        Query(_of_groups(c.PARKED_KEYS), "{{pipeline}} {{task_group}} keys"),
                        Query(_of_groups(c.PARKED_RECORDS), "{{pipeline}} {{task_group}} records"),
                    ),
                ),
                Panel(
                    "For how long",
                    "Since the first of them failed; 0 where none is parked.",
                    "s",
                    (
                        Query(
                            f"max by (pipeline, task_group) ((time() - {c.PARKED_OLDEST}{{{P}}}) "
                            f"* ({c.PARKED_OLDEST}{{{P}}} > bool 0))",
                            "{{pipeline}} {{task_group}}",
                        ),
                    ),
                    warn=3_600,
                    bad=86_400,
                ),
                Panel(
                    "In memory",
                    "Values and headers of what is parked; where a bound of [parking] is reached, the task waits.",
                    "bytes",
                    (Query(_of_groups(c.PARKED_BYTES), "{{pipeline}} {{task_group}}"),),
                ),
            ),
        ),
        Row(
            "Schemas",
            (
                Panel(
                    "What no schema explains, and what does not fit its schema",
                    "In ten minutes, by subject: an id that the registry does not know, a schema that cannot be read "
                    "as the code has it, bytes that are cut or no Avro at all, values of another type.",
                    "short",
                    (
                        # As the most frequent errors: from the first one on.
                        Query(
                            f"sum by (pipeline, subject, reason) "
                            f"(({k.SCHEMA_ERRORS}{{{P}}} unless {k.SCHEMA_ERRORS}{{{P}}} offset 10m) "
                            f"or increase({k.SCHEMA_ERRORS}{{{P}}}[10m])) > 0",
                            "{{subject}} {{reason}}",
                            "every record fits its schema",
                        ),
                    ),
                ),
                Panel(
                    "Questions to the registry",
                    "Answers are kept, so there are few behind the start; `unavailable` holds the pipeline up.",
                    "cps",
                    (Query(rate(k.REGISTRY_REQUESTS, "pipeline, outcome"), "{{pipeline}} {{outcome}}"),),
                ),
                Panel(
                    "Its answers take",
                    "Time-outs included.",
                    "s",
                    (Query(quantile(0.99, k.REGISTRY_DURATION), "{{pipeline}} p99", "the registry is not asked"),),
                ),
            ),
        ),
    ),
    PIPELINE,
)

"""Checkpoints, restores, partitions that move."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring.shipped.dashboards.queries import MOMENTS, PIPELINE, P, quantiles, quantiles_since_start, rate
from penstock.monitoring.shipped.panels import Dashboard, Panel, Query, Row

STATE: Final = Dashboard(
    "penstock-state",
    "penstock: state and partitions",
    (
        Row(
            "Checkpoints",
            (
                Panel(
                    "State that is not on disk, since",
                    "A few intervals are too many.",
                    "s",
                    (
                        Query(f"time() - {c.CHECKPOINT_SUCCESS}{{{P}}}", "{{pipeline}} {{instance}}"),
                        Query(f"max({c.CHECKPOINT_INTERVAL}{{{P}}})", "interval"),
                    ),
                ),
                Panel(
                    "Written and failed",
                    "A failed one costs time at the next start, nothing else.",
                    "cps",
                    (Query(rate(c.CHECKPOINTS, "pipeline, outcome"), "{{pipeline}} {{outcome}}"),),
                ),
                Panel("Duration", "With waiting for the disk.", "s", quantiles(c.CHECKPOINT_DURATION)),
                Panel(
                    "Size",
                    "Of the files.",
                    "bytes",
                    (
                        Query(
                            f"sum by (pipeline, task_group) ({c.CHECKPOINT_SIZE}{{{P}}})",
                            "{{pipeline}} {{task_group}}",
                        ),
                    ),
                ),
                Panel(
                    "Entries",
                    "Committed, by store.",
                    "short",
                    (Query(f"sum by (pipeline, store) ({c.STATE_ENTRIES}{{{P}}})", "{{pipeline}} {{store}}"),),
                ),
                Panel(
                    "Bytes of state",
                    "Keys and values by store; what Python needs around each is not in it.",
                    "bytes",
                    (Query(f"sum by (pipeline, store) ({c.STATE_BYTES}{{{P}}})", "{{pipeline}} {{store}}"),),
                ),
            ),
        ),
        Row(
            "Restores and partitions",
            (
                Panel(
                    "Left to restore",
                    "Offsets of changelogs.",
                    "short",
                    (
                        Query(
                            f"sum by (pipeline, task_group) ({c.RESTORE_REMAINING}{{{P}}})",
                            "{{pipeline}} {{task_group}}",
                            "nothing is restored",
                        ),
                    ),
                ),
                Panel(
                    "Restored in",
                    "At the pace so far; of each task group the task that takes longest, over all workers.",
                    "s",
                    (
                        Query(
                            f"max by (pipeline, task_group) ({c.RESTORE_ETA}{{{P}}})",
                            "{{pipeline}} {{task_group}}",
                            "nothing is restored",
                        ),
                    ),
                ),
                Panel(
                    "Restores take",
                    "From the assignment on; all of the workers that run.",
                    "s",
                    quantiles_since_start(c.RESTORE_DURATION, ""),
                ),
                Panel(
                    "Rebalances",
                    "By kind.",
                    "cps",
                    (Query(rate(c.REBALANCES, "pipeline, kind"), "{{pipeline}} {{kind}}"),),
                ),
                Panel(
                    "From revoke to commit",
                    "How long partitions that moved were not worked on; all moves of the workers that run.",
                    "s",
                    quantiles_since_start(c.REBALANCE_DURATION, "no partition has moved away from a worker that runs"),
                ),
                Panel(
                    "Partitions that somebody has",
                    "Less than there are: some are read by nobody.",
                    "short",
                    (
                        Query(f"sum by (pipeline, topic) ({c.ASSIGNED_PARTITIONS}{{{P}}})", "{{topic}} assigned"),
                        Query(f"max by (pipeline, topic) ({c.EXPECTED_PARTITIONS}{{{P}}})", "{{topic}} there are"),
                    ),
                ),
                Panel(
                    "Tasks",
                    "By status.",
                    "short",
                    (Query(f"sum by (pipeline, status) ({c.TASKS}{{{P}}})", "{{pipeline}} {{status}}"),),
                ),
                Panel(
                    "Event time is behind by",
                    "Stream time of the task furthest behind, for each group of tasks: between two repartition topics.",
                    "s",
                    (
                        Query(
                            f"time() - min by (pipeline, task_group) ({c.WATERMARK}{{{P}}})",
                            "{{pipeline}} {{task_group}}",
                        ),
                    ),
                ),
                Panel(
                    "Late records",
                    "Committed, with an event time before the one that their task had reached.",
                    "cps",
                    (Query(rate(c.LATE_RECORDS, "pipeline, topic"), "{{topic}}"),),
                ),
                Panel(
                    "Time lag as the workers see it",
                    "By partition; at most the age of the next record.",
                    "s",
                    (Query(f"{c.PARTITION_TIME_LAG}{{{P}}}", "{{topic}}[{{partition}}]"),),
                ),
            ),
        ),
    ),
    PIPELINE,
    MOMENTS,
)

"""Who is behind, by how much, and why: any group of the cluster, whether it is one of ours or not."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import exporter_catalogue as x
from penstock.monitoring.lag.standing import Status
from penstock.monitoring.shipped.dashboards.queries import GROUP, G
from penstock.monitoring.shipped.panels import Dashboard, Panel, Query, Row

_FROM_WELL_TO_LOST: Final[tuple[tuple[Status, str], ...]] = (
    ("ok", "green"),
    ("uncommitted", "blue"),
    ("lagging", "yellow"),
    ("rewound", "purple"),
    ("blocked", "orange"),
    ("stalled", "red"),
    ("stopped", "dark-red"),
    ("lost", "dark-purple"),
)
_WORST: Final = " or ".join(
    f'({x.PARTITIONS}{{{G},status="{status}"}} > bool 0) * {place}'
    for place, (status, _) in enumerate(_FROM_WELL_TO_LOST)
)

GROUPS: Final = Dashboard(
    "penstock-groups",
    "penstock: consumer groups",
    (
        Row(
            "Who is behind",
            (
                Panel(
                    "Furthest behind",
                    "By the age of the next record.",
                    "s",
                    (Query(f"topk(20, {x.TOPIC_TIME_LAG}{{{G}}})"),),
                    "table",
                    warn=60,
                    bad=300,
                    width=24,
                ),
                Panel(
                    "The worst of each group's partitions",
                    "From `ok` to `lost`; what to do about each is in the runbooks.",
                    "short",
                    (Query(f"max by (group, topic) ({_WORST})", "{{group}} {{topic}}"),),
                    "state-timeline",
                    states=dict(enumerate(_FROM_WELL_TO_LOST)),
                    width=24,
                ),
                Panel(
                    "Not well",
                    "Partitions by status; `blocked` is the fault of a producer, `stopped` has no member.",
                    "short",
                    (
                        Query(
                            f"sum by (group, topic, status) ({x.UNHEALTHY}{{{G}}})",
                            "{{group}} {{topic}} {{status}}",
                            "every group is well",
                        ),
                    ),
                ),
                Panel(
                    "How groups stand",
                    "Partitions by status; `uncommitted` are those that the group has never read.",
                    "short",
                    (Query(f"sum by (group, status) ({x.PARTITIONS}{{{G}}}) > 0", "{{group}} {{status}}"),),
                ),
                Panel(
                    "Time lag",
                    "Of the partition furthest behind.",
                    "s",
                    (Query(f"{x.TOPIC_TIME_LAG}{{{G}}}", "{{group}} {{topic}}"),),
                ),
                Panel(
                    "Lag",
                    "Offsets to what the group can read. Markers and aborted records are offsets, too.",
                    "short",
                    (Query(f"{x.TOPIC_LAG}{{{G}}}", "{{group}} {{topic}}"),),
                ),
                Panel(
                    "Time lag by partition",
                    "One that is apart from the others is skew, or a record that takes long.",
                    "s",
                    (Query(f"{x.TIME_LAG}{{{G}}}", "{{group}} {{topic}}[{{partition}}]"),),
                ),
                Panel(
                    "Skew",
                    "Time lag, a line for each partition: a dark one among light ones is behind alone.",
                    "s",
                    (Query(f"{x.TIME_LAG}{{{G}}}", "{{group}} {{topic}}[{{partition}}]"),),
                    "heatmap",
                ),
                Panel(
                    "How wrong that may be",
                    "On either side.",
                    "s",
                    (Query(f"max by (group, topic) ({x.TIME_LAG_ERROR}{{{G}}})", "{{group}} {{topic}}"),),
                ),
            ),
        ),
        Row(
            "Pace and room",
            (
                Panel(
                    "Written and read",
                    "Offsets a second.",
                    "ops",
                    (
                        Query(
                            f'sum by (topic) (rate({x.HIGH_WATERMARK}{{topic=~"$topic"}}[$__rate_interval]))',
                            "{{topic}} written",
                        ),
                        Query(
                            f"sum by (group, topic) (rate({x.COMMITTED}{{{G}}}[$__rate_interval]))",
                            "{{topic}} read by {{group}}",
                        ),
                    ),
                ),
                Panel(
                    "Lag in records, about",
                    "Offsets, of groups of penstock times the share of those passed lately that were no markers.",
                    "short",
                    (Query(f"group_topic:lag_records:estimate{{{G}}}", "{{group}} {{topic}}"),),
                ),
                Panel(
                    "Lag by partition",
                    "Offsets.",
                    "short",
                    (Query(f"{x.LAG}{{{G}}}", "{{group}} {{topic}}[{{partition}}]"),),
                ),
                Panel(
                    "Until it has caught up",
                    "At the pace of the last minutes; nothing where it comes no nearer.",
                    "s",
                    (Query(f"{x.TOPIC_DRAIN}{{{G}}}", "{{group}} {{topic}}"),),
                ),
                Panel(
                    "Head-room to deletion",
                    "1 = at the end of the log, 0 = the next record is about to be deleted.",
                    "percentunit",
                    (
                        Query(f"{x.TOPIC_HEADROOM}{{{G}}}", "{{group}} {{topic}}"),
                        Query(f"min by (group, topic) ({x.HEADROOM}{{{G}}})", "{{group}} {{topic}}, by partition"),
                    ),
                    warn=0.5,
                    bad=0.2,
                    low_is_bad=True,
                ),
                Panel(
                    "Lost",
                    "Offsets that were deleted before they were read.",
                    "short",
                    (Query(f"increase({x.LOST}{{{G}}}[$__rate_interval])", "{{group}} {{topic}}"),),
                    bad=1,
                ),
                Panel(
                    "Members",
                    "And the state of the group.",
                    "short",
                    (
                        Query(f'{x.GROUP_MEMBERS}{{group=~"$group"}}', "{{group}}"),
                        Query(f'{x.GROUP_STATE}{{group=~"$group"}}', "{{group}} {{state}}"),
                    ),
                ),
            ),
        ),
        Row(
            "Open transactions",
            (
                Panel(
                    "Held back",
                    "Offsets that open transactions keep from read_committed consumers.",
                    "short",
                    (
                        Query(
                            f'max by (topic, partition) ({x.UNSTABLE}{{topic=~"$topic"}}) > 0',
                            "{{topic}}[{{partition}}]",
                            "no transaction is open",
                        ),
                        Query(
                            f'max by (topic, partition) ({x.HIGH_WATERMARK}{{topic=~"$topic"}} '
                            f'- {x.LAST_STABLE}{{topic=~"$topic"}}) > 0',
                            "{{topic}}[{{partition}}] HW - LSO",
                            "no transaction is open",
                        ),
                    ),
                ),
                Panel(
                    "Stands still since",
                    "Only where the last stable offset does not move and the end does.",
                    "s",
                    (
                        Query(
                            f'time() - {x.LSO_STUCK}{{topic=~"$topic"}}',
                            "{{topic}}[{{partition}}]",
                            "no transaction hangs",
                        ),
                    ),
                    warn=60,
                    bad=300,
                ),
            ),
        ),
        Row(
            "The exporter",
            (
                Panel("Cycle", "Time it takes.", "s", (Query(f"{x.CYCLE}", "{{cluster}}"),), width=8),
                Panel(
                    "Requests that failed",
                    "By what was asked.",
                    "ops",
                    (
                        Query(
                            f'sum by (api) (rate({x.REQUESTS}{{outcome="failed"}}[$__rate_interval])) > 0',
                            "{{api}}",
                            "no request has failed",
                        ),
                    ),
                    width=8,
                ),
                Panel(
                    "Left out",
                    "Partitions and groups that did not answer.",
                    "short",
                    (Query(f"{x.DEGRADED}", "{{reason}}"),),
                    warn=1,
                    width=8,
                ),
            ),
        ),
    ),
    GROUP,
)

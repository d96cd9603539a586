"""The workers as processes."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring.shipped.dashboards.queries import PIPELINE, P
from penstock.monitoring.shipped.panels import Dashboard, Panel, Query, Row

PROCESSES: Final = Dashboard(
    "penstock-processes",
    "penstock: processes",
    (
        Row(
            "Workers",
            (
                Panel(
                    "Version",
                    "Of each pipeline's workers.",
                    "short",
                    (Query(f"count by (pipeline, version, librdkafka) ({c.BUILD_INFO}{{{P}}})"),),
                    "table",
                ),
                Panel(
                    "Last poll",
                    "Past half of the longest interval allowed, the group is about to take its partitions away.",
                    "s",
                    (
                        Query(f"time() - ({c.LAST_POLL}{{{P}}} > 0)", "{{pipeline}} {{instance}}"),
                        Query(f"max({c.MAX_POLL_INTERVAL}{{{P}}})", "longest allowed"),
                    ),
                ),
                Panel(
                    "Records in hand",
                    "Fetched and not processed.",
                    "short",
                    (Query(f"sum by (pipeline, instance) ({c.BUFFERED_RECORDS}{{{P}}})", "{{pipeline}} {{instance}}"),),
                ),
                Panel(
                    "Not fetched",
                    "Partitions of which enough is in hand: the operators are slower than the fetches.",
                    "short",
                    (Query(f"{c.PAUSED_PARTITIONS}{{{P}}}", "{{pipeline}} {{instance}}"),),
                ),
                Panel(
                    "CPU",
                    "Cores.",
                    "short",
                    (Query(f'rate({c.CPU}{{job="penstock"}}[$__rate_interval])', "{{instance}}"),),
                    warn=0.8,
                    bad=0.95,
                ),
                Panel("Memory", "Resident.", "bytes", (Query(f'{c.MEMORY}{{job="penstock"}}', "{{instance}}"),)),
                Panel(
                    "Open files",
                    "And sockets.",
                    "short",
                    (Query(f'{c.OPEN_FILES}{{job="penstock"}}', "{{instance}}"),),
                ),
                Panel(
                    "Runs since",
                    "A short time, again and again, is a crash loop.",
                    "s",
                    (Query(f'time() - {c.STARTED}{{job="penstock"}}', "{{instance}}"),),
                ),
            ),
        ),
    ),
    PIPELINE,
)

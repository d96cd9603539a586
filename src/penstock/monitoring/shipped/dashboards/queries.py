"""Pieces of PromQL that several dashboards share; `$...` are the dashboards' variables."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring import exporter_catalogue as x
from penstock.monitoring.metric import Metric
from penstock.monitoring.shipped.panels import Query

P: Final = 'pipeline=~"$pipeline"'
G: Final = 'cluster=~"$cluster",group=~"$group",topic=~"$topic"'
PIPELINE: Final = {"pipeline": f"label_values({c.BUILD_INFO}, pipeline)"}
GROUP: Final = {
    "cluster": f"label_values({x.SUCCESS}, cluster)",
    "group": f"label_values({x.GROUP_MEMBERS}, group)",
    "topic": f"label_values({x.TOPIC_LAG}, topic)",
}


def rate(metric: Metric, by: str, only: str = "") -> str:
    """Of a counter, a second."""
    return f"sum by ({by}) (rate({metric}{{{P}{only}}}[$__rate_interval]))"


def quantile(share: float, metric: Metric, by: str = "pipeline") -> str:
    """Of a histogram: so large a share of the observations is smaller."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{{P}}}[$__rate_interval])))"


def quantiles(metric: Metric) -> tuple[Query, ...]:
    """Its median, and what 95 and 99 of 100 stay below."""
    return tuple(Query(quantile(share, metric), f"{{{{pipeline}}}} p{share * 100:g}") for share in (0.5, 0.95, 0.99))

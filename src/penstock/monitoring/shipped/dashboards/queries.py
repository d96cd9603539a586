"""Pieces of PromQL that several dashboards share; `$...` are the dashboards' variables."""

from __future__ import annotations

from typing import Final

from penstock.monitoring import catalogue as c
from penstock.monitoring import exporter_catalogue as x
from penstock.monitoring.metric import Metric
from penstock.monitoring.shipped.panels import Annotation, Query

SHARES: Final = (0.5, 0.95, 0.99)
P: Final = 'pipeline=~"$pipeline"'
G: Final = 'cluster=~"$cluster",group=~"$group",topic=~"$topic"'
PIPELINE: Final = {"pipeline": f"label_values({c.BUILD_INFO}, pipeline)"}
GROUP: Final = {
    "cluster": f"label_values({x.SUCCESS}, cluster)",
    "group": f"label_values({x.GROUP_MEMBERS}, group)",
    "topic": f"label_values({x.TOPIC_LAG}, topic)",
}

_VERSIONS: Final = f"count by (pipeline, version, commit) ({c.BUILD_INFO}{{{P}}})"
MOMENTS: Final = (
    # The minute in which a version, or a commit of the project, is seen for the first time.
    Annotation(
        "Deploys",
        f"{_VERSIONS} unless {_VERSIONS.removesuffix(')')} offset 1m)",
        "{{pipeline}} {{version}} {{commit}}",
        "blue",
    ),
    Annotation(
        "Rebalances",
        f"sum by (pipeline) (increase({c.REBALANCES}{{{P}}}[$__rate_interval])) > 0",
        "{{pipeline}}: partitions move",
        "orange",
    ),
)


def rate(metric: Metric, by: str, only: str = "") -> str:
    """Of a counter, a second."""
    return f"sum by ({by}) (rate({metric}{{{P}{only}}}[$__rate_interval]))"


def quantile(share: float, metric: Metric, by: str = "pipeline") -> str:
    """Of a histogram: so large a share of the observations is smaller."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({metric}_bucket{{{P}}}[$__rate_interval])))"


def quantiles(metric: Metric, by: str = "pipeline") -> tuple[Query, ...]:
    """Its median, and what 95 and 99 of 100 stay below."""
    return tuple(Query(quantile(share, metric, by), _called(share, by)) for share in SHARES)


def quantiles_since_start(metric: Metric, empty_while: str) -> tuple[Query, ...]:
    """Likewise of what happens now and then, over the lives of the workers that run.

    Not by rate: what happens when a worker starts is counted before it is scraped for the first time, so that its
    first step is seen by no rate, and often there is no second one.
    """
    series = f"{metric}_bucket{{{P}}}"
    return tuple(
        Query(f"histogram_quantile({share}, sum by (pipeline, le) ({series}))", _called(share), empty_while)
        for share in SHARES
    )


def _called(share: float, by: str = "pipeline") -> str:
    names = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return f"{names} p{share * 100:g}"

"""Prometheus' text format and OpenMetrics, written by its own client library from what is known at one moment.

They say the same; only OpenMetrics has room for exemplars, which lead from a number to the trace of a record behind it.

Nothing is registered for good: most of what is told is per partition or task, and vanishes with it.

A family without a sample is left out, so that what is not known is absent and never 0 or NaN: one NaN poisons every
sum that it stands in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as LibraryFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as LibraryExemplar
from prometheus_client.utils import floatToGoString

from penstock.monitoring.metric import Metric

__all__ = ["CONTENT_TYPE", "OPENMETRICS", "Exemplar", "Family", "LabelValues", "one", "render", "render_openmetrics"]

LabelValues = tuple[str, ...]


class Exemplar(NamedTuple):
    """One observation of many: whose it was.

    Attributes:
        trace_id: of the record.
        value: what was observed of it.
        at_s: when, since 1970 UTC.
    """

    trace_id: str
    value: float
    at_s: float


@dataclass(slots=True)
class Family:
    """The samples of one metric.

    Attributes:
        metric: of the catalogue.
        samples: label values, in the metric's order, and the number.
        histograms: label values, counts per bucket (one more than edges, not cumulative), and the sum.
        exemplars: the newest by label values and place of the bucket; of a counter that is 0.
    """

    metric: Metric
    samples: list[tuple[LabelValues, float]] = field(default_factory=list[tuple[LabelValues, float]])
    histograms: list[tuple[LabelValues, Sequence[int], float]] = field(
        default_factory=list[tuple[LabelValues, Sequence[int], float]]
    )
    exemplars: Mapping[tuple[LabelValues, int], Exemplar] = field(
        default_factory=dict[tuple[LabelValues, int], Exemplar]
    )

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.samples or self.histograms)

    @property
    def series(self) -> int:
        """Lines that it becomes, each a series for the server."""
        return len(self.samples) + sum(len(counts) + 2 for _, counts, _ in self.histograms)


def one(metric: Metric, value: float, *labels: str) -> Family:
    """A family of one sample."""
    return Family(metric, [(labels, value)])


def render(families: Iterable[Family]) -> bytes:
    """The document, as Prometheus' text.

    Raises:
        ValueError: a value is NaN, or labels do not fit their metric: a bug of ours.
    """
    return generate_latest(_registry(families))


def render_openmetrics(families: Iterable[Family]) -> bytes:
    """The document as OpenMetrics, with exemplars.

    Raises:
        ValueError: see `render`.
    """
    return bytes(generate_openmetrics(_registry(families)))  # type: ignore[no-untyped-call]  # the library gives it no types


def _registry(families: Iterable[Family]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once([_known_to_the_library(family) for family in families if family]))
    return registry


class _Once(Collector):
    """What is told in one document."""

    def __init__(self, families: list[LibraryFamily]) -> None:
        self._families = families

    def collect(self) -> list[LibraryFamily]:
        """All of it."""
        return self._families


def _known_to_the_library(family: Family) -> LibraryFamily:
    metric = family.metric
    # Not the library's families of a kind: they would be asked for each label's name with each sample.
    found = LibraryFamily(metric.name.removesuffix("_total"), metric.help, metric.kind)
    for values, number in family.samples:
        found.add_sample(
            metric.name, _labels(metric, values), _number(number), exemplar=_exemplar(family, values, place=0)
        )
    for values, counts, total in family.histograms:
        labels, so_far = _labels(metric, values), 0
        for place, (edge, count) in enumerate(zip((*metric.buckets, math.inf), counts, strict=True)):
            so_far += count
            le = floatToGoString(edge)  # type: ignore[no-untyped-call]  # the library gives it no types
            exemplar = _exemplar(family, values, place)
            found.add_sample(f"{metric.name}_bucket", {**labels, "le": le}, so_far, exemplar=exemplar)
        found.add_sample(f"{metric.name}_sum", labels, _number(total))
        found.add_sample(f"{metric.name}_count", labels, so_far)
    return found


def _exemplar(family: Family, values: LabelValues, place: int) -> LibraryExemplar | None:
    found = family.exemplars.get((values, place))
    return None if found is None else LibraryExemplar({"trace_id": found.trace_id}, found.value, found.at_s)


def _labels(metric: Metric, values: LabelValues) -> dict[str, str]:
    return dict(zip(metric.labels, values, strict=True))


def _number(value: float) -> float:
    if math.isnan(value):
        raise ValueError("a metric is NaN; please report this")
    return value

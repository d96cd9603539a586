"""Prometheus' text format, version 0.0.4, written by hand: it is a hundred lines less than a library and its registry.

A family without a sample is left out, so that what is not known is absent and never 0 or NaN: one NaN poisons every
sum that it stands in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from penstock.monitoring.metric import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

LabelValues = tuple[str, ...]


@dataclass(slots=True)
class Family:
    """The samples of one metric.

    Attributes:
        metric: of the catalogue.
        samples: label values, in the metric's order, and the number.
        histograms: label values, counts per bucket (one more than edges, not cumulative), and the sum.
    """

    metric: Metric
    samples: list[tuple[LabelValues, float]] = field(default_factory=list[tuple[LabelValues, float]])
    histograms: list[tuple[LabelValues, Sequence[int], float]] = field(
        default_factory=list[tuple[LabelValues, Sequence[int], float]]
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
    """The document.

    Raises:
        ValueError: a value is NaN, or labels do not fit their metric: a bug of ours.
    """
    return "".join(line for family in families if family for line in _lines(family)).encode()


def _lines(family: Family) -> Iterator[str]:
    metric = family.metric
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for values, number in family.samples:
        yield f"{metric.name}{_labels(metric, values)} {_number(number)}\n"
    for values, counts, total in family.histograms:
        so_far = 0
        for edge, count in zip((*metric.buckets, math.inf), counts, strict=True):
            so_far += count
            yield f"{metric.name}_bucket{_labels(metric, values, _number(edge))} {so_far}\n"
        yield f"{metric.name}_sum{_labels(metric, values)} {_number(total)}\n"
        yield f"{metric.name}_count{_labels(metric, values)} {so_far}\n"


def _labels(metric: Metric, values: LabelValues, edge: str | None = None) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in zip(metric.labels, values, strict=True)]
    if edge is not None:
        pairs.append(f'le="{edge}"')
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        raise ValueError("a metric is NaN; please report this")
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)

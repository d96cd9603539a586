"""What a worker's `/metrics` says, read back: for `penstock top`, which is to see no more than Prometheus does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from penstock.monitoring.metric import Metric

_SAMPLE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\"": '"'}

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scrape:
    """One answer.

    Attributes:
        at_s: when, on the monotonic clock.
        samples: {name: (labels, number), ...}.
    """

    at_s: float
    samples: Mapping[str, list[tuple[Labels, float]]] = field(default_factory=dict[str, "list[tuple[Labels, float]]"])

    def numbers(self, metric: Metric, **labels: str) -> list[float]:
        """Of the series of a metric that have these labels."""
        wanted = labels.items()
        return [number for found, number in self.samples.get(metric.name, ()) if wanted <= found.items()]

    def total(self, metric: Metric, **labels: str) -> float:
        """Of them all; 0 where there is none."""
        return sum(self.numbers(metric, **labels))


def read(text: str, at_s: float) -> Scrape:
    """The samples of such a text; lines that are none are passed over."""
    samples: dict[str, list[tuple[Labels, float]]] = {}
    for name, labels, number in _samples(text):
        samples.setdefault(name, []).append((labels, number))
    return Scrape(at_s, samples)


def _samples(text: str) -> Iterator[tuple[str, Labels, float]]:
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line)
        if found is not None and not line.startswith("#"):
            labels = {name: _unescaped(value) for name, value in _LABEL.findall(found[2] or "")}
            yield found[1], labels, float(found[3])


def _unescaped(value: str) -> str:
    return re.sub(r'\\[\\n"]', lambda match: _ESCAPES[match[0]], value)

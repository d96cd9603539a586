"""Prometheus' text format, read back by other code than that which writes it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from penstock.monitoring.exposition import Family, render

_LINE = re.compile(r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Series(NamedTuple):
    name: str
    labels: tuple[tuple[str, str], ...]


def parse(text: str) -> dict[Series, float]:
    """{series: value}; refuses what is no sample, no comment, or stands there twice."""
    found: dict[Series, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.match(line)
        assert match is not None, f"no sample: {line!r}"
        series = Series(match["name"], tuple(_LABEL.findall(match["labels"] or "")))
        assert series not in found, f"twice: {line}"
        found[series] = float(match["value"])
    return found


def scraped(families: Iterable[Family]) -> dict[Series, float]:
    """What a scrape of these gives."""
    return parse(render(families).decode())


def value(found: dict[Series, float], name: str, **labels: str) -> float | None:
    """Of the one series of this name with these labels; None where there is none."""
    fitting = [
        n for series, n in found.items() if series.name == name and labels.items() <= dict(series.labels).items()
    ]
    assert len(fitting) < 2, f"{name} {labels} is not one series"
    return fitting[0] if fitting else None

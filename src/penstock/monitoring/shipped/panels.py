"""Panels of Grafana's classic dashboard model, which every version imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24
Shape = Literal["timeseries", "stat", "table", "heatmap", "state-timeline"]


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are called.

    Attributes:
        expr: the PromQL; `$...` are variables of the dashboard, or Grafana's own.
        legend: likewise.
        empty_while: for how long it gives nothing though all is well; empty = it always gives something. Whoever
            proves the dashboards against a running pipeline goes by it.
        has_exemplars: whether the series behind it lead to traces, which are then drawn beside it.
    """

    expr: str
    legend: str = ""
    empty_while: str = ""
    has_exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        description: what to make of it.
        unit: as Grafana names it: `s`, `short`, `percentunit`, `bytes`, `dateTimeFromNow`.
        queries: what it asks.
        shape: how it looks.
        warn: from this value on it is yellow; None = there is no such value.
        bad: likewise red.
        low_is_bad: whether it is values *below* `warn` and `bad` that are.
        states: {value: (what it is called, its colour)}; for a state timeline.
        width: of 24.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    shape: Shape = "timeseries"
    warn: float | None = None
    bad: float | None = None
    low_is_bad: bool = False
    states: Mapping[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    width: int = 12

    def as_json(self, number: int, x: int, y: int) -> dict[str, Any]:
        """The panel at a place."""
        made: dict[str, Any] = {
            "id": number,
            "type": self.shape,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": 4 if self.shape == "stat" else 8},
            "fieldConfig": {
                "defaults": {"unit": self.unit, "thresholds": {"mode": "absolute", "steps": self._steps()}},
                "overrides": [],
            },
            "options": self._options(),
            "targets": [self._target(place, query) for place, query in enumerate(self.queries)],
        }
        if self.shape == "timeseries":
            made["fieldConfig"]["defaults"]["custom"] = {
                "fillOpacity": 10,
                "showPoints": "auto",  # one that stands alone would not be seen otherwise
                "axisSoftMin": 0,  # a wobble is not to look like a fall
                "thresholdsStyle": {"mode": "off" if self.bad is None and self.warn is None else "line"},
            }
        if self.states:
            options = {
                str(value): {"index": place, "text": text, "color": color}
                for place, (value, (text, color)) in enumerate(self.states.items())
            }
            made["fieldConfig"]["defaults"]["mappings"] = [{"type": "value", "options": options}]
        return made

    def _steps(self) -> list[dict[str, Any]]:
        if self.low_is_bad:
            steps: list[dict[str, Any]] = [{"color": "red", "value": None}]
            if self.bad is not None:
                steps.append({"color": "yellow", "value": self.bad})
            if self.warn is not None:
                steps.append({"color": "green", "value": self.warn})
            return steps
        steps = [{"color": "green", "value": None}]
        if self.warn is not None:
            steps.append({"color": "yellow", "value": self.warn})
        if self.bad is not None:
            steps.append({"color": "red", "value": self.bad})
        return steps

    @property
    def _is_of_buckets(self) -> bool:
        """Whether the lines of a heat map are a histogram's buckets, each without the ones below; else one a series."""
        return all(query.legend == "{{le}}" for query in self.queries)

    def _options(self) -> dict[str, Any]:
        if self.shape == "stat":
            return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background", "graphMode": "area"}
        if self.shape == "timeseries":
            return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
        if self.shape == "state-timeline":
            return {"mergeValues": True, "showValue": "auto", "legend": {"displayMode": "list", "placement": "bottom"}}
        if self.shape == "heatmap" and self._is_of_buckets:
            return {"calculate": False, "yAxis": {"unit": self.unit}, "exemplars": {"color": "rgba(255, 0, 255, 0.7)"}}
        if self.shape == "heatmap":
            return {"calculate": False, "cellValues": {"unit": self.unit}}
        return {"showHeader": True}

    def _target(self, place: int, query: Query) -> dict[str, Any]:
        target: dict[str, Any] = {
            "refId": chr(ord("A") + place),
            "datasource": SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
        }
        if query.has_exemplars:
            target["exemplar"] = True
        if self.shape == "table":
            target |= {"format": "table", "instant": True}
        if self.shape == "heatmap" and self._is_of_buckets:
            target["format"] = "heatmap"
        return target


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question.

    Attributes:
        title: the question.
        panels: that answer it.
        repeat: a variable of the dashboard; the row is there once for each value that is chosen. Empty = once.
    """

    title: str
    panels: tuple[Panel, ...]
    repeat: str = ""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Moments that stand as lines across all panels.

    Attributes:
        name: what they are.
        expr: PromQL; a moment is wherever it gives anything.
        title: what is told of one, with `{{label}}`.
        color: of the line.
    """

    name: str
    expr: str
    title: str
    color: str

    def as_json(self) -> dict[str, Any]:
        """As it stands in a dashboard."""
        return {
            "name": self.name,
            "datasource": SOURCE,
            "enable": True,
            "expr": self.expr,
            "step": "60s",
            "titleFormat": self.title,
            "iconColor": self.color,
        }


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard.

    Attributes:
        uid: also its file's name.
        title: likewise in Grafana.
        rows: from the top.
        variables: names of those it offers beside the data source, each with the query of its values.
        annotations: see there.
    """

    uid: str
    title: str
    rows: tuple[Row, ...]
    variables: dict[str, str] = field(default_factory=dict[str, str])
    annotations: tuple[Annotation, ...] = ()

    @property
    def panels(self) -> list[Panel]:
        """All of them."""
        return [panel for row in self.rows for panel in row.panels]

    def as_json(self) -> dict[str, Any]:
        """The file."""
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": ["penstock"],
            "schemaVersion": 39,
            "version": 1,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "",
            "links": [
                {
                    "type": "dashboards",
                    "title": "penstock",
                    "tags": ["penstock"],
                    "asDropdown": True,
                    "includeVars": True,
                    "keepTime": True,
                }
            ],
            "annotations": {"list": [each.as_json() for each in self.annotations]},
            "templating": {"list": [_source(), *(_variable(name, query) for name, query in self.variables.items())]},
            "panels": list(self._placed()),
        }

    def _placed(self) -> Sequence[dict[str, Any]]:
        placed: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            number = len(placed) + 1
            placed.append(
                {
                    "id": number,
                    "type": "row",
                    "title": row.title,
                    "collapsed": False,
                    "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
                    "panels": [],
                    # Grafana repeats what stands below it up to the next row.
                    **({"repeat": row.repeat} if row.repeat else {}),
                }
            )
            y += 1
            for line in _lines(row.panels):
                x, tallest = 0, 0
                for panel in line:
                    made = panel.as_json(len(placed) + 1, x, y)
                    placed.append(made)
                    x, tallest = x + panel.width, max(tallest, made["gridPos"]["h"])
                placed[-1]["gridPos"]["w"] += WIDTH - x  # what is left of the line
                y += tallest
        return placed


def _lines(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Beside each other as long as there is room."""
    lines: list[list[Panel]] = [[]]
    for panel in panels:
        if sum(each.width for each in lines[-1]) + panel.width > WIDTH:
            lines.append([])
        lines[-1].append(panel)
    return lines


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "label": name.capitalize(),
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }

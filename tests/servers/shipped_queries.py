"""What is shipped, as questions that a Prometheus takes: with values where Grafana would put some."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from penstock.monitoring.shipped.dashboards import DASHBOARDS
from penstock.monitoring.shipped.rules import RECORDED

RATE_INTERVAL: Final = "10s"
_VARIABLE: Final = re.compile(r"\$\w+")


class Question(NamedTuple):
    """A query of a panel, or a rule.

    Attributes:
        where: the dashboard and the panel, or the rule.
        expr: without variables.
        empty_while: see `Query`.
    """

    where: str
    expr: str
    empty_while: str = ""


def without_variables(query: str) -> str:
    """As Grafana asks it when everything is chosen."""
    return _VARIABLE.sub(".*", query.replace("$__rate_interval", RATE_INTERVAL))


PANELS: Final = tuple(
    Question(f"{dashboard.uid}: {panel.title}", without_variables(query.expr), query.empty_while)
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
    for query in panel.queries
)
MOMENTS: Final = tuple(
    Question(f"{dashboard.uid}: {each.name}", without_variables(each.expr))
    for dashboard in DASHBOARDS
    for each in dashboard.annotations
)
"""Empty most of the time."""
RECORDED_SERIES: Final = tuple(Question(rule.name, rule.name) for rule in RECORDED)
EMPTY_WHILE_ALL_IS_WELL: Final = frozenset(question.where for question in PANELS if question.empty_while)


def of_panel(where: str) -> list[Question]:
    """The queries of one panel that may be empty."""
    found = [question for question in PANELS if question.where == where and question.empty_while]
    assert found, f"no panel {where} that may be empty"
    return found

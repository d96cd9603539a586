"""Prometheus itself reads the rules, and each alert fires, is over, and does not fire a little below its edge."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # only tests read YAML; not worth a package of stubs

from penstock.monitoring.shipped.rules import ALERTS, DASHBOARD_OF
from tests.servers.alert_cases import CASES, Case, Numbers
from tests.servers.alert_edges import EDGES, Edge

pytestmark = pytest.mark.servers

RULES = Path(__file__).parents[2] / "monitoring" / "prometheus" / "penstock.rules.yml"
BY_NAME = {alert.name: alert for alert in ALERTS}


def test_the_rules_are_accepted_without_a_warning(program: Callable[[str], str]) -> None:
    done = subprocess.run(
        [program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", RULES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configurations_are_accepted(program: Callable[[str], str]) -> None:
    for name, check, file in (
        ("promtool", ["check", "config"], RULES.with_name("prometheus.yml")),
        ("amtool", ["check-config"], RULES.parents[1] / "alertmanager" / "alertmanager.yml"),
    ):
        done = subprocess.run([program(name), *check, file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_and_is_over_and_keeps_still_below_its_edge(
    case: Case, program: Callable[[str], str], tmp_path: Path
) -> None:
    fires = {case.at: (case.labels,)} | ({} if case.over is None else {case.over: ()})
    tests = [scene(case.alert, case.bad, fires), scene(case.alert, case.nearly, {case.at: ()})]
    prove(program("promtool"), tmp_path, case.alert, tests)


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.alert}: {edge.what}")
def test_numbers_that_are_not_as_in_a_quiet_life_are_understood(
    edge: Edge, program: Callable[[str], str], tmp_path: Path
) -> None:
    prove(program("promtool"), tmp_path, edge.alert, [scene(edge.alert, edge.numbers, {edge.at: edge.fires})])


def prove(promtool: str, folder: Path, alert: str, tests: list[dict[str, Any]]) -> None:
    """Have promtool play them by the shipped rule of this alert, and those that record what it asks for."""
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert", alert) == alert]
    (folder / "rules.yml").write_text(json.dumps(rules))
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def scene(alert: str, numbers: Numbers, fires: Mapping[str, Sequence[dict[str, str]]]) -> dict[str, Any]:
    """Of these numbers, which alerts are to fire when: their labels, each."""
    return {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in numbers.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": alert, "exp_alerts": [expected(alert, labels) for labels in firing]}
            for at, firing in fires.items()
        ],
    }


def expected(name: str, labels: dict[str, str]) -> dict[str, Any]:
    alert = BY_NAME[name]
    texts = {
        "summary": alert.summary,
        "description": alert.description,
        "runbook": f"monitoring/runbooks/{alert.name}.md",
        "dashboard": f"/d/{DASHBOARD_OF[name]}",
    }
    return {
        "exp_labels": {**labels, "severity": alert.severity},
        "exp_annotations": {
            each: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: labels.get(match[1], ""), text)
            for each, text in texts.items()
        },
    }

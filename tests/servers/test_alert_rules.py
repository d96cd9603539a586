"""Prometheus itself reads the rules, and each alert fires, is over, and does not fire a little below its edge."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.monitoring.shipped.rules import ALERTS
from tests.servers.alert_cases import CASES, Case

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
    tests = [
        scene(case, case.bad, {case.at: True, **({} if case.over is None else {case.over: False})}),
        scene(case, case.nearly, {case.at: False}),
    ]
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([program("promtool"), "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def scene(case: Case, numbers: dict[str, str], fires: dict[str, bool]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in numbers.items()],
        "alert_rule_test": [
            {"eval_time": at, "alertname": case.alert, "exp_alerts": [expected(case)] if is_firing else []}
            for at, is_firing in fires.items()
        ],
    }


def expected(case: Case) -> dict[str, Any]:
    alert = BY_NAME[case.alert]
    texts = {
        "summary": alert.summary,
        "description": alert.description,
        "runbook": f"monitoring/runbooks/{alert.name}.md",
    }
    return {
        "exp_labels": {**case.labels, "severity": alert.severity},
        "exp_annotations": {
            name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: case.labels[match[1]], text)
            for name, text in texts.items()
        },
    }

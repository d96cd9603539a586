"""Prometheus itself works out what the rules record; here what is not seen by the alerts that go by it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.servers.alert_cases import G, Numbers
from tests.servers.test_alert_rules import RULES

pytestmark = pytest.mark.servers

A, B = (f'job="penstock",instance="{each}",pipeline="p"' for each in "ab")
LAG = f"kafka_group_topic_lag_offsets{{{G}}}"
ESTIMATE = "group_topic:lag_records:estimate"
DENSITY = "group_topic:records_per_offset:ratio5m"
OF_TOPIC = '{cluster="k",group="g",topic="in"}'


def info(worker: str, cluster: str = "k") -> Numbers:
    return {f'penstock_group_info{{{worker},cluster="{cluster}",group="g",isolation="read_committed"}}': "1x200"}


def records(worker: str, outcome: str, values: str) -> Numbers:
    return {f'penstock_records_total{{{worker},topic="in",outcome="{outcome}"}}': values}


def committed(values: str, partition: int = 0) -> Numbers:
    return {f'kafka_group_committed_offset{{{G},partition="{partition}"}}': values}


def without(numbers: Numbers, gone: Numbers) -> Numbers:
    return {series: values for series, values in numbers.items() if series not in gone}


AT_WORK: Numbers = {
    **info(A),
    **info(B),
    # Twelve records a minute by one worker, four by the other; with their markers they take 32 offsets.
    **records(A, "ok", "1000+8x40 1320x160"),
    **records(A, "dlq", "1000+4x40 1160x160"),
    **records(A, "parked", "1000+100x40 5000x160"),
    **records(B, "ok", "1000+4x40 1160x160"),
    **committed("1000+24x40 1960x160", 0),
    **committed("1000+8x40 1320x160", 1),
    LAG: "64x200",
}


@pytest.mark.parametrize(
    ("numbers", "at", "lag"),
    [
        pytest.param(AT_WORK, "30m", {OF_TOPIC: 32}, id="half of the offsets were records"),
        pytest.param(AT_WORK, "150m", {OF_TOPIC: 32}, id="a group that stands still keeps the share it had last"),
        pytest.param(
            {**AT_WORK, f'kafka_group_topic_lag_offsets{{{G},instance="other"}}': "64x200"},
            "30m",
            {OF_TOPIC: 32},
            id="two exporters look at one cluster",
        ),
        pytest.param({LAG: "64x200", **committed("1000+24x200")}, "30m", {OF_TOPIC: 64}, id="nobody tells its records"),
        pytest.param(
            {**without(AT_WORK, info(B)), **info(B, "k2")},
            "30m",
            {OF_TOPIC: 24},
            id="a worker of the same pipeline on another cluster",
        ),
        pytest.param(
            {**AT_WORK, **records(A, "ok", "1000+500x200")},
            "30m",
            {OF_TOPIC: 64},
            id="more records than offsets: a replay",
        ),
        pytest.param({**AT_WORK, LAG: "0x200"}, "30m", {OF_TOPIC: 0}, id="nothing waits"),
    ],
)
def test_lag_in_records_is_lag_without_the_markers_as_far_as_anybody_can_tell(
    numbers: Numbers, at: str, lag: Mapping[str, float], program: Callable[[str], str], tmp_path: Path
) -> None:
    works_out(program("promtool"), tmp_path, numbers, {ESTIMATE: (at, lag)})


def test_a_group_that_does_not_move_has_no_share_of_records_rather_than_one_that_is_no_number(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    works_out(program("promtool"), tmp_path, AT_WORK, {DENSITY: ("100m", {})})


def works_out(
    promtool: str, folder: Path, numbers: Numbers, expected: Mapping[str, tuple[str, Mapping[str, float]]]
) -> None:
    """Have promtool play the numbers by the shipped rules: {series: (when, {labels: value})}."""
    tests: list[dict[str, Any]] = [
        {
            "interval": "1m",
            "input_series": [{"series": series, "values": values} for series, values in numbers.items()],
            "promql_expr_test": [
                {
                    "expr": name,
                    "eval_time": at,
                    "exp_samples": [{"labels": f"{name}{labels}", "value": value} for labels, value in found.items()],
                }
                for name, (at, found) in expected.items()
            ],
        }
    ]
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

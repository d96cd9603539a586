"""`penstock dlq parked` beside a worker that has parked a key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.cli.pipelines import Running, start_worker
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import until

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]

SOURCE = """
from datetime import timedelta

import penstock as ps

HOUR = timedelta(hours=1)


def price(text: str) -> int:
    return int(text)


pipeline = ps.Pipeline("{name}", on_error=ps.Retry(keep="key", attempts=None, first=HOUR, longest=HOUR))
pipeline.stream(ps.Topic("{name}-in", key=str, value=str)).map(price, name="price").map(str, name="show").to(
    ps.Topic("{name}-out", key=str, value=str)
)
"""


def test_keys_that_wait_are_listed_with_what_they_wait_for(
    penstock_process: Penstock, kafka: KafkaUnderTest, topic_prefix: str, project: Path
) -> None:
    name = topic_prefix
    (project / "processors").mkdir()
    (project / "processors" / "pricing.py").write_text(SOURCE.format(name=name))
    create(kafka.bootstrap_servers, f"{name}-in")
    rows = [Row(b"good", b"1"), Row(b"ill", b"x"), Row(b"ill", b"2"), Row(b"ill", b"3"), Row(b"good", b"4")]
    publish(kafka.bootstrap_servers, f"{name}-in", rows)
    found: list[dict[str, Any]] = []

    def is_parked() -> bool:
        done = penstock_process("dlq", "parked", name, "--json", "--payload")
        assert done.returncode == 0, done.stderr
        found[:] = json.loads(done.stdout)
        return bool(found) and found[0]["records"] == 3

    with Running(start_worker(project, name)) as worker:
        worker.until_it_is_ours(tasks=1)
        until(is_parked)
        worker.stop()
    (row,) = found
    assert (row["key"], row["failures"], row["operator"], row["exception"]) == ("ill", 1, "price", "ValueError")
    assert row["due_ms"] - row["first_failed_ms"] > 1_800_000
    shown = penstock_process("dlq", "parked", name).stdout
    assert "ValueError" in shown
    assert "ill" not in shown, "a key is payload"

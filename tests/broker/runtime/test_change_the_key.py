"""The page "Change the key", as it stands in the documentation: two task groups, and a kill -9 between the two."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from penstock.dsl.discovery import pipeline_named
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from penstock.topology.description import as_text
from tests.broker.harness.bare_reader import read

pytestmark = pytest.mark.broker

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "change-the-key.md"
CODE = re.compile(r"^`processors/rivers.py`\n\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"^```text\n(.*?)^```", re.MULTILINE | re.DOTALL)


def project(folder: Path, code: str) -> None:
    (folder / "penstock.toml").write_text('[project]\nname = "rivers"\nprefix = "lab"\n')
    (folder / "processors").mkdir()
    (folder / "processors" / "rivers.py").write_text(code)


def until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_topology_is_shown_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text()
    (code,) = CODE.findall(page)
    package = f"page_{tmp_path.name.replace('-', '_')}"
    project(tmp_path, code)
    (tmp_path / "processors").rename(tmp_path / package)
    monkeypatch.syspath_prepend(tmp_path)
    told = as_text(pipeline_named(f"{package}.rivers:pipeline", tmp_path, package).topology())
    assert told.partition("\n\n")[2] == SHOWN.findall(page)[0]


def test_a_pipeline_of_two_groups_goes_on_after_kill_9(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source, sink = f"{topic_prefix}-readings", f"{topic_prefix}-levels"
    (code,) = CODE.findall(PAGE.read_text())
    code = code.replace('"readings"', f'"{source}"').replace('"river-levels"', f'"{sink}"')
    project(tmp_path, code.replace('Pipeline("rivers"', f'Pipeline("{topic_prefix}"'))
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(source, 3)])
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})

    def publish(*readings: tuple[str, str, int]) -> None:
        for gauge, river, level_cm in readings:
            producer.produce(source, f'{{"river":"{river}","level_cm":{level_cm}}}'.encode(), gauge.encode())
        assert producer.flush(30) == 0

    def levels() -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = {}
        if sink in Admin(Connection(kafka.bootstrap_servers)).topics():
            for records in read(kafka.bootstrap_servers, sink).values():
                for record in records:
                    found.setdefault(record.key or b"", []).append(record.value or b"")
        return found

    def run() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from penstock.cli.app import main; main()", "run", topic_prefix],
            cwd=tmp_path,
            env={**os.environ, "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        request.addfinalizer(process.communicate)
        request.addfinalizer(process.kill)
        return process

    publish(("passau", "danube", 410), ("ulm", "danube", 180), ("munich", "isar", 95))
    first = run()
    until(lambda: levels().get(b"isar") == [b"95"] and len(levels().get(b"danube", [])) == 2, first)
    assert levels()[b"danube"][-1] == b"410"
    first.kill()
    first.communicate()
    publish(("ulm", "danube", 200), ("vienna", "danube", 520), ("freising", "isar", 80))
    second = run()
    until(lambda: len(levels().get(b"isar", [])) == 2 and len(levels().get(b"danube", [])) == 4, second)
    assert (levels()[b"danube"][-1], levels()[b"isar"]) == (b"520", [b"95", b"95"])
    ours = {topic for topic in Admin(Connection(kafka.bootstrap_servers)).topics() if topic.startswith("lab.")}
    assert ours >= {
        f"lab.{topic_prefix}.by-river.repartition",
        f"lab.{topic_prefix}.by-river.changelog",
        f"lab.dlq.{topic_prefix}.{source}",
        f"lab.dlq.{topic_prefix}.by-river.repartition",
    }

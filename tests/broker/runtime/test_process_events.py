"""The page "Process events", as it stands in the documentation: a record fails, and the pipeline is mended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.reader import read_to_end
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "process-events.md"


def values(kafka: KafkaUnderTest, topic: str) -> list[str]:
    connection = Connection(kafka.bootstrap_servers)
    if topic not in Admin(connection).topics():
        return []
    partitions = range(Admin(connection).topics()[topic].partitions)
    return [
        (r.value or b"").decode() for p in partitions for r in read_to_end(connection, topic, p, client_id="oracle")
    ]


def publish(kafka: KafkaUnderTest, topic: str, *levels: str) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for level in levels:
        producer.produce(topic, level.encode(), b"isar")
    producer.flush(30)


def committed(kafka: KafkaUnderTest, group: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
    consumer.close()
    return found.offset


def until(is_so: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_page_does_what_it_says(
    kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """It runs, is stopped, fails on a record with all before it committed, and goes on with it once it is mended."""
    source, sink = f"{topic_prefix}-readings", f"{topic_prefix}-highest"
    page = PAGE.read_text()
    (code,) = re.findall(r"^`processors/highest.py`\n\n```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    code = code.replace('"readings"', f'"{source}"').replace('Topic("highest"', f'Topic("{sink}"')
    code = code.replace('Pipeline("highest"', f'Pipeline("{topic_prefix}"')
    (mended,) = re.findall(r"^    (\.map\(int, .*dead_letter.*)$", page, re.MULTILINE)
    (tmp_path / "penstock.toml").write_text('[project]\nname = "rivers"\n')
    (tmp_path / "processors").mkdir()
    file = tmp_path / "processors" / "highest.py"
    file.write_text(code)
    environment = {**os.environ, "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers}

    def penstock(command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from penstock.cli.app import main; main()", command, topic_prefix],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        request.addfinalizer(process.kill)
        return process

    def stop(process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err

    assert [line for line in page.splitlines() if line.startswith("$ ")] == [
        "$ penstock topology highest",
        "$ penstock run highest",
    ]
    shown, err = penstock("topology").communicate(timeout=60)
    assert "highest-so-far" in shown, err

    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(source, 1)])
    publish(kafka, source, "118", "245", "121")
    first = penstock("run")
    until(lambda: values(kafka, sink) == ["118", "245", "245"], first)
    stop(first)
    assert committed(kafka, topic_prefix, source) == 3

    publish(kafka, source, "250", "broken", "260")
    environment["PENSTOCK_LOGGING__FORMAT"] = "json"
    second = penstock("run")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 5, err
    *lines, _ = err.strip().rsplit("\nerror: ")
    told = [json.loads(line) for line in lines[0].splitlines()]
    ((pipeline, worker),) = {(line["pipeline"], line["worker"]) for line in told}
    assert pipeline == topic_prefix
    assert re.fullmatch(r"[0-9a-f]{8}\.0", worker)
    (stopped,) = [line for line in told if line["level"] == "error"]
    assert (stopped["task"], stopped["topic"], stopped["partition"], stopped["offset"]) == (
        f"{source}[0]",
        source,
        0,
        4,
    )
    assert f"{source}[0]@4" in err
    assert "broken" not in err, "no payload in messages"
    assert committed(kafka, topic_prefix, source) == 4
    assert values(kafka, sink) == ["118", "245", "245", "250"]

    file.write_text(code.replace('.map(int, name="parse")', mended))
    third = penstock("run")
    until(lambda: values(kafka, sink) == ["118", "245", "245", "250", "260"], third)
    stop(third)
    assert values(kafka, f"dlq.{topic_prefix}.{source}") == ["broken"]
    assert committed(kafka, topic_prefix, source) == 6

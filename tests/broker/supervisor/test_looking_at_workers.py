"""Metrics and health of real workers, as Prometheus comes to them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime import numbers_topic
from tests.broker.runtime.numbers_topic import Numbers
from tests.broker.supervisor.project import Project
from tests.unit.monitoring.parsing import Series, parse

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def numbers(kafka: KafkaUnderTest) -> Numbers:
    return numbers_topic.publish(kafka.bootstrap_servers)


@pytest.fixture
def project(kafka: KafkaUnderTest, numbers: Numbers, topic_prefix: str, tmp_path: Path) -> Iterator[Project]:
    found = Project(kafka, tmp_path, topic_prefix, numbers)
    try:
        yield found
    finally:
        found.close()


def get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=30) as answer:  # noqa: S310 - the workers' own addresses
            return answer.status, answer.read().decode()
    except HTTPError as err:
        return err.code, err.read().decode()


def discovered(project: Project, command: subprocess.Popen[str]) -> list[str]:
    """Where the supervisor says that its workers answer."""
    until(lambda: "where the workers answer" in project.told(command))
    found = re.search(r"where the workers answer: (\S+)", project.told(command))
    assert found is not None
    return [target for entry in json.loads(get(found[1])[1]) for target in entry["targets"]]


def scraped(targets: list[str]) -> list[dict[Series, float]]:
    return [parse(get(f"http://{target}/metrics")[1]) for target in targets]


def total(scrapes: list[dict[Series, float]], name: str, **labels: str) -> float:
    return sum(
        number
        for found in scrapes
        for series, number in found.items()
        if series.name == name and labels.items() <= dict(series.labels).items()
    )


def time_lags(targets: list[str]) -> list[tuple[str, float]]:
    """(partition, seconds), as the workers see it."""
    return sorted(
        (dict(series.labels)["partition"], number)
        for found in scraped(targets)
        for series, number in found.items()
        if series.name == "penstock_partition_time_lag_seconds"
    )


def positions(targets: list[str]) -> list[int]:
    """As the workers see them, by partition."""
    status = [json.loads(get(f"http://{target}/status")[1]) for target in targets]
    inputs = [each for one in status for task in one["tasks"] for each in task["inputs"]]
    return [each["next_offset"] for each in sorted(inputs, key=lambda each: int(each["partition"]))]


def test_what_two_workers_count_together_is_what_was_committed(project: Project, numbers: Numbers) -> None:
    """Each record is counted by what became of it, once, by the worker that committed it."""
    project.write(pause_s=0)
    command = project.run("--workers", "2", PENSTOCK_MONITORING__PORT="0")
    until(lambda: len(discovered(project, command)) == 2)
    until(project.is_done)
    targets = discovered(project, command)
    until(lambda: {get(f"http://{target}/readyz")[0] for target in targets} == {200})
    until(
        lambda: total(scraped(targets), "penstock_records_total") == numbers.rows,
        timeout_s=10,
    )
    scrapes = scraped(targets)
    assert total(scrapes, "penstock_records_total", outcome="dlq") == len(numbers.bad)
    assert total(scrapes, "penstock_output_records_total") == numbers.rows - len(numbers.bad)
    assert total(scrapes, "penstock_event_latency_seconds_count") == numbers.rows
    assert total(scrapes, "penstock_assigned_partitions") == len(numbers.last)
    until(lambda: time_lags(targets) == [(str(number), 0.0) for number in range(len(numbers.last))])
    until(lambda: positions(targets) == project.committed())  # what is told may be a second old
    command.send_signal(signal.SIGTERM)
    assert command.wait(60) == 0
    assert not list((project.root / ".penstock" / "endpoints").glob("*.json"))


def test_clients_that_hang_hold_no_worker_up(project: Project) -> None:
    """Half a request each, and nothing more: the loop goes on, and others are answered."""
    project.write(pause_s=0)
    command = project.run(PENSTOCK_MONITORING__PORT="0")
    until(lambda: "metrics and health at" in project.told(command))
    found = re.search(r"metrics and health at http://(\S+):(\d+)", project.told(command))
    assert found is not None
    with ExitStack() as hanging:
        for _ in range(20):
            client = hanging.enter_context(socket.create_connection((found[1], int(found[2])), timeout=30))
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        until(project.is_done)
        assert get(f"http://{found[1]}:{found[2]}/livez") == (200, "ok\n")
    command.send_signal(signal.SIGTERM)
    assert command.wait(60) == 0


def test_a_worker_that_stands_in_front_of_a_record_is_alive_and_not_ready(project: Project, numbers: Numbers) -> None:
    """A probe that restarted it would only bring it back to the same record."""
    del numbers
    project.write(pause_s=0, on_error="fail", extra="time.sleep(0.05) if text == 'bad1746' else None")
    command = project.run(PENSTOCK_MONITORING__PORT="0")
    until(lambda: "metrics and health at" in project.told(command))
    found = re.search(r"metrics and health at (\S+)", project.told(command))
    assert found is not None

    def stands() -> bool:
        if command.poll() is not None:
            return True
        try:
            code, why = get(f"{found[1]}/readyz")
            return code == 503 and "stopped in front of a record" in why and get(f"{found[1]}/livez")[0] == 200
        except OSError:
            return command.poll() is not None

    until(stands)
    # All of its tasks stop in the end, and then the process does.
    assert command.wait(60) == 5, project.told(command)


def test_a_worker_whose_circuit_breaker_is_open_is_alive_and_not_ready_and_says_why(project: Project) -> None:
    """Everything fails, so each task opens its breaker and pauses; nothing more is set aside meanwhile."""
    project.write(pause_s=0, extra="raise ValueError", breaker="ps.CircuitBreaker(least=20, pause=timedelta(hours=1))")
    command = project.run(PENSTOCK_MONITORING__PORT="0")
    until(lambda: "metrics and health at" in project.told(command))
    found = re.search(r"metrics and health at (\S+)", project.told(command))
    assert found is not None

    def breakers() -> list[str]:
        return [task["breaker"] for task in json.loads(get(f"{found[1]}/status")[1])["tasks"]]

    until(lambda: breakers() == ["open"] * len(project.numbers.last))
    code, why = get(f"{found[1]}/readyz")
    assert code == 503
    assert why.startswith("circuit breaker open, too much ends as dead letters: ")
    assert get(f"{found[1]}/livez") == (200, "ok\n")
    assert not project.is_done()


def test_a_port_that_is_taken_ends_the_worker_before_it_begins(project: Project) -> None:
    project.write()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = project.run(PENSTOCK_MONITORING__PORT=str(taken.getsockname()[1]))
        assert command.wait(60) == 3
    assert "set monitoring.host and monitoring.port" in project.told(command)


def test_a_worker_that_was_killed_is_no_target_any_more(project: Project) -> None:
    project.write()
    command = project.run("--workers", "2", PENSTOCK_MONITORING__PORT="0")
    until(lambda: len(discovered(project, command)) == 2)
    before = set(discovered(project, command))
    os.kill(next(iter(project.workers(command).values())), signal.SIGKILL)
    until(lambda: len(set(discovered(project, command)) - before) == 1)
    assert len(discovered(project, command)) == 2


def test_top_shows_each_worker_with_what_it_has_done(project: Project, numbers: Numbers) -> None:
    project.write(pause_s=0)
    command = project.run("--workers", "2", PENSTOCK_MONITORING__PORT="0")
    until(lambda: len(discovered(project, command)) == 2)
    until(project.is_done)
    found = re.search(r"where the workers answer: (\S+)", project.told(command))
    assert found is not None
    for options in ([], ["--url", found[1]]):
        line = [sys.executable, "-P", "-m", "penstock", "top", "--json", "--interval", "0.5", *options]
        done = subprocess.run(line, cwd=project.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        assert len({row["worker"] for row in rows}) == 2
        assert sum(row["dead_letters"] for row in rows) == len(numbers.bad)
        assert all(row["records_per_s"] is not None for row in rows)


def test_the_lag_exporter_serves_a_group_until_it_is_told_to_stop(project: Project, numbers: Numbers) -> None:
    """Behind the workers' last commit nothing is left: they commit behind the markers at the end, too."""
    project.write(pause_s=0)
    workers = project.run("--workers", "2")
    until(project.is_done)
    log = project.root / "exporter.log"
    with log.open("w") as told:
        exporter = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "penstock",
                "lag-exporter",
                "--groups",
                project.name,
                "--interval",
                "1",
                "--port",
                "0",
            ],
            cwd=project.root,
            stdout=told,
            stderr=told,
        )
    try:
        until(lambda: "lag of groups at" in log.read_text())
        found = re.search(r"lag of groups at (\S+)", log.read_text())
        assert found is not None

        def lags() -> list[tuple[str, float]]:
            return sorted(
                (dict(series.labels)["partition"], number)
                for series, number in parse(get(found[1])[1]).items()
                if series.name == "kafka_group_lag_offsets"
            )

        until(lambda: lags() == [(str(number), 0.0) for number in range(len(numbers.last))])
        scrape = [parse(get(found[1])[1])]
        assert total(scrape, "kafka_group_topic_time_lag_seconds") == 0
        assert total(scrape, "kafka_group_members") == 2
        exporter.send_signal(signal.SIGTERM)
        assert exporter.wait(30) == 0
    finally:
        exporter.kill()
        exporter.wait()
    workers.send_signal(signal.SIGTERM)
    assert workers.wait(60) == 0

"""`penstock state` reads what is committed, exactly, beside a worker and after a dead one."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.partitioner import partition_for
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.cli.pipelines import Running, start_worker, write_pipeline
from tests.broker.harness.victims import members

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]
WORDS = {"isar": 3, "inn": 2, "lech": 1}


def publish(kafka: KafkaUnderTest, name: str, words: dict[str, int]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})
    for word, count in words.items():
        for _ in range(count):
            producer.produce(f"{name}-in", b"x", word.encode())
    producer.flush(30)


@pytest.fixture
def name(kafka: KafkaUnderTest, project: Path, topic_prefix: str) -> str:
    """A pipeline that counts words per key, its input there."""
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(f"{topic_prefix}-in", 2)])
    write_pipeline(project, topic_prefix)
    publish(kafka, topic_prefix, WORDS)
    return topic_prefix


@pytest.fixture
def worker(name: str, project: Path, request: pytest.FixtureRequest) -> Running:
    """A worker of it, at work."""
    running = Running(start_worker(project, name), request)
    running.until_it_is_ours()
    return running


def listed(penstock: Penstock, name: str) -> dict[int, dict[str, Any]]:
    shown = penstock("state", "ls", name, "--json")
    assert shown.returncode == 0, shown.stderr
    data = json.loads(shown.stdout)
    assert data["pipeline"] == name
    return {task["partition"]: task for task in data["tasks"]}


def until_counted(penstock: Penstock, name: str, total: int) -> dict[int, dict[str, Any]]:
    tasks: dict[int, dict[str, Any]] = {}
    for _ in range(60):
        tasks = listed(penstock, name)
        commits = [task["last_commit"] for task in tasks.values() if task["last_commit"] is not None]
        if sum(commit["next_offsets"][f"{name}-in"] for commit in commits) == total:
            return tasks
    raise AssertionError(tasks)


def test_stores_and_last_commits_are_listed_while_a_worker_runs_undisturbed(
    kafka: KafkaUnderTest, name: str, worker: Running, penstock_process: Penstock
) -> None:
    tasks = until_counted(penstock_process, name, 6)
    expected = Counter(partition_for(word.encode(), 2) for word in WORDS)
    for partition, task in tasks.items():
        assert task["changelog"] == f"{name}.{name}-in.changelog"
        assert (task["keys"], task["verified"], task["open_transaction_from"]) == (expected[partition], True, None)
        (store,) = task["stores"]
        assert (store["name"], store["is_in_code"], store["keys"]) == ("counts", True, expected[partition])
        commit = task["last_commit"]
        assert (commit["writer"], commit["owner_epoch"]) == (f"{name}.0", 1)
        assert commit["committed_at"].startswith("20")

    shown = penstock_process("state", "ls", name).stdout
    assert f"counts  str -> int       {name}-in" in shown
    assert "as committed" in shown
    assert members(kafka, name) == 1, "no reader has joined the group"
    worker.stop()


def test_a_key_is_shown_with_its_partition_its_value_and_the_time_of_it(
    name: str, worker: Running, penstock_process: Penstock
) -> None:
    until_counted(penstock_process, name, 6)
    found = penstock_process("state", "get", name, "counts", "isar", "--json")
    assert found.returncode == 0, found.stderr
    (entry,) = json.loads(found.stdout)["found"]
    assert (entry["partition"], entry["value"]) == (partition_for(b"isar", 2), 3)
    assert entry["timestamp_ms"] > 1_700_000_000_000
    text = penstock_process("state", "get", name, "counts", "isar").stdout
    assert text.splitlines()[0].split() == ["partition", "key", "value", "time"]
    assert text.splitlines()[1].split()[1:3] == ["isar", "3"]

    missing = penstock_process("state", "get", name, "counts", "rhine")
    assert missing.returncode == 1
    assert "store 'counts' has no such key" in missing.stderr
    worker.stop()


def test_entries_are_scanned_in_the_order_of_keys_by_prefix_and_between_keys(
    name: str, worker: Running, penstock_process: Penstock
) -> None:
    until_counted(penstock_process, name, 6)
    worker.stop()

    def scanned(*options: str) -> list[tuple[str, int]]:
        done = penstock_process("state", "scan", name, "counts", "--json", *options)
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        places = [(row["partition"], row["key"]) for row in rows]
        assert places == sorted(places)
        return sorted((row["key"], row["value"]) for row in rows)

    assert scanned() == sorted(WORDS.items())
    assert scanned("--prefix", "i") == [("inn", 2), ("isar", 3)]
    assert scanned("--from", "inn", "--to", "lech") == [("inn", 2), ("isar", 3)]
    assert scanned("--to", "isar") == [("inn", 2)]
    assert scanned("--partition", str(partition_for(b"lech", 2)), "--prefix", "l") == [("lech", 1)]
    cut = penstock_process("state", "scan", name, "counts", "--limit", "2")
    assert len(cut.stdout.splitlines()) == 3
    assert "only 2 entries are shown; --limit shows more" in cut.stderr


def test_what_is_shown_beside_a_busy_worker_is_always_the_state_of_a_commit(
    kafka: KafkaUnderTest, name: str, worker: Running, penstock_process: Penstock
) -> None:
    """Hundreds of transactions go by while it is read: each answer has its digest, and no count ever goes back."""
    stop = threading.Event()

    def feed() -> None:
        while not stop.is_set():
            publish(kafka, name, dict.fromkeys(WORDS, 20))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        sequences: list[int] = []
        counts: list[int] = []
        for _ in range(4):
            sequences.append(sum(task["last_commit"]["sequence"] for task in listed(penstock_process, name).values()))
            counts.append(
                json.loads(penstock_process("state", "get", name, "counts", "isar", "--json").stdout)["found"][0][
                    "value"
                ]
            )
    finally:
        stop.set()
        feeder.join()
    assert sequences == sorted(set(sequences)), "nothing was written meanwhile"
    assert counts == sorted(counts)
    worker.stop()


def test_a_transaction_that_a_dead_worker_left_open_is_told_and_not_waited_for(
    kafka: KafkaUnderTest, name: str, worker: Running, penstock_process: Penstock
) -> None:
    until_counted(penstock_process, name, 6)
    worker.stop()
    open_one = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{name}-dead"})
    open_one.init_transactions(30)
    open_one.begin_transaction()
    open_one.produce(f"{name}.{name}-in.changelog", b"\x01never committed", b"\x06countsx", partition=0)
    open_one.flush(30)
    shown = penstock_process("state", "ls", name, "--json")
    assert shown.returncode == 0, shown.stderr
    tasks = {task["partition"]: task for task in json.loads(shown.stdout)["tasks"]}
    assert tasks[0]["open_transaction_from"] is not None
    assert tasks[1]["open_transaction_from"] is None
    assert tasks[0]["verified"]
    assert "a transaction is open in its changelog" in shown.stderr
    open_one.abort_transaction(30)
    assert listed(penstock_process, name)[0]["open_transaction_from"] is None


def test_a_state_that_is_not_what_was_committed_is_exit_code_1(
    kafka: KafkaUnderTest, name: str, worker: Running, penstock_process: Penstock
) -> None:
    """Something else writes to the changelog: an entry that no commit record knows of, and a copy of that record."""
    tasks = until_counted(penstock_process, name, 6)
    worker.stop()
    (partition, task) = next((p, t) for p, t in tasks.items() if t["keys"])
    changelog = task["changelog"]
    from tests.broker.harness.bare_reader import read

    last = read(kafka.bootstrap_servers, changelog)[partition][-1]
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(changelog, b"\x01\x92\x01\x00", b"\x06countsforged", partition=partition)
    producer.produce(changelog, last.value, last.key, partition=partition)
    producer.flush(30)
    for command in (("ls",), ("get", "isar"), ("scan",)):
        done = penstock_process("state", command[0], name, *(["counts"] if command[0] != "ls" else []), *command[1:])
        assert done.returncode == 1, done.stdout
        assert f"{name}-in[{partition}]: the state read does not have the digest of its last commit" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ls", "nothing"), 2, "there is no pipeline 'nothing'"),
        (("get", "{name}", "count", "isar"), 2, "keeps no store 'count'; did you mean 'counts'?"),
        (("get", "{name}", "xyz", "isar"), 2, "it keeps: counts"),
        (("scan", "{name}", "counts", "--prefix", "i", "--from", "a"), 2, "--prefix, or --from and --to, not both"),
        (("ls", "{name}"), 2, "there is no topic '{name}.{name}-in.changelog': pipeline '{name}' never ran"),
    ],
)
def test_what_cannot_be_shown_is_told_with_what_to_do(
    arguments: tuple[str, ...], code: int, words: str, name: str, penstock_process: Penstock
) -> None:
    done = penstock_process("state", *(each.format(name=name) for each in arguments))
    assert done.returncode == code, done.stderr
    assert words.format(name=name) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_the_code_keeps_no_more_is_listed_as_such(
    name: str, project: Path, worker: Running, penstock_process: Penstock
) -> None:
    """Before a deploy: the code at hand, and the state that is still there."""
    until_counted(penstock_process, name, 6)
    worker.stop()
    write_pipeline(project, name, store="by-word")
    shown = penstock_process("state", "ls", name)
    assert shown.returncode == 0
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert next(line for line in lines if line[:1] == ["counts"])[1:5] == ["not", "in", "the", "code"]
    assert next(line for line in lines if line[:1] == ["by-word"])[-2:] == ["0", "0"]

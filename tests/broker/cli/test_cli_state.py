"""`penstock state` reads what is committed, exactly, beside a worker and after a dead one."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from penstock.kafka.partitioner import partition_for
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.cli.pipelines import CountingProject, write_pipeline
from tests.broker.harness.bare_reader import read
from tests.broker.harness.victims import members

pytestmark = pytest.mark.broker

WORDS = {"isar": 3, "inn": 2, "lech": 1}


def publish(kafka: KafkaUnderTest, name: str, words: dict[str, int]) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": "murmur2_random"})
    for word, count in words.items():
        for _ in range(count):
            producer.produce(f"{name}-in", b"x", word.encode())
    producer.flush(30)


@pytest.fixture
def project(kafka: KafkaUnderTest, tmp_path: Path) -> CountingProject:
    """Words to count, not counted yet."""
    made = CountingProject.of(kafka, tmp_path)
    publish(kafka, made.name, WORDS)
    return made


@pytest.fixture(scope="module")
def counted(kafka: KafkaUnderTest, tmp_path_factory: pytest.TempPathFactory) -> CountingProject:
    """One that was counted by a worker that is gone: for tests that leave it as it is."""
    made = CountingProject.of(kafka, tmp_path_factory.mktemp("counted"))
    publish(kafka, made.name, WORDS)
    with made.worker() as worker:
        until_counted(made, 6)
        worker.stop()
    return made


def listed(project: CountingProject) -> dict[int, dict[str, Any]]:
    shown = project.penstock("state", "ls", project.name, "--json")
    assert shown.returncode == 0, shown.stderr
    data = json.loads(shown.stdout)
    assert data["pipeline"] == project.name
    return {task["partition"]: task for task in data["tasks"]}


def until_counted(project: CountingProject, total: int) -> dict[int, dict[str, Any]]:
    tasks: dict[int, dict[str, Any]] = {}
    for _ in range(60):
        tasks = listed(project)
        commits = [task["last_commit"] for task in tasks.values() if task["last_commit"] is not None]
        if sum(commit["next_offsets"][f"{project.name}-in"] for commit in commits) == total:
            return tasks
    raise AssertionError(tasks)


def test_stores_and_last_commits_are_listed_while_a_worker_runs_undisturbed(
    kafka: KafkaUnderTest, project: CountingProject
) -> None:
    name = project.name
    with project.worker() as worker:
        tasks = until_counted(project, 6)
        expected = Counter(partition_for(word.encode(), 2) for word in WORDS)
        for partition, task in tasks.items():
            assert task["changelog"] == f"{name}.{name}-in.changelog"
            assert (task["keys"], task["verified"], task["open_transaction_from"]) == (expected[partition], True, None)
            (store,) = task["stores"]
            assert (store["name"], store["is_in_code"], store["keys"]) == ("counts", True, expected[partition])
            commit = task["last_commit"]
            assert re.fullmatch(rf"{name}\.[0-9a-f]{{8}}\.0", commit["writer"])
            assert commit["owner_epoch"] == 1
            assert commit["committed_at"].startswith("20")
        assert members(kafka, name) == 1, "no reader has joined the group"
        worker.stop()


def test_what_is_shown_beside_a_busy_worker_is_always_the_state_of_a_commit(
    kafka: KafkaUnderTest, project: CountingProject
) -> None:
    """Hundreds of transactions go by while it is read: each answer has its digest, and no count ever goes back."""
    stop = threading.Event()

    def feed() -> None:
        while not stop.is_set():
            publish(kafka, project.name, dict.fromkeys(WORDS, 20))

    feeder = threading.Thread(target=feed)
    with project.worker() as worker:
        until_counted(project, 6)
        feeder.start()
        try:
            sequences: list[int] = []
            counts: list[int] = []
            for _ in range(4):
                sequences.append(sum(task["last_commit"]["sequence"] for task in listed(project).values()))
                shown = project.penstock("state", "get", project.name, "counts", "isar", "--json")
                counts.append(json.loads(shown.stdout)["found"][0]["value"])
        finally:
            stop.set()
            feeder.join()
        worker.stop()
    assert sequences == sorted(set(sequences)), "nothing was written meanwhile"
    assert counts == sorted(counts)


def test_the_list_is_a_table_for_people(counted: CountingProject) -> None:
    lines = [line.split() for line in counted.penstock("state", "ls", counted.name).stdout.splitlines()]
    assert lines[0] == ["store", "keys", "and", "values", "task", "group", "tasks", "keys", "bytes"]
    assert lines[1][:7] == ["counts", "str", "->", "int", f"{counted.name}-in", "2", "3"]
    assert [line[-2:] for line in lines[4:]] == [["as", "committed"]] * 2


def test_a_key_is_shown_with_its_partition_its_value_and_the_time_of_it(counted: CountingProject) -> None:
    found = counted.penstock("state", "get", counted.name, "counts", "isar", "--json")
    assert found.returncode == 0, found.stderr
    (entry,) = json.loads(found.stdout)["found"]
    assert (entry["partition"], entry["value"]) == (partition_for(b"isar", 2), 3)
    assert entry["timestamp_ms"] > 1_700_000_000_000
    text = counted.penstock("state", "get", counted.name, "counts", "isar").stdout
    assert text.splitlines()[0].split() == ["partition", "key", "value", "time"]
    assert text.splitlines()[1].split()[1:3] == ["isar", "3"]
    missing = counted.penstock("state", "get", counted.name, "counts", "rhine")
    assert missing.returncode == 1
    assert "store 'counts' has no such key" in missing.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), sorted(WORDS.items())),
        (("--prefix", "i"), [("inn", 2), ("isar", 3)]),
        (("--from", "inn", "--to", "lech"), [("inn", 2), ("isar", 3)]),
        (("--to", "isar"), [("inn", 2)]),
        (("--partition", str(partition_for(b"lech", 2)), "--prefix", "l"), [("lech", 1)]),
    ],
)
def test_entries_are_scanned_in_the_order_of_keys_by_prefix_and_between_keys(
    options: tuple[str, ...], expected: list[tuple[str, int]], counted: CountingProject
) -> None:
    done = counted.penstock("state", "scan", counted.name, "counts", "--json", *options)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    places = [(row["partition"], row["key"]) for row in rows]
    assert places == sorted(places)
    assert sorted((row["key"], row["value"]) for row in rows) == expected


def test_a_scan_that_is_cut_short_says_so(counted: CountingProject) -> None:
    cut = counted.penstock("state", "scan", counted.name, "counts", "--limit", "2")
    assert len(cut.stdout.splitlines()) == 3
    assert "only 2 entries are shown; --limit shows more" in cut.stderr


def test_a_transaction_that_a_dead_worker_left_open_is_told_and_not_waited_for(
    kafka: KafkaUnderTest, counted: CountingProject
) -> None:
    name = counted.name
    open_one = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"{name}-dead"})
    open_one.init_transactions(30)
    open_one.begin_transaction()
    open_one.produce(f"{name}.{name}-in.changelog", b"\x01never committed", b"\x06countsx", partition=0)
    open_one.flush(30)
    shown = counted.penstock("state", "ls", name, "--json")
    assert shown.returncode == 0, shown.stderr
    tasks = {task["partition"]: task for task in json.loads(shown.stdout)["tasks"]}
    assert tasks[0]["open_transaction_from"] is not None
    assert tasks[1]["open_transaction_from"] is None
    assert tasks[0]["verified"]
    assert "a transaction is open in its changelog" in shown.stderr
    open_one.abort_transaction(30)
    assert listed(counted)[0]["open_transaction_from"] is None


def test_a_state_that_is_not_what_was_committed_is_exit_code_1(kafka: KafkaUnderTest, project: CountingProject) -> None:
    """Something else writes to the changelog: an entry that no commit record knows of, and a copy of that record."""
    name = project.name
    with project.worker() as worker:
        tasks = until_counted(project, 6)
        worker.stop()
    (partition, task) = next((p, t) for p, t in tasks.items() if t["keys"])
    changelog = task["changelog"]
    last = read(kafka.bootstrap_servers, changelog)[partition][-1]
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(changelog, b"\x01\x92\x01\x00", b"\x06countsforged", partition=partition)
    producer.produce(changelog, last.value, last.key, partition=partition)
    producer.flush(30)
    for arguments in (("ls", name), ("get", name, "counts", "isar"), ("scan", name, "counts")):
        done = project.penstock("state", *arguments)
        assert done.returncode == 1, done.stdout
        assert f"{name}-in[{partition}]: the state read does not have the digest of its last commit" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ls", "nothing"), "there is no pipeline 'nothing'"),
        (("get", "{name}", "count", "isar"), "keeps no store 'count'; did you mean 'counts'?"),
        (("get", "{name}", "xyz", "isar"), "it keeps: counts"),
        (("scan", "{name}", "counts", "--prefix", "i", "--from", "a"), "--prefix, or --from and --to, not both"),
        (("scan", "{name}", "counts", "--partition", "2"), "has tasks 0 to 1, not 2"),
    ],
)
def test_what_cannot_be_shown_is_told_with_what_to_do(
    arguments: tuple[str, ...], words: str, counted: CountingProject
) -> None:
    done = counted.penstock("state", *(each.format(name=counted.name) for each in arguments))
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pipeline_that_never_ran_has_no_state_to_show(project: CountingProject) -> None:
    name = project.name
    done = project.penstock("state", "ls", name)
    assert done.returncode == 2, done.stderr
    assert f"there is no topic '{name}.{name}-in.changelog': pipeline '{name}' never ran" in done.stderr


def test_a_store_that_the_code_keeps_no_more_is_listed_as_such(counted: CountingProject) -> None:
    """Before a deploy: the code at hand, and the state that is still there."""
    write_pipeline(counted.folder, counted.name, store="by-word")
    try:
        shown = counted.penstock("state", "ls", counted.name)
    finally:
        write_pipeline(counted.folder, counted.name)
    assert shown.returncode == 0
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert next(line for line in lines if line[:1] == ["counts"])[1:5] == ["not", "in", "the", "code"]
    assert next(line for line in lines if line[:1] == ["by-word"])[-2:] == ["0", "0"]

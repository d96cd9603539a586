"""`penstock dlq` on dead letters of four systems."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import read
from tests.broker.harness.topics import create
from tests.broker.redrive.dead_letters import FIRST_MS, Letters

pytestmark = pytest.mark.broker

Penstock = Callable[..., subprocess.CompletedProcess[str]]

COUNT = 120


@pytest.fixture
def letters(kafka: KafkaUnderTest, topic_prefix: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> Letters:
    """A project with a prefix of its own, so that it has these letters and no others."""
    assert project.exists()
    prefix = topic_prefix.replace("_", "-").lower()
    monkeypatch.setenv("PENSTOCK_PROJECT__PREFIX", prefix)
    return Letters.written(kafka.bootstrap_servers, prefix, COUNT)


def shown(done: subprocess.CompletedProcess[str], code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_topics_are_listed_with_what_became_of_their_letters(penstock: Penstock, letters: Letters) -> None:
    (row,) = shown(penstock("dlq", "ls", "--json"))
    assert (row["topic"], row["open"], row["redriven"], row["dropped"]) == (letters.dead, COUNT, 0, 0)
    assert row["kinds"] == 4
    table = penstock("dlq", "ls").stdout.splitlines()
    assert table[0].split() == [
        *("topic", "open", "redriven", "dropped", "kinds"),
        *("first", "seen", "last", "seen"),
    ]
    assert table[1].startswith(letters.dead)


def test_letters_are_grouped_by_cause_and_no_payload_is_shown(penstock: Penstock, letters: Letters) -> None:
    groups = shown(penstock("dlq", "stats", letters.dead, "--json"))
    assert {group["dialect"]: group["open"] for group in groups} == {
        "penstock": 31,
        "connect": 29,
        "streams": 30,
        "spring": 30,
    }
    ours = next(group for group in groups if group["dialect"] == "penstock")
    assert (ours["fingerprint"], ours["stage"], ours["operator"]) == ("3fa9000000000001", "process", "add")
    assert len(ours["samples"]) == 3
    people = penstock("dlq", "stats", letters.dead).stdout
    assert "BadRecord (price) in process of 'add'" in people
    assert "com.acme.Prices.parse(Prices.java:17)" in people
    assert "secret" not in people
    (connect,) = shown(penstock("dlq", "stats", letters.dead, "--by", "stage", "-w", "dialect=connect", "--json"))
    assert (connect["stage"], connect["open"]) == ("decode", 29)


def test_only_the_newest_are_counted_where_that_is_asked_for(penstock: Penstock, letters: Letters) -> None:
    """Ten of each of three partitions, and those from a moment on: letter n failed n milliseconds behind the first."""
    (row,) = shown(penstock("dlq", "ls", "--limit", "10", "--json"))
    assert row["open"] == 30
    groups = shown(penstock("dlq", "stats", letters.dead, "--limit", "10", "--json"))
    assert sum(group["open"] for group in groups) == 30
    assert min(group["first_ms"] for group in groups) == FIRST_MS + COUNT - 30
    since = datetime.fromtimestamp((FIRST_MS + 100) / 1000, UTC).isoformat()
    (row,) = shown(penstock("dlq", "ls", "--since", since, "--json"))
    assert (row["open"], row["first_ms"]) == (20, FIRST_MS + 100)
    (row,) = shown(penstock("dlq", "ls", "--until", since, "--json"))
    assert (row["open"], row["last_ms"]) == (100, FIRST_MS + 99)


def test_a_letter_is_shown_with_its_payload_only_where_it_is_asked_for(penstock: Penstock, letters: Letters) -> None:
    choice = ("dlq", "show", letters.dead, "-w", "dialect=connect", "--limit", "1")
    plain = penstock(*choice).stdout
    assert f"from         {letters.source}[" in plain
    assert "DataException in decode" in plain
    assert "secret" not in plain
    assert "key-" not in plain
    asked = penstock(*choice, "--payload").stdout
    assert "secret 4111" in asked
    assert "key          key-" in asked
    assert "header tag" in asked
    (document,) = lines(penstock(*choice, "--json"))
    assert document["message"] is None
    assert "value" not in document


def test_an_export_holds_everything_but_what_is_to_be_redacted(penstock: Penstock, letters: Letters) -> None:
    documents = lines(penstock("dlq", "export", letters.dead))
    assert sorted(int(each["value"]) for each in documents) == list(range(COUNT))
    assert all(each["key"] == f"key-{each['value']}" for each in documents)
    redacted = lines(penstock("dlq", "export", letters.dead, "--redact", "card.number"))
    assert {each["value"] for each in redacted} == {"[redacted]"}
    assert "secret" not in json.dumps(redacted)
    assert "key-" not in json.dumps(redacted)


def test_an_export_that_was_cut_short_goes_on_in_its_file(penstock: Penstock, letters: Letters, tmp_path: Path) -> None:
    """Each letter is in it once, whatever was cut off."""
    file = tmp_path / "letters.jsonl"
    export = ("dlq", "export", letters.dead, "--output", str(file))
    done = penstock(*export)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{COUNT} letters in {file}" in done.stderr
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * 2 // 3])
    assert penstock(*export).returncode == 0
    again = file.read_text().splitlines()
    assert sorted(int(json.loads(line)["value"]) for line in again) == list(range(COUNT))
    assert sorted(again) == sorted(whole.decode().splitlines())
    refused = penstock("dlq", "export", f"{letters.source}", "--output", str(file))
    assert refused.returncode == 2
    assert f"holds letters of '{letters.dead}'" in refused.stderr


def test_a_letter_is_named_by_its_place_and_shown_whatever_became_of_it(penstock: Penstock, letters: Letters) -> None:
    first, *_ = lines(penstock("dlq", "show", letters.dead, "-w", "partition=1", "--json"))
    place = f"{letters.dead}[1]@{first['offset']}"
    penstock("dlq", "drop", letters.dead, "-w", "partition=1", "-w", f"offset={first['offset']}", "--reason", "test")
    (shown_one,) = lines(penstock("dlq", "show", place, "--json"))
    assert (shown_one["partition"], shown_one["offset"], shown_one["fate"]) == (1, first["offset"], "dropped")
    assert f"{place}  dropped" in penstock("dlq", "show", place).stdout
    none = penstock("dlq", "show", f"{letters.dead}[1]@70000")
    assert (none.returncode, none.stdout, none.stderr.strip()) == (0, "", "no such letters")


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    penstock: Penstock, kafka: KafkaUnderTest, letters: Letters
) -> None:
    plan = shown(penstock("dlq", "redrive", letters.dead, "--for-all", "--dry-run", "--json"))
    assert (plan["letters"], plan["targets"]) == (len(letters.whole), {letters.source: len(letters.whole)})
    assert plan["held"] == {"partial": COUNT - len(letters.whole)}
    assert plan["samples"][0]["to"].startswith(f"{letters.source}[")
    assert not any(read(kafka.bootstrap_servers, letters.source).values())
    assert "nothing was done" in penstock("dlq", "redrive", letters.dead, "--dry-run").stdout


def test_letters_of_a_pipeline_whose_group_is_not_there_are_held_back(penstock: Penstock, letters: Letters) -> None:
    """Their records would be for nobody, and count as redriven."""
    plan = shown(penstock("dlq", "redrive", letters.dead, "-w", "dialect=penstock", "--dry-run", "--json"))
    assert (plan["letters"], plan["held"]) == (0, {"no group": 31})


def test_letters_are_redriven_once_dropped_and_reopened_and_the_log_has_it(
    penstock: Penstock, kafka: KafkaUnderTest, letters: Letters
) -> None:
    first = shown(penstock("dlq", "redrive", letters.dead, "-w", "dialect=spring", "--json"))
    assert (first["letters"], first["is_finished"]) == (30, True)
    drop = ("dlq", "drop", letters.dead, "--reason", "test data", "-w", "dialect=connect")
    assert shown(penstock(*drop, "--json"))["letters"] == 29
    rest = shown(penstock("dlq", "redrive", letters.dead, "--for-all", "--json"), code=1)
    assert rest["letters"] + 30 + 29 + 2 == COUNT
    assert rest["held"] == {"partial": 2}
    (row,) = shown(penstock("dlq", "ls", "--json"))
    assert (row["open"], row["redriven"], row["dropped"]) == (2, 89, 29)
    assert shown(penstock("dlq", "reopen", letters.dead, "-w", "dialect=connect", "--json"))["letters"] == 29
    assert shown(penstock("dlq", "redrive", letters.dead, "--json"), code=1)["letters"] == 29

    found = read(kafka.bootstrap_servers, letters.source)
    assert sorted(int(r.value or b"") for records in found.values() for r in records) == letters.whole
    log = shown(penstock("dlq", "log", "--json"))
    assert [run["action"] for run in log] == ["redrive", "drop", "redrive", "reopen", "redrive"]
    assert log[1]["reason"] == "test data"
    assert all("@" in run["who"] and run["is_finished"] for run in log)
    table = penstock("dlq", "log").stdout
    assert "reason: test data" in table
    assert ".redrives" not in penstock("topics", "--json").stdout


def test_records_are_mended_on_their_way_to_another_topic(
    penstock_process: Penstock, kafka: KafkaUnderTest, letters: Letters, project: Path
) -> None:
    """Also those that are not whole: the function may know where the rest is."""
    (project / "mending.py").write_text(
        "def price(record):\n"
        "    return None if record.value == b'5' else record.with_value(b'mended ' + record.value)\n"
    )
    target = f"{letters.source}-mended"
    done = penstock_process("dlq", "redrive", letters.dead, "--to", target, "--edit", "mending:price", "--json")
    assert done.returncode == 2
    assert f"there is no topic '{target}'" in done.stderr
    create(kafka.bootstrap_servers, target, 2, message_timestamp_before_max_ms=str(2**63 - 1), retention_ms="-1")
    done = penstock_process("dlq", "redrive", letters.dead, "--to", target, "--edit", "mending:price", "--json")
    assert shown(done, code=1)["held"] == {"left out": 1}
    found = [r.value for records in read(kafka.bootstrap_servers, target).values() for r in records]
    assert sorted(found, key=str) == sorted((b"mended %d" % n for n in range(COUNT) if n != 5), key=str)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("redrive", "{dead}", "--edit", "nowhere"), "write module:function"),
        (("redrive", "{dead}", "-w", "stge=x"), "did you mean 'stage'"),
        (("redrive", "{dead}", "--to", "{dead}"), "that is the dead-letter topic itself"),
        (("stats", "{dead}", "--by", "colour"), "choose fingerprint"),
        (("stats", "{dead}x"), "did you mean '{dead}'"),
        (("show", "{dead}", "--partition", "7"), "has partitions 0 to 2, not 7"),
        (("show", "{dead}[7]@17"), "has partitions 0 to 2, not 7"),
        (("show", "{dead}x[0]@17"), "did you mean '{dead}'"),
        (("show", "{dead}", "--since", "yesterday"), "give a time as"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    penstock: Penstock, letters: Letters, arguments: tuple[str, ...], told: str
) -> None:
    done = penstock("dlq", *(argument.format(dead=letters.dead) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert told.format(dead=letters.dead) in done.stderr


def test_a_ledger_that_would_forget_is_refused(penstock: Penstock, kafka: KafkaUnderTest, letters: Letters) -> None:
    ledger = letters.dead.partition(".dlq.")[0] + ".rivers.redrives"
    create(kafka.bootstrap_servers, ledger)
    done = penstock("dlq", "redrive", letters.dead)
    assert done.returncode == 3
    assert "cleanup.policy=compact" in done.stderr
    assert not any(read(kafka.bootstrap_servers, letters.source).values())

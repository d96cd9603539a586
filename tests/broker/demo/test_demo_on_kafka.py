"""The demo on a cut of the files, and its verdict on topics that somebody tampered with."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from zipfile import ZipFile

import pytest
from confluent_kafka import Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # re-exported without __all__

import penstock as ps
from demo.directory import MISSING
from demo.expected import Expected, expect
from demo.figures import Actor
from demo.observed import Source, observe, read
from demo.pipelines import FOLDED, PIPELINES
from demo.project import Project, environment
from demo.publish import publish_and_kill
from demo.run import Plan, run
from demo.screen import Screen
from demo.verdict import DataSet, compare
from demo.watch import TopicWatch
from penstock.embedded.registry import RegistryServer
from penstock.errors import StartFailed
from penstock.kafka.client import Connection
from penstock.kafka.registry import RegistryClient
from penstock.protocols import TransactionHooks
from penstock.publishing.opening import Surroundings, opened
from penstock.testing.pytest_plugin import KafkaUnderTest
from producers import flights
from producers.table import data_directory
from schemas.flights import Flight

pytestmark = pytest.mark.broker

NAMES = [pipeline.name for pipeline in FOLDED]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every 150th flight, the impossible ones, and the like of the other files.

    Also all of the airline that the directory does not know.
    """
    whole, folder = data_directory(), tmp_path_factory.mktemp("cut")
    with ZipFile(whole / "flights.csv.zip") as archive:
        flights_lines = archive.read("flights.csv").decode().splitlines()
    for name in ("airlines", "airports", "planes"):
        (folder / f"{name}.csv").write_bytes((whole / f"{name}.csv").read_bytes())
    _cut(folder / "weather.csv", (whole / "weather.csv").read_text().splitlines(), 50, ("1048.36058",))
    impossible = ("B6,35,N658JB,JFK,PBI,141", "DL,1499,N666DN,LGA,ATL,65")
    _cut(folder / "flights.csv", flights_lines, 150, (*impossible, f",{MISSING},"))
    return folder


def _cut(file: Path, lines: list[str], nth: int, always: tuple[str, ...]) -> None:
    header, *rows = lines
    kept = [row for number, row in enumerate(rows) if number % nth == 0 or any(text in row for text in always)]
    # In another order than the published one, so that sorting has something to do.
    random.Random(1).shuffle(kept)
    file.write_text("\n".join([header, *kept]) + "\n")


@pytest.mark.timeout(240)
def test_the_demo_kills_its_producer_three_times_brings_its_dead_letters_back_and_finds_every_row_once(
    cut: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a broker of its own, slow enough for the kills to find the producer at work; too little for workers' kills."""
    monkeypatch.setenv("NYCFLIGHTS_DIR", str(cut))
    report = run(Screen(), Plan(seed=3, rate=800, kills_per_pipeline=0, workers=(1,), pipelines=PIPELINES))

    assert (report.lost, report.duplicated, report.wrong) == (0, 0, 0), report
    # What was not put to the test is not called proven.
    assert [each.split()[0] for each in report.failures()] == ["4", "0"]
    assert not report.ok
    outputs = list(report.data_sets.values())[5:]
    assert report.output_records == sum(each.rows - each.dead_letters + each.brought_back for each in outputs) > 4_000
    assert (report.redriven, report.redrive_lost, report.redrive_duplicated, report.redrive.wrong) == (342, 0, 0, 0)
    assert (report.redrive.letters, report.redrive.kills, report.redrive.turned_away > 0) == (342, 1, True)
    assert report.data_sets["flight-status"].brought_back == 342
    assert {name: each.partitions for name, each in report.folds.items()} == dict.fromkeys(NAMES, 8)
    assert all(each.ok and each.changes > 500 for each in report.folds.values()), report.folds
    assert len(report.producer_kills) == 3
    before = 0
    for kill in report.producer_kills:
        assert kill.committed - before + kill.uncommitted > 0, "it was not publishing"
        before = kill.committed
    assert before < report.data_sets["flights"].records
    # The coordinator may have decided to commit right before a kill: then all of that transaction counts.
    seen = [*(kill.uncommitted for kill in report.producer_kills), report.redrive.uncommitted]
    assert report.aborted in {sum(some) for n in range(len(seen) + 1) for some in combinations(seen, n)}
    assert {name: found.dead_letters for name, found in report.data_sets.items()} == {
        "airlines": 0,
        "airports": 3,
        "planes": 0,
        "weather": 1,
        "flights": 2,
        "flight-status": 348,
        "cancelled-flights": 0,
        "aircraft-rotations": 0,
        "carrier-totals": 0,
        "route-totals": 0,
        "airport-balances": 0,
    }
    assert report.data_sets["flights"].rows > 2_000
    assert json.loads(report.to_json())["data_sets"]["weather"]["missing"] == 0
    told = capsys.readouterr().out
    assert "4 kills prove too little" in told
    # What `penstock dlq` said on the way: the cause, with its number, and how many were left for the second redrive.
    assert "342 open" in told
    assert "BadRecord (airline) in process of 'airline'" in told
    left = re.search(r"(\d+) letters redriven", told)
    assert left is not None, told
    assert 0 < int(left[1]) < 342


@pytest.mark.full
@pytest.mark.timeout(1_200)
def test_the_whole_demo_passes(tmp_path: Path) -> None:
    """All five files, as `make demo` runs it."""
    verdict = tmp_path / "verdict.json"
    result = subprocess.run([sys.executable, "-m", "demo", "--all", "--json", str(verdict)], check=False)
    assert result.returncode == 0
    told = json.loads(verdict.read_text())
    assert told["ok"]
    assert told["kills"] >= 15
    assert told["kills_inside"] >= 3
    assert (told["lost"], told["duplicated"], told["wrong"]) == (0, 0, 0)
    assert (told["redriven"], told["redrive_lost"], told["redrive_duplicated"]) == (342, 0, 0)
    assert (told["input_records"], told["output_records"], told["dead_letters"]) == (367_678, 2_318_624, 815 + 342)
    commits = {name: found["commits"] for name, found in told["folds"].items()}
    assert all(commits[name] > 100 for name in NAMES), commits


# ---------------------------------------------------------------- what the verdict says to tampered topics


@dataclass(frozen=True)
class Published:
    """The cut's flights on the session's broker, published once."""

    servers: str
    source: Source
    expected: Expected
    messages: list[Message]

    def verdict(self, topic: str | None = None) -> DataSet:
        """The demo's verdict on the topic, or on a tampered copy of it."""
        source = self.source if topic is None else replace(self.source, topic=topic)
        return compare("flights", self.expected, observe(source))

    def copy(self, topic: str, messages: list[tuple[int, bytes | None, bytes | None]]) -> None:
        """Write (partition, key, value) to a new topic, byte for byte."""
        admin = AdminClient({"bootstrap.servers": self.servers})
        admin.create_topics([NewTopic(topic, 8, 1)])[topic].result(30)
        # Idempotent, or what it sends again on a slow machine comes behind what followed it.
        producer = Producer({"bootstrap.servers": self.servers, "enable.idempotence": True})
        for partition, key, value in messages:
            producer.produce(topic, partition=partition, key=key, value=value)
        assert producer.flush(30) == 0

    def raw(self) -> list[tuple[int, bytes | None, bytes | None]]:
        """(partition, key, value) of every record."""
        return [(m.partition() or 0, _bytes(m.key()), _bytes(m.value())) for m in self.messages]


def _bytes(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data


@pytest.fixture(scope="module")
def published(
    kafka: KafkaUnderTest, registry: RegistryServer, cut: Path, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    """Published by the engine, under names of this module's own."""
    name = f"demo-verdict-{tmp_path_factory.getbasetemp().name[-8:]}-{random.randrange(10**6)}"
    topic = ps.Topic(f"{name}.flights", key=str, value=Flight, partitions=8)
    schemas = RegistryClient(registry.url)
    around = Surroundings(
        connection=Connection(kafka.bootstrap_servers),
        registry=schemas,
        project=name,
        state_directory=tmp_path_factory.mktemp("state"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NYCFLIGHTS_DIR", str(cut))
        with opened(replace(flights.flights, name=name, topic=topic), around, TransactionHooks()) as producer:
            producer.run()
    schemas.close()
    expected = expect(cut)["flights"]
    source = Source(kafka.bootstrap_servers, registry.url, topic.name, (f"dlq.{name}",), expected.fields)
    return Published(kafka.bootstrap_servers, source, expected, list(read(kafka.bootstrap_servers, topic.name)))


def test_untouched_topics_pass(published: Published) -> None:
    found = published.verdict()
    assert found.ok, found
    assert found.dead_letters == 2


def test_an_untouched_copy_passes(published: Published, topic_prefix: str) -> None:
    """What fails below fails for the tampering and not for the copying."""
    published.copy(topic_prefix, published.raw())
    assert published.verdict(topic_prefix).ok


def test_a_planted_duplicate_is_named(published: Published, topic_prefix: str) -> None:
    records = published.raw()
    published.copy(topic_prefix, [*records, records[17]])
    found = published.verdict(topic_prefix)
    assert (found.duplicates, found.missing, found.wrong, found.ok) == (1, 0, 0, False)
    assert "a duplicate" in found.problems[0]


def test_a_lost_record_is_named(published: Published, topic_prefix: str) -> None:
    records = published.raw()
    del records[17]
    published.copy(topic_prefix, records)
    found = published.verdict(topic_prefix)
    assert (found.duplicates, found.missing, found.wrong, found.ok) == (0, 1, 0, False)
    assert "not in the topic" in found.problems[0]


def test_a_wrong_record_is_named(published: Published, topic_prefix: str) -> None:
    """One letter of a tail number changed inside the Avro bytes; the key is as it was."""
    records = published.raw()
    place, (partition, key, value) = next((i, r) for i, r in enumerate(records) if r[1] and r[1].startswith(b"N"))
    assert key is not None
    assert value is not None
    records[place] = (partition, key, value.replace(key, b"X" + key[1:]))
    published.copy(topic_prefix, records)
    found = published.verdict(topic_prefix)
    assert (found.duplicates, found.missing, found.wrong, found.ok) == (0, 0, 1, False)
    assert "tail_number is 'X" in found.problems[0]


def test_a_truncated_record_is_named(published: Published, topic_prefix: str) -> None:
    records = published.raw()
    partition, key, value = records[3]
    records[3] = (partition, key, (value or b"")[:-1])
    published.copy(topic_prefix, records)
    found = published.verdict(topic_prefix)
    assert (found.missing, found.wrong, found.ok) == (1, 1, False)
    assert any("cannot be decoded" in problem for problem in found.problems)


def test_two_records_of_a_key_in_each_others_place_are_named(published: Published, topic_prefix: str) -> None:
    records = published.raw()
    places: dict[bytes | None, int] = {}
    for place, (_, key, _) in enumerate(records):
        if key in places:
            records[places[key]], records[place] = records[place], records[places[key]]
            break
        places[key] = place
    published.copy(topic_prefix, records)
    found = published.verdict(topic_prefix)
    assert (found.duplicates, found.missing, found.ok) == (0, 0, False)
    assert any("behind a later row of its key" in problem for problem in found.problems)


def test_records_cut_off_at_the_beginning_are_missing(published: Published, topic_prefix: str) -> None:
    """As retention would: the reader starts where the log starts, and the verdict counts."""
    published.copy(topic_prefix, published.raw())
    admin = AdminClient({"bootstrap.servers": published.servers})
    for answer in admin.delete_records([TopicPartition(topic_prefix, 0, 4)]).values():
        answer.result(30)
    assert published.verdict(topic_prefix).missing == 4


def test_a_producer_that_is_done_before_its_kill_is_told(
    kafka: KafkaUnderTest, registry: RegistryServer, tmp_path: Path
) -> None:
    """A demo that did not kill must not say that it did."""
    project = tmp_path / "project"
    (project / "producers").mkdir(parents=True)
    (project / "penstock.toml").write_text(f'[project]\nname = "{tmp_path.name[:20].replace("_", "-")}"\n')
    (project / "producers" / "few.py").write_text(
        "import penstock as ps\n"
        f"TOPIC = ps.Topic('few-{tmp_path.name}', key=str, value=str, partitions=1)\n"
        "@ps.producer('few', topic=TOPIC)\n"
        "def few(cursor):\n"
        "    yield from ((n, ps.Record(key='k', value=str(n))) for n in range(cursor or 0, 3))\n"
    )
    variables = environment(kafka.bootstrap_servers, registry.url, tmp_path / "state")
    publishing = Project(project, variables, tmp_path)
    watch = TopicWatch(kafka.bootstrap_servers, f"few-{tmp_path.name}")
    with pytest.raises(StartFailed, match="done before it could be killed"):
        publish_and_kill(publishing, Actor("few"), watch, [(1_000, 0.0)])

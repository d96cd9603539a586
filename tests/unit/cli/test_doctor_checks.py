import os
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.cli.checks.features import CONSUMER_SESSION, VERIFICATION, features, worker_sessions
from penstock.cli.checks.finding import Mark
from penstock.cli.checks.internal_topics import TRANSACTIONS
from penstock.cli.checks.internal_topics import judge as judge_internal
from penstock.cli.checks.machine import machine
from penstock.cli.checks.project_topics import Needed, judge, needed
from penstock.cli.topics import duration, is_internal
from penstock.config import load
from penstock.config.model import ProcessingSettings
from penstock.kafka.admin import TopicDescription

TOPIC = Needed("flights", "of producer flights", partitions=8)
FOUND = TopicDescription("flights", partitions=8, replication=3)
SAFE = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.upper().startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "penstock.toml").write_text('[project]\nname = "river"\nprefix = "team"\n')
    return tmp_path


def test_a_safe_topic_is_good_everywhere() -> None:
    assert judge(TOPIC, FOUND, SAFE, in_production=True).mark is Mark.GOOD
    assert judge(TOPIC, FOUND, SAFE, in_production=False).mark is Mark.GOOD


@pytest.mark.parametrize(
    ("found", "settings", "in_dev", "in_production"),
    [
        (replace(FOUND, replication=1), SAFE, Mark.GOOD, Mark.BAD),
        (FOUND, {**SAFE, "min.insync.replicas": "1"}, Mark.GOOD, Mark.BAD),
        (FOUND, {**SAFE, "unclean.leader.election.enable": "true"}, Mark.WARNING, Mark.BAD),
        (FOUND, {**SAFE, "retention.ms": "3600000"}, Mark.WARNING, Mark.WARNING),
        (replace(FOUND, partitions=4), SAFE, Mark.BAD, Mark.BAD),
        (replace(FOUND, leaderless=(3,)), SAFE, Mark.BAD, Mark.BAD),
    ],
)
def test_what_can_lose_data_is_worse_in_production(
    found: TopicDescription, settings: dict[str, str], in_dev: Mark, in_production: Mark
) -> None:
    marks = [judge(TOPIC, found, settings, in_production=production) for production in (False, True)]
    assert [finding.mark for finding in marks] == [in_dev, in_production]
    assert all(finding.advice for finding in marks if finding.mark is not Mark.GOOD)


@pytest.mark.parametrize(
    ("copies", "in_sync", "is_there", "in_production", "mark"),
    [
        (3, 2, True, True, Mark.GOOD),
        (1, 1, True, False, Mark.GOOD),
        (2, 2, True, True, Mark.BAD),
        (3, 1, True, True, Mark.BAD),
        (3, 2, False, True, Mark.GOOD),
        (1, 1, False, True, Mark.BAD),
    ],
)
def test_kafkas_own_topics_must_survive_a_broker_in_production(
    copies: int, in_sync: int, is_there: bool, in_production: bool, mark: Mark
) -> None:
    found = judge_internal(TRANSACTIONS, copies, in_sync, is_there=is_there, in_production=in_production)
    assert found.mark is mark
    assert bool(found.advice) == (mark is Mark.BAD)
    assert ("before it is made" in found.advice) == (mark is Mark.BAD and not is_there)


@pytest.mark.parametrize(
    ("settings", "mark", "words"),
    [
        ({VERIFICATION: "true"}, Mark.GOOD, "refuse"),
        ({VERIFICATION: "false"}, Mark.WARNING, "switched off"),
        ({}, Mark.WARNING, "not known to these brokers"),
    ],
)
def test_brokers_that_take_late_requests_are_a_warning(settings: dict[str, str], mark: Mark, words: str) -> None:
    *_, found = features(settings)
    assert (found.mark, words in found.found) == (mark, True)


def test_an_old_broker_has_the_classic_protocol_only() -> None:
    protocols, _ = features({})
    assert (protocols.mark, protocols.found) == (Mark.GOOD, "classic")


SESSIONS = {
    "group.coordinator.rebalance.protocols": "classic,consumer",
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    CONSUMER_SESSION: "45000",
}


@pytest.mark.parametrize(
    ("settings", "processing", "mark", "words"),
    [
        (SESSIONS, ProcessingSettings(), Mark.GOOD, "after 10 s"),
        (SESSIONS, ProcessingSettings(session_timeout_ms=5_000), Mark.BAD, "5000, the brokers allow 6000 to 1800000"),
        (SESSIONS, ProcessingSettings(group_protocol="consumer"), Mark.GOOD, "after 45 s"),
        ({}, ProcessingSettings(group_protocol="consumer"), Mark.BAD, "have classic only"),
        ({}, ProcessingSettings(), Mark.GOOD, "after 10 s"),
    ],
)
def test_the_brokers_have_to_agree_to_how_soon_a_dead_worker_is_noticed(
    settings: dict[str, str], processing: ProcessingSettings, mark: Mark, words: str
) -> None:
    found = worker_sessions(settings, processing)
    assert found.mark is mark
    assert words in found.found
    assert bool(found.advice) == (mark is Mark.BAD)


def test_a_cursor_topic_must_be_compacted() -> None:
    cursors = Needed("river.cursors", "cursors", compacted=True)
    assert judge(cursors, FOUND, SAFE, in_production=False).mark is Mark.BAD
    assert judge(cursors, FOUND, {**SAFE, "cleanup.policy": "compact"}, in_production=False).mark is Mark.GOOD


def test_the_topics_of_a_producer_are_its_own_its_dead_letters_and_the_cursors(folder: Path) -> None:
    package = f"producers_{folder.name.replace('-', '_')}"
    (folder / package).mkdir()
    (folder / package / "levels.py").write_text(
        "import penstock as ps\n"
        'LEVELS = ps.Topic("levels", key=str, value=str, partitions=2)\n'
        '@ps.producer("levels", topic=LEVELS)\n'
        "def levels(cursor):\n"
        "    yield from ()\n"
    )
    (folder / "penstock.toml").write_text(f'[project]\nname = "river"\nprefix = "team"\nproducers = "{package}"\n')
    assert {topic.name: topic.partitions for topic in needed(load())} == {
        "levels": 2,
        "team.dlq.levels": 1,
        "team.river.cursors": 8,
    }


def test_a_state_directory_that_others_can_read_is_bad(folder: Path) -> None:
    directory = load().state.create()
    assert directory == folder / ".penstock"
    marks = {finding.subject: finding for finding in machine(load())}
    assert marks["state directory"].mark is Mark.GOOD
    directory.chmod(0o750)
    marks = {finding.subject: finding for finding in machine(load())}
    assert marks["state directory"].mark is Mark.BAD
    assert marks["state directory"].advice == f"chmod 700 {directory}"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(604_800_000, "7 d"), (5_400_000, "90 min"), (7_200_000, "2 h"), (1_000, "1 s"), (1_500, "1500 ms"), (0, "0 ms")],
)
def test_a_duration_is_told_in_the_largest_unit_that_divides_it(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    "name", ["__consumer_offsets", "_schemas", "river.cursors", "p.g.changelog", "p.n.repartition"]
)
def test_bookkeeping_topics_are_internal(name: str) -> None:
    assert is_internal(name)
    assert not is_internal("dlq.flights")

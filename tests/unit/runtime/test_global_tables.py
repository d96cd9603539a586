"""What a worker knows of a topic that all its tasks see whole."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.deadletter.dead_letter import REDRIVE_GROUP
from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide, UndecodableRecord
from penstock.kafka.reader import RawRecord
from penstock.record import Record
from penstock.runtime.global_tables import GlobalTables, TableContent
from penstock.runtime.merge import Partition
from penstock.schemas.serdes import int64, json
from penstock.schemas.topic import Topic
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster, running

NAMES = Topic("names", key=str, value=json(dict[str, str]), config={"retention.ms": "-1"})


def record(key: str | None, value: str | None, partition: int = 0, offset: int = 0) -> RawRecord:
    return Record(
        key=None if key is None else key.encode(errors="surrogateescape"),
        value=None if value is None else value.encode(),
        topic="names",
        partition=partition,
        offset=offset,
    )


class Tape:
    """`global_tables.TableReader`: what each poll gives, and where it ends."""

    def __init__(self, *polls: list[RawRecord], ends_after: int) -> None:
        self.polls = list(polls)
        self.left = ends_after
        self.starts: dict[Partition, int] = {}
        self.at_end: set[Partition] = set()
        self.is_closed = False

    def assign(self, starts: Mapping[Partition, int]) -> None:
        self.starts = dict(starts)

    def poll(self, timeout_s: float) -> list[RawRecord]:
        del timeout_s
        self.left -= 1
        if self.left <= 0:
            self.at_end = set(self.starts)
        return self.polls.pop(0) if self.polls else []

    def close(self) -> None:
        self.is_closed = True


class Ticking(ManualClock):
    """A clock on which time passes when it is looked at."""

    def monotonic_s(self) -> float:
        self.now_s += 0.06
        return self.now_s


def tables(tape: Tape) -> tuple[GlobalTables, TableContent]:
    content = TableContent("everywhere", NAMES.bind(None))
    return GlobalTables(tape, {"names": content}, {"names": 2}, Ticking()), content


def test_it_is_ready_when_every_partition_was_read_to_its_end() -> None:
    tape = Tape([record("a", '{"n":"1"}')], [record("b", '{"n":"2"}', 1)], ends_after=9)
    made, content = tables(tape)
    assert tape.starts == {("names", 0): -2, ("names", 1): -2}
    steps = 0
    while not made.is_ready:
        made.step()
        steps += 1
    assert steps > 1, "a step is bounded"
    assert content.find(["b", "a", "c", None]) == [{"n": "2"}, {"n": "1"}, None, None]


def test_what_was_redriven_for_another_group_changes_nothing() -> None:
    """It was there when it came first, and what is there now may be newer."""
    content = TableContent("everywhere", NAMES.bind(None), "p")
    content.take([record("a", '{"n":"2"}'), record("b", '{"n":"2"}')])
    for key, group in (("a", b"another"), ("b", b"p")):
        again: RawRecord = Record(key=key.encode(), value=b'{"n":"1"}', headers=((REDRIVE_GROUP, group),))
        content.take([again])
    assert content.find(["a", "b"]) == [{"n": "2"}, {"n": "1"}]


def test_later_changes_are_there_at_the_next_step_and_a_null_value_deletes() -> None:
    tape = Tape([record("a", '{"n":"1"}'), record("b", "{}")], ends_after=1)
    made, content = tables(tape)
    made.step()
    tape.polls = [[record("a", '{"n":"3"}'), record("b", None)]]
    made.step()
    assert content.find(["a", "b"]) == [{"n": "3"}, None]
    assert len(content) == 1


def test_what_is_found_is_the_callers_own() -> None:
    tape = Tape([record("a", '{"n":"1"}')], ends_after=1)
    made, content = tables(tape)
    made.step()
    content.find(["a"])[0]["n"] = "changed"
    assert content.find(["a", "a"]) == [{"n": "1"}, {"n": "1"}]


@pytest.mark.parametrize(("key", "told"), [(None, "it has none"), ("\udcff", "the bytes are no UTF-8 text")])
def test_a_record_without_a_key_that_can_be_read_stops_the_worker(key: str | None, told: str) -> None:
    bad = record(key, "{}", 1, 17)
    made, _ = tables(Tape([bad], ends_after=1))
    with pytest.raises(
        OperatorMustDecide, match=rf"names\[1\]@17: global table 'everywhere' cannot read the key \({told}"
    ):
        made.step()


def test_a_value_that_cannot_be_read_fails_the_record_that_asks_for_it() -> None:
    tape = Tape([record("a", "?"), record("b", "{}")], ends_after=1)
    made, content = tables(tape)
    made.step()
    assert content.find(["b"]) == [{}]
    with pytest.raises(UndecodableRecord, match="what global table 'everywhere' holds for it cannot be read") as failed:
        content.find(["b", "a"])
    assert failed.value.index == 1


def test_no_task_begins_before_the_table_was_read_to_its_end() -> None:
    pipeline = Pipeline("p", on_error="dead_letter")
    names = pipeline.global_table(NAMES, name="everywhere")
    stream = pipeline.stream(Topic("in", key=str, value=str))
    stream.left_join(names, lambda text, found: f"{text} {(found or {}).get('n')}", on=lambda text: text[0]).to(
        Topic("out", key=str, value=str)
    )
    log = Cluster({("in", 0): [(0, b"k", b"a1", 0), (1, b"k", b"b2", 0), (2, b"k", b"c3", 0)]})
    tape = Tape([record("a", '{"n":"one"}'), record("c", "?")], ends_after=25)
    made, _ = tables(tape)
    run = running(log, pipeline, global_tables=made)
    for _ in range(3):
        run.worker.step()
        assert not run.worker.tasks
    while not run.worker.tasks:
        run.worker.step()
    assert made.is_ready
    run.until_idle()
    assert log.values("out") == [b"a1 one", b"b2 None"]
    assert log.values("dlq.in") == [b"c3"], "the table's fault, judged by the policy of the join"


def test_numbers_are_keys_too() -> None:
    topic = Topic("names", key=int64, value=str, config={"retention.ms": "-1"})
    content = TableContent("everywhere", topic.bind(None))
    content.take([Record(key=(7).to_bytes(8, "big"), value=b"seven", topic="names", partition=0, offset=0)])
    assert content.find([7, 8]) == ["seven", None]

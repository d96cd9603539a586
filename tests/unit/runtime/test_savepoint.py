"""What becomes of a batch in which something fails, as the next restart would find it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from penstock.deadletter.dead_letter import REDRIVE_GROUP
from penstock.dsl.pipeline import Pipeline
from penstock.errors import BadRow, ConfigurationError, RegistryUnavailable
from penstock.operators.context import Context
from penstock.operators.process import processor
from penstock.protocols import Codec, Decoded
from penstock.record import Record
from penstock.runtime.savepoint import RecordFailed
from penstock.schemas.serdes import int64, json
from penstock.schemas.topic import Topic
from penstock.state.spec import StoreSpec
from penstock.topology.node import Policy
from tests.unit.operators.one_task import OneTask, Raw

NUMBERS = Topic("numbers", key=str, value=int64)
OUT = Topic("out", key=str, value=int64)
SUMS = StoreSpec("sums", key=str, value=int)


def raw(number: int, key: bytes | None = b"k", timestamp_ms: int = 5) -> Raw:
    return Raw("numbers", key, number.to_bytes(8, "big", signed=True), timestamp_ms)


@processor(stores=[SUMS])
def add(record: Record[str, int], ctx: Context) -> Iterator[Record[str, int]]:
    """Changes its store, and only then fails on negative numbers."""
    sums = ctx.store(SUMS)
    total = sums.get(record.key, 0) + record.value
    sums.put(record.key, total)
    if record.value < 0:
        raise ValueError(f"the secret is {record.value}")
    yield record.with_value(total)


def adding(on_error: Policy) -> OneTask:
    pipeline = Pipeline("adding", on_error=on_error)
    pipeline.stream(NUMBERS).process(add).to(OUT)
    return OneTask(pipeline)


def test_a_bad_record_is_set_aside_and_its_neighbours_are_as_if_it_had_not_been_there() -> None:
    with_it, without = adding("dead_letter"), adding("dead_letter")

    seen = with_it.feed([raw(1), raw(-5), raw(2)])
    clean = without.feed([raw(1), raw(2)])

    assert seen.written == clean.written
    assert seen.state == clean.state
    assert seen.dead == [("numbers", 102, "process", "add", "ValueError")]
    assert (seen.records, clean.records) == (3, 2)


def test_what_was_redriven_for_another_group_is_passed_over_and_leaves_nothing_behind() -> None:
    """Not even if it could not be decoded, or failed: its original was dealt with here."""
    ours, theirs = ((REDRIVE_GROUP, b"adding"),), ((REDRIVE_GROUP, b"another"),)
    task, alone = adding("dead_letter"), adding("dead_letter")
    records = [
        raw(1),
        replace(raw(2), headers=theirs),
        replace(raw(3), headers=ours),
        replace(raw(-4), headers=theirs),
        Raw("numbers", b"k", b"?", 9_999, theirs),
    ]
    seen = task.feed(records)
    assert (seen.records, seen.filtered, seen.dead) == (5, 3, [])
    failing = adding("dead_letter").feed([*records, raw(-5)])  # so that all run once more, one at a time
    assert (failing.records, failing.filtered, failing.written) == (6, 3, seen.written)
    assert seen.written == alone.feed([raw(1), raw(3)]).written
    assert seen.stream_times_ms == {"numbers": 5}


def test_a_bad_record_does_not_move_stream_time() -> None:
    task = adding("dead_letter")
    assert task.feed([raw(1), raw(-5, timestamp_ms=9_999)]).stream_times_ms == {"numbers": 5}
    assert task.feed([raw(-5, timestamp_ms=9_999), raw(1)]).stream_times_ms == {"numbers": 5}


def test_a_task_stops_in_front_of_a_record_whose_policy_is_to_fail() -> None:
    task = adding("fail")
    (batch,) = task.batches([raw(1), raw(2), raw(-5), raw(3)])

    with pytest.raises(RecordFailed) as failed:
        task.run(batch)

    error = failed.value
    assert (error.topic, error.partition, error.offset, error.place) == ("numbers", 2, 104, 2)
    assert (error.operator, error.stage, type(error.error)) == ("add", "process", ValueError)
    assert error.staged.records == 2
    assert [output.values for output in error.staged.outputs] == [[n.to_bytes(8, "big") for n in (1, 3)]]
    task.commit()
    assert task.store("sums").get("k") == 3
    assert task.logics["numbers"].time.now_ms == 5


def test_the_message_of_a_failure_holds_no_payload() -> None:
    task = adding("fail")
    (batch,) = task.batches([raw(-5)])
    with pytest.raises(
        RecordFailed, match=r"numbers\[2\]@100 failed at 'add' .*ValueError at test_savepoint.py"
    ) as failed:
        task.run(batch)
    assert "secret" not in str(failed.value)


def test_bytes_that_are_no_value_are_set_aside_without_a_second_run() -> None:
    runs: list[int] = []
    pipeline = Pipeline("taps", on_error="dead_letter")
    pipeline.stream(NUMBERS).tap(runs.append).to(OUT)

    seen = OneTask(pipeline).feed([raw(1), Raw("numbers", b"k", b"?"), Raw("numbers", b"\xff", b"?"), raw(2)])

    assert runs == [1, 2]
    assert seen.dead == [
        ("numbers", 102, "decode", "", "UndecodableRecord"),
        ("numbers", 104, "decode", "", "UndecodableRecord"),
    ]


def test_an_undecodable_record_under_fail_stops_behind_its_predecessors() -> None:
    """Policies of operators do not matter to it: the source's does."""
    pipeline = Pipeline("decoding", on_error="dead_letter")
    pipeline.stream(NUMBERS, on_error="fail").process(add).to(OUT)
    task = OneTask(pipeline)
    (batch,) = task.batches([raw(1), raw(-7), Raw("numbers", b"k", b"?"), raw(2)])

    with pytest.raises(
        RecordFailed, match=r"numbers\[2\]@104 failed at stage decode: the bytes are no 64-bit"
    ) as failed:
        task.run(batch)

    assert (failed.value.place, failed.value.operator, failed.value.stage) == (2, "", "decode")
    assert [dead.place for dead in failed.value.staged.dead] == [1]
    assert failed.value.staged.records == 2
    task.commit()
    assert task.store("sums").get("k") == 1


def test_each_operator_has_its_own_policy() -> None:
    def fail(number: int) -> int:
        raise BadRow(f"no flight of class {type(number)}", reason="nonsense")

    pipeline = Pipeline("policies")
    stream = pipeline.stream(NUMBERS)
    stream.filter(lambda n: n == 1).map(fail, name="judge", on_error="dead_letter").to(OUT)
    stream.filter(lambda n: n == 2).map(fail, name="strict").to(OUT)
    task = OneTask(pipeline)

    assert task.feed([raw(1)]).dead == [("numbers", 100, "validate", "judge", "BadRow")]
    with pytest.raises(RecordFailed, match="'strict'"):
        task.feed([raw(2)])


def test_what_does_not_fit_its_topic_belongs_to_its_record() -> None:
    pipeline = Pipeline("encoding", on_error="dead_letter")
    pipeline.stream(NUMBERS).map(lambda n: n or 2**70).to(OUT)

    seen = OneTask(pipeline).feed([raw(1), raw(0), raw(2)])

    assert seen.dead == [("numbers", 102, "encode", "to-out", "UnencodableValue")]
    assert len(seen.written["out"]) == 2


def test_what_does_not_fit_its_store_belongs_to_its_record() -> None:
    pipeline = Pipeline("storing", on_error="dead_letter")
    pipeline.stream(NUMBERS).aggregate(int, lambda _, n: n or 2**70, name="last").to(OUT)
    assert OneTask(pipeline).feed([raw(0), raw(2)]).dead == [("numbers", 100, "state", "last", "UnencodableValue")]


def test_a_handler_that_changes_its_value_gets_it_as_it_was_when_it_is_replayed() -> None:
    lists = Topic("lists", key=str, value=json(list[int]))

    def grow(numbers: list[int]) -> list[int]:
        numbers.append(1)
        if 13 in numbers:
            raise ValueError
        return numbers

    pipeline = Pipeline("growing", on_error="dead_letter")
    pipeline.stream(lists).map(grow).to(Topic("grown", key=str, value=json(list[int])))

    seen = OneTask(pipeline).feed([Raw("lists", b"k", b"[7]"), Raw("lists", b"k", b"[13]")])

    assert [value for _, value, *_ in seen.written["grown"]] == [b"[7,1]"]


# ---------------------------------------------------------------- no record's fault


class Registry:
    """Numbers as text, by way of a registry that can be away."""

    def __init__(self) -> None:
        self.away_after = -1

    def bind(self, *_given: Any, **_options: Any) -> Codec[int]:
        return self

    def _ask(self) -> None:
        self.away_after -= 1
        if self.away_after == 0:
            raise RegistryUnavailable("the registry is away")

    def encode(self, values: Any) -> list[bytes]:
        self._ask()
        return [b"%d" % value for value in values]

    def decode(self, data: Any) -> Decoded[int]:
        self._ask()
        return Decoded([int(each) for each in data], {})


@pytest.mark.parametrize("asked", range(1, 9))
def test_a_registry_that_is_away_undoes_the_whole_batch(asked: int) -> None:
    """Also in the middle of a replay, when records before it are accepted already: the same batch can be run again."""
    registry = Registry()
    pipeline = Pipeline("away", on_error="dead_letter")
    numbers = Topic("numbers", key=bytes, value=registry)
    stream = pipeline.stream(numbers)
    stream.map(lambda n: n if n > 0 else 1 // n).count(name="counts").to(Topic("counts", key=bytes, value=registry))
    task = OneTask(pipeline)
    records = [Raw("numbers", b"k", value, 5) for value in (b"1", b"2", b"0", b"3")]
    (batch,) = task.batches(records)
    task.feed([Raw("numbers", b"k", b"9", 1)])

    registry.away_after = asked
    with pytest.raises(RegistryUnavailable):
        task.run(batch)

    assert task.store("counts").get(b"k") == (1, 1)
    assert task.logics["numbers"].time.now_ms == 1
    staged = task.run(batch)
    assert [dead.place for dead in staged.dead] == [2]
    assert task.store("counts").get(b"k") == (4, 5)


def test_a_mistake_in_the_code_is_no_records_fault() -> None:
    @processor()
    def undeclared(record: Record[str, int], ctx: Context) -> Iterator[Record[str, int]]:
        ctx.store(SUMS).put("k", 1)
        yield record

    pipeline = Pipeline("mistaken", on_error="dead_letter")
    pipeline.stream(NUMBERS).process(undeclared).to(OUT)
    with pytest.raises(ConfigurationError, match="asks for store 'sums'") as failed:
        OneTask(pipeline).feed([raw(1), raw(2)])
    assert failed.value.__notes__ == ["in operator 'undeclared'", "in numbers[2] between offsets 100 and 102"]

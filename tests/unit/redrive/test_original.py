"""A dead letter becomes the record that failed, or stays where it is for a reason."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.deadletter.dead_letter import Source
from penstock.errors import OperatorMustDecide
from penstock.record import Record
from penstock.redrive.original import Outgoing, RawRecord, Route, TargetTopic
from tests.unit.redrive.letters import dead_letter

NOW_MS = 1_000_000
TOPICS = {"in": TargetTopic(4, None), "small": TargetTopic(1, None), "short": TargetTopic(4, 60_000)}
MARKS = (("penstock.dlq.redrive.id", b"r1"), ("penstock.dlq.redrive.count", b"1"))


def outgoing(letter: Any = None, **route: Any) -> Any:
    return Route(TOPICS, "r1", **route).outgoing(letter or dead_letter(7, 2), NOW_MS)


def test_it_goes_back_to_its_place_as_it_was_with_marks_behind_its_headers() -> None:
    assert outgoing() == Outgoing("in", 2, b"key", b"7", (("tag", b"1"), *MARKS), 1_000)


def test_a_tombstone_goes_back_as_one() -> None:
    assert outgoing(dead_letter(value=None)).value is None


def test_each_redrive_is_counted_and_at_last_it_stays() -> None:
    again = outgoing(dead_letter(redrives=1))
    assert dict(again.headers)["penstock.dlq.redrive.count"] == b"2"
    assert outgoing(dead_letter(redrives=3)) == "loop"
    assert outgoing(dead_letter(redrives=3), max_redrives=4) != "loop"


def test_another_topic_is_written_by_key() -> None:
    assert (outgoing(to="small").topic, outgoing(to="small").partition) == ("small", -1)


@pytest.mark.parametrize("source", [Source("in"), Source("in", 9, 5)])
def test_without_a_partition_that_is_there_it_goes_by_key(source: Source) -> None:
    assert outgoing(dead_letter(source=source)).partition == -1


@pytest.mark.parametrize(
    ("letter", "why"),
    [
        (dead_letter(source=None), "no source"),
        (dead_letter(source=Source("gone", 0, 5)), "no topic"),
        (dead_letter(is_whole=False), "partial"),
        (dead_letter(source=Source("short", 0, 5), original_ms=NOW_MS - 60_000), "retention"),
    ],
)
def test_what_holds_a_letter_back(letter: Any, why: str) -> None:
    assert outgoing(letter) == why


def test_a_topic_that_would_delete_it_at_once_takes_it_with_the_time_of_now() -> None:
    source = Source("short", 0, 5)
    assert outgoing(dead_letter(source=source, original_ms=NOW_MS - 59_999)).timestamp_ms == NOW_MS - 59_999
    assert outgoing(dead_letter(source=source, original_ms=5), now=True).timestamp_ms == 0


@pytest.mark.parametrize("time_ms", [0, -1])
def test_a_record_without_a_time_gets_that_of_now(time_ms: int) -> None:
    assert outgoing(dead_letter(original_ms=time_ms)).timestamp_ms == 0


def from_p(**more: Any) -> Any:
    return dead_letter(7, 2, pipeline="p", **more)


def test_it_is_for_the_group_of_the_pipeline_that_it_failed_in_and_no_other() -> None:
    made = outgoing(from_p(), groups={"dev.p"}, prefix="dev.")
    assert made.headers == (("tag", b"1"), *MARKS, ("penstock.dlq.redrive.group", b"dev.p"))


def test_what_nobody_would_take_stays() -> None:
    assert outgoing(from_p(), groups={"dev.p"}) == "no group"


@pytest.mark.parametrize(
    ("letter", "route"),
    [
        (from_p(), {"for_all": True}),
        (from_p(), {"to": "small"}),
        (from_p(dialect="connect"), {}),  # other systems read no header of ours
        (dead_letter(7, 2), {}),
    ],
)
def test_it_is_for_all_where_that_is_asked_for_or_nobody_else_would_heed_it(letter: Any, route: Any) -> None:
    assert outgoing(letter, **route).headers == (("tag", b"1"), *MARKS)


def test_headers_that_readers_of_a_repartition_topic_need_stand_in_front() -> None:
    assert outgoing(dead_letter(restored=(("penstock.origin", b"x"),))).headers[0] == ("penstock.origin", b"x")


def test_an_edit_sees_the_original_at_its_source_and_changes_it() -> None:
    seen: list[RawRecord] = []

    def edit(record: RawRecord) -> RawRecord:
        seen.append(record)
        return record.with_value(b"mended")

    made = outgoing(edit=edit)
    assert (seen[0].topic, seen[0].partition, seen[0].offset) == ("in", 2, 107)
    assert (made.value, made.key, made.partition, made.timestamp_ms) == (b"mended", b"key", 2, 1_000)


def test_another_key_goes_to_its_own_partition() -> None:
    assert outgoing(edit=lambda record: record.with_key(b"other")).partition == -1


def test_an_edit_may_leave_a_letter_and_may_complete_a_partial_one() -> None:
    assert outgoing(edit=lambda _: None) == "left out"
    made = outgoing(dead_letter(is_whole=False), edit=lambda record: record.with_value(b"whole"))
    assert made.value == b"whole"


def test_an_edit_that_fails_stops_without_telling_payload() -> None:
    def edit(record: RawRecord) -> RawRecord:
        raise ValueError(f"cannot mend {record.value!r}")

    with pytest.raises(OperatorMustDecide, match=r"dlq\.p\.in\[2\]@7: the edit function failed: ValueError at") as told:
        outgoing(edit=edit)
    assert "b'7'" not in str(told.value)


@pytest.mark.parametrize("wrong", [b"bytes", Record(key="text", value=b"x")])
def test_an_edit_has_to_give_a_record_of_bytes(wrong: Any) -> None:
    with pytest.raises(OperatorMustDecide, match="bytes as key and value"):
        outgoing(edit=lambda _: wrong)

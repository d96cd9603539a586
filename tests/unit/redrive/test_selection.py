"""Conditions choose dead letters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock.errors import UsageError
from penstock.redrive.selection import MAX_OFFSET, Condition, Selection
from tests.unit.redrive.letters import dead_letter

LETTER = dead_letter(
    17,
    stage="process",
    operator="com.acme.Add",
    exception="penstock.errors.BadRecord",
    reason="price",
    pipeline="delays",
    fingerprint="3fa90011",
    redrives=2,
    redrive_id="r1",
    key=b"AA",
    value=b'{"price": {"cents": 5, "is_net": true}, "items": [{"sku": "a1"}, {"sku": "b2"}], "note": null}',
    failed_ms=5_000,
)


def readable(data: bytes | None) -> Any:
    if data is None:
        return None
    text = data.decode()
    return json.loads(text) if text.startswith("{") else text


def holds(*conditions: str, **span: int) -> bool:
    return Selection(tuple(map(Condition.of, conditions)), **span).holds(LETTER, readable)


@pytest.mark.parametrize(
    "condition",
    [
        "stage=process",
        "stage=pro*",
        "operator=Add",
        "operator=com.acme.Add",
        "exception=BadRecord",
        "exception=penstock.*",
        "reason=price",
        "pipeline=delays",
        "source=in",
        "dialect=penstock",
        "partition=0",
        "redrives=2",
        "redrive=r1",
        "fingerprint=3fa9",
        "fingerprint=3FA90011",
        "offset=17",
        "offset=10..17",
        "key=AA",
        "field.price.cents=5",
        "field.price.is_net=true",
        "field.items.sku=b*",
        "field.note=null",
        "field.price.cents!=6",
        "field.no.such.path!=x",
        "stage!=decode",
    ],
)
def test_conditions_that_hold(condition: str) -> None:
    assert holds(condition)
    sign = "=" if "!=" in condition else "!="
    name, value = condition.split("!=" if sign == "=" else "=", 1)
    assert not holds(f"{name}{sign}{value}")


@pytest.mark.parametrize(
    "condition",
    [
        "stage=proc",
        "exception=Bad",
        "fingerprint=fa9",
        "fingerprint=",
        "offset=18..20",
        "key=A",
        "field.price=5",
        "field.prize.cents=5",
    ],
)
def test_conditions_that_do_not(condition: str) -> None:
    assert not holds(condition)


def test_all_of_them_have_to_hold() -> None:
    assert holds("stage=process", "key=AA")
    assert not holds("stage=process", "key=BB")
    assert holds()


def test_a_span_of_time_begins_at_its_first_moment_and_ends_before_its_last() -> None:
    assert holds(since_ms=5_000, until_ms=5_001)
    assert not holds(since_ms=5_001)
    assert not holds(until_ms=5_000)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stage", "write NAME=VALUE"),
        ("stge=x", "did you mean 'stage'"),
        ("nothing=x", "names are stage"),
        ("field.=x", "there is no 'field.'|write NAME=VALUE"),
        ("offset=x", "an offset as 17"),
        ("offset=1..", "an offset as 17"),
    ],
)
def test_what_is_no_condition_is_refused_with_a_hint(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Condition.of(text)


def selection(*conditions: str) -> Selection:
    return Selection(tuple(map(Condition.of, conditions)))


@pytest.mark.parametrize(
    ("conditions", "span"),
    [
        ((), (0, MAX_OFFSET)),
        (("offset=17",), (17, 18)),
        (("offset=10..20", "offset=15..90"), (15, 21)),
        (("offset=10..20", "offset!=15"), (10, 21)),
        (("offset!=15",), (0, MAX_OFFSET)),
        (("offset=5", "offset=6"), (6, 6)),
        (("offset=9..2",), (9, 9)),
        (("partition=3", "stage=decode"), (0, MAX_OFFSET)),
    ],
)
def test_only_offsets_that_are_meant_have_to_be_read(conditions: tuple[str, ...], span: tuple[int, int]) -> None:
    assert selection(*conditions).span == span


@pytest.mark.parametrize(
    ("conditions", "partitions"),
    [
        ((), [0, 1, 2, 10, 11]),
        (("partition=1",), [1]),
        (("partition=1*",), [1, 10, 11]),
        (("partition!=1*",), [0, 2]),
        (("partition=1*", "partition!=11"), [1, 10]),
        (("partition=70",), []),
        (("offset=1",), [0, 1, 2, 10, 11]),
    ],
)
def test_only_partitions_that_are_meant_have_to_be_read(conditions: tuple[str, ...], partitions: list[int]) -> None:
    found = selection(*conditions).partitions(12)
    assert [partition for partition in found if partition not in range(3, 10)] == partitions
    assert found == [each for each in range(12) if selection(*conditions).holds(dead_letter(1, each), readable)]

"""Batches as a whole or one row at a time: the same result."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import BadRow, OperatorMustDecide, RegistryUnavailable
from penstock.publishing.batch import RECORD_OVERHEAD_BYTES, StagedBatch, Stager
from penstock.publishing.spec import ProducerSpec
from penstock.record import Headers, Record
from penstock.schemas.topic import Topic

TOPIC: Topic[str, str] = Topic("t", key=str, value=str, partitions=3)
ROOM = 100


def converted(row: Any) -> Any:
    """A row is an exception to raise, or the record itself."""
    if isinstance(row, BaseException):
        raise row
    return row


def stager(max_bytes: int = ROOM + RECORD_OVERHEAD_BYTES, *, by_size: bool = False) -> Stager[str, str]:
    spec: ProducerSpec[str, str] = ProducerSpec(
        name="p",
        topic=TOPIC,
        source=lambda _: iter(()),
        convert=converted,
        partition=(lambda record, n: len(record.value) % n) if by_size else None,
    )
    return Stager(spec, TOPIC.bind(None), 3, max_bytes)


GOOD = st.builds(
    Record[str, str],
    key=st.none() | st.text(max_size=5),
    value=st.text(max_size=5) | st.just("v" * 101),
    headers=st.just(()) | st.just((("h", b"1"), ("h", None))),
)
ROWS = st.lists(GOOD | st.sampled_from([BadRow("x"), ValueError("x"), ZeroDivisionError("x")]), max_size=8)


def lines(batch: StagedBatch) -> list[tuple[bytes | None, bytes | None, Headers, int | None]]:
    n = len(batch.values)
    headers = batch.headers if batch.headers is not None else [()] * n
    partitions = batch.partitions if batch.partitions is not None else [None] * n
    return list(zip(batch.keys, batch.values, headers, partitions, strict=True))


@given(rows=ROWS, by_size=st.booleans(), cut=st.integers(0, 8))
def test_how_rows_are_cut_into_batches_changes_nothing(rows: list[Any], cut: int, *, by_size: bool) -> None:
    stage = stager(by_size=by_size).stage
    numbered = list(enumerate(rows))
    whole, parts = stage(numbered, {}), [stage(numbered[:cut], {}), stage(numbered[cut:], {})]
    singles = [stage([row], {}) for row in numbered]
    for pieces in (parts, singles):
        assert [line for piece in pieces for line in lines(piece)] == lines(whole)
        assert [d.cursor for piece in pieces for d in piece.dead] == [d.cursor for d in whole.dead]
    assert len(whole.values) + len(whole.dead) == len(rows)


def test_the_stage_of_a_failure_is_told() -> None:
    rows: list[Any] = [
        ValueError(),
        Record(key="k", value=5),
        Record(key="k", value="v" * 101),
        Record(key="k", value="v"),
    ]
    batch = stager().stage(list(enumerate(rows)), {(b"k", b"v"): "INVALID_RECORD"})
    assert [(d.cursor, d.stage) for d in batch.dead] == [(0, "convert"), (1, "encode"), (2, "encode"), (3, "sink")]
    assert batch.values == []


@pytest.mark.parametrize(("size", "fits"), [(ROOM - 1, True), (ROOM, False)])
def test_key_and_value_share_the_room(*, size: int, fits: bool) -> None:
    batch = stager().stage([(0, Record(key="k", value="v" * size))], {})
    assert (len(batch.values) == 1) is fits


def test_a_null_key_and_a_tombstone_without_leave() -> None:
    batch = stager().stage([(0, Record(key=None, value="v")), (1, Record(key="k", value=None))], {})
    assert batch.keys == [None]
    assert [(d.cursor, d.stage) for d in batch.dead] == [(1, "encode")]


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), OSError("x"), RuntimeError("x")])
def test_what_is_no_rows_fault_names_the_cursor_and_not_the_text(error: Exception) -> None:
    with pytest.raises(OperatorMustDecide, match=rf"{type(error).__name__} at .* for cursor 1\.") as told:
        stager().stage([(0, Record(key="k", value="v")), (1, error)], {})
    assert told.value.__cause__ is error


def test_a_registry_that_is_away_is_nobodys_fault() -> None:
    with pytest.raises(RegistryUnavailable):
        stager().stage([(0, BadRow("x")), (1, RegistryUnavailable("away"))], {})

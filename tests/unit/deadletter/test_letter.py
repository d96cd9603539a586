"""A dead letter holds as much of its original as its topic takes."""

from __future__ import annotations

import pytest

from penstock.deadletter.envelope import Author, Failure
from penstock.deadletter.letter import Form, Letter, Original, letter_of
from penstock.errors import BadRecord

ORIGINAL = Original(b"key" * 9, b"value" * 1_000, (("user", b"header" * 99), ("penstock.dlq.stack", b"old")), 12_345)


def letter(form: Form = Form.WHOLE, max_bytes: int = 1_000_000, original: Original = ORIGINAL) -> Letter:
    with pytest.raises(BadRecord) as caught:
        raise BadRecord("planted")
    failure = Failure("process", caught.value, Author("p", "test"), "in", "7", 99, partition=0)
    return letter_of(original, failure, form, max_bytes)


def names(made: Letter) -> set[str]:
    return {name.removeprefix("penstock.dlq.") for name, _ in made.headers}


def test_whole_it_is_the_original_byte_for_byte_with_headers_behind() -> None:
    made = letter()
    assert (made.key, made.value, made.timestamp_ms) == (ORIGINAL.key, ORIGINAL.value, 12_345)
    assert made.headers[0] == ("user", b"header" * 99)
    assert {"stack", "stage", "reason"} <= names(made)


def test_it_shrinks_in_steps_and_every_step_says_where_the_original_stands() -> None:
    made = [letter(form) for form in Form]
    assert [("stack" in names(m), m.value is not None, m.key is not None, "user" in names(m)) for m in made] == [
        (True, True, True, True),
        (False, True, True, True),
        (False, False, True, True),
        (False, False, False, False),
    ]
    assert [m.timestamp_ms for m in made] == [12_345, 12_345, 12_345, 0]
    assert dict(made[3].headers)["penstock.dlq.timestamp"] == b"12345"
    assert [dict(m.headers).get("penstock.dlq.truncated.bytes") for m in made] == [None, None, b"5000", b"5000"]
    assert all(dict(m.headers)["__dlq.errors.offset"] == b"7" for m in made)
    assert [m.size_bytes for m in made] == sorted((m.size_bytes for m in made), reverse=True)


@pytest.mark.parametrize("form", Form)
def test_the_first_form_that_fits_is_taken(form: Form) -> None:
    """A pointer that is still too large is given all the same: the topic judges."""
    assert letter(max_bytes=letter(form).size_bytes) == letter(form)
    assert letter(max_bytes=1) == letter(Form.POINTER)


@pytest.mark.parametrize("form", Form)
def test_a_time_of_0_is_told_by_a_header_since_clients_write_it_as_now(form: Form) -> None:
    assert dict(letter(form, original=ORIGINAL._replace(timestamp_ms=0)).headers)["penstock.dlq.timestamp"] == b"0"
    assert ("timestamp" in names(letter(form))) == (form is Form.POINTER)


@pytest.mark.parametrize("form", Form)
def test_how_often_it_was_redriven_is_told_in_every_form(form: Form) -> None:
    """Or a record that fails each time would be redriven for ever."""
    redriven = ORIGINAL._replace(
        headers=(("penstock.dlq.redrive.id", b"r2"), ("penstock.dlq.redrive.count", b"2"), ("user", b"x" * 99))
    )
    headers = dict(letter(form, original=redriven).headers)
    assert (headers["penstock.dlq.redrive.id"], headers["penstock.dlq.redrive.count"]) == (b"r2", b"2")

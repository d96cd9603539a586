"""A dead letter tells what failed and where, and quotes no payload."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.deadletter.envelope import HEADER_ROOM_BYTES, Author, Failure, fingerprint_of, fit, headers_of, message_of
from penstock.errors import BadRow, UnencodableValue
from penstock.record import Headers

QUOTED = "4111-1111"


class ForeignError(ValueError):
    """As a library raises it: everything about it quotes the payload."""

    reason = f"reason {QUOTED}"

    def __init__(self) -> None:
        super().__init__(f"cannot parse {QUOTED}")
        self.add_note(f"note {QUOTED}")


def caught(error: BaseException) -> BaseException:
    with pytest.raises(type(error)) as info:
        raise error  # 4111-1111: a stack that shows source lines would show this
    return info.value


def failure(error: BaseException, position: str = "17", partition: int | None = None) -> Failure:
    return Failure(
        stage="convert",
        error=error,
        author=Author("flights", "1.0"),
        source="flights",
        position=position,
        failed_ms=1_700_000_000_000,
        partition=partition,
    )


def told(error: BaseException, original: Headers = ()) -> dict[str, str]:
    return {name: (value or b"").decode() for name, value in headers_of(failure(error), original)}


def test_a_foreign_exceptions_text_stands_in_no_header() -> None:
    headers = told(caught(ForeignError()))
    assert not [name for name, text in headers.items() if QUOTED in text]
    assert headers["__dlq.errors.message"].startswith("ForeignError at test_envelope.py:")
    assert headers["penstock.dlq.exception"].endswith("test_envelope.ForeignError")
    assert headers["penstock.dlq.reason"] == "error"
    assert "test_envelope.py:" in headers["penstock.dlq.stack"]


def test_its_causes_text_does_not_either() -> None:
    error = BadRow("no number", reason="number")
    error.__cause__ = caught(ForeignError())
    headers = told(caught(error))
    assert not [name for name, text in headers.items() if QUOTED in text]
    assert headers["__dlq.errors.message"] == "no number"
    assert headers["penstock.dlq.reason"] == "number"


def test_the_envelope_names_the_source_and_the_stage() -> None:
    headers = told(caught(UnencodableValue("too large", reason="oversize")))
    assert {
        name: headers[name]
        for name in headers
        if name not in ("penstock.dlq.stack", "penstock.dlq.place", "penstock.dlq.fingerprint")
    } == {
        "__dlq.errors.topic": "flights",
        "__dlq.errors.offset": "17",
        "__dlq.errors.message": "too large",
        "penstock.dlq.exception": "penstock.errors.UnencodableValue",
        "penstock.dlq.reason": "oversize",
        "penstock.dlq.stage": "convert",
        "penstock.dlq.pipeline": "flights",
        "penstock.dlq.position": "17",
        "penstock.dlq.version": "1.0",
        "penstock.dlq.failed.ms": "1700000000000",
    }
    with_partition = dict(headers_of(failure(BadRow("x"), partition=0)))
    assert with_partition["__dlq.errors.partition"] == b"0"


def test_an_earlier_hops_headers_are_replaced_and_foreign_ones_kept_in_order() -> None:
    first = headers_of(failure(BadRow("first", reason="first")), (("traceparent", b"00-1"), ("a", None), ("a", b"2")))
    second = headers_of(failure(BadRow("second", reason="second")), first)
    assert second[:3] == (("traceparent", b"00-1"), ("a", None), ("a", b"2"))
    names = [name for name, _ in second[3:]]
    assert sorted(names) == sorted(set(names))
    assert b"first" not in b"".join(value or b"" for _, value in second)


@given(text=st.text(alphabet="aé€😀", min_size=1, max_size=8_000), position=st.text(max_size=3_000))
@example(text="€" * 2_000, position="😀" * 2_000)
def test_headers_are_cut_at_whole_characters_and_within_their_room(text: str, position: str) -> None:
    number = 2**63 - 1
    told = replace(
        failure(BadRow(text, reason=text), position, partition=2**31 - 1),
        author=Author(text, text, text, text),
        source=text,
        operator=text,
        origin=text.encode(),
        event_time=text.encode(),
        attempts=number,
        first_failed_ms=number,
        key_schema_id=2**32 - 1,
        value_schema_id=2**32 - 1,
    )
    headers = dict(headers_of(told))
    for name in ("__dlq.errors.message", "penstock.dlq.reason"):
        assert text.startswith((headers[name] or b"").decode())
    assert sum(len(name) + len(value or b"") for name, value in headers.items()) <= HEADER_ROOM_BYTES


def test_half_surrogates_in_a_message_do_not_stop_the_dead_letter() -> None:
    """Undecodable input, read with surrogateescape and quoted by a producer's own words."""
    assert told(BadRow("file \udc80"))["__dlq.errors.message"] == "file \\udc80"


def test_a_fingerprint_groups_equal_failures_and_parts_others() -> None:
    errors = [caught(BadRow("a", reason="r")), caught(BadRow("b", reason="r"))]
    assert fingerprint_of("convert", errors[0]) == fingerprint_of("convert", errors[1])
    others = {
        fingerprint_of("convert", errors[0]),
        fingerprint_of("encode", errors[0]),
        fingerprint_of("convert", caught(BadRow("a", reason="other"))),
        fingerprint_of("convert", caught(ForeignError())),
        fingerprint_of("convert", BadRow("a", reason="r")),  # raised elsewhere: nowhere
    }
    assert len(others) == 5


def parsed(text: str) -> BaseException:
    with pytest.raises(json.JSONDecodeError) as info:
        json.loads(text)
    return info.value


def test_what_a_library_raises_has_its_place_in_the_code_that_called_it() -> None:
    """Two places of the library, one cause: what a person groups by is the caller."""
    errors = [parsed("[1,"), parsed("{1}")]
    innermost = {told(error)["penstock.dlq.stack"].rpartition("\n")[2] for error in errors}
    assert all(place.startswith("decoder.py:") for place in innermost)
    assert len(innermost) == 2
    places = {told(error)["penstock.dlq.place"] for error in errors}
    assert [place.partition(":")[0] for place in places] == ["test_envelope.py"]
    assert len({fingerprint_of("process", error) for error in errors}) == 1
    assert fingerprint_of("process", errors[0]) != fingerprint_of("process", caught(ValueError()))


def test_where_no_code_of_the_users_is_on_the_way_the_innermost_place_is_told() -> None:
    error = parsed("[1,")
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next
    headers = told(error)
    assert headers["penstock.dlq.place"] == headers["penstock.dlq.stack"].rpartition("\n")[2]


def test_a_stack_that_is_too_long_keeps_its_innermost_places_whole() -> None:
    def tief_überall(depth: int) -> None:  # noqa: PLC2401 - more bytes than characters
        if not depth:
            raise ValueError("deep")
        tief_überall(depth - 1)

    with pytest.raises(ValueError, match="deep") as info:
        tief_überall(300)
    stack = told(info.value)["penstock.dlq.stack"]
    assert 4_000 < len(stack.encode()) <= 4_096
    places = stack.splitlines()
    assert all(place.startswith("test_envelope.py:") and place.endswith(" in tief_überall") for place in places)
    assert len(set(places)) == 2, "the call, and at the end what raised"
    assert places[-1] != places[-2]


def test_an_error_without_a_place_is_told_without_one() -> None:
    assert message_of(ForeignError()) == "ForeignError at an unknown place"


@pytest.mark.parametrize(("size", "fits"), [(0, True), (100, True), (101, False)])
def test_a_value_that_leaves_no_room_for_the_headers_is_left_out_and_its_size_told(*, size: int, fits: bool) -> None:
    value, headers = fit(b"x" * size, HEADER_ROOM_BYTES + 100)
    if fits:
        assert (value, headers) == (b"x" * size, ())
    else:
        assert (value, headers) == (None, (("penstock.dlq.truncated.bytes", b"101"),))
    assert fit(None, 0) == (None, ())

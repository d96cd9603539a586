import json

import pytest

from penstock.cli.rendering import MAX_TEXT, render
from penstock.errors import PenstockError, RegistryUnavailable, UndecodableRecord


def undecodable(_data: bytes) -> object:
    raise UndecodableRecord("the registry has no schema with this id", reason="unknown_schema", schema_id=7)


def unavailable(_data: bytes) -> object:
    raise RegistryUnavailable("http://localhost:8081: no answer")


@pytest.mark.parametrize(
    ("data", "form", "shown"),
    [
        (None, "null", "null"),
        (b"", "text", ""),
        (b"plain", "text", "plain"),
        (b"17", "text", "17"),
        (b'{"a": 1}', "json", '{"a":1}'),
        (b"[1, 2]", "json", "[1,2]"),
        (b"{not json", "text", "{not json"),
        (b"[" * 100_000, "text", "[" * MAX_TEXT + "... (100,000 characters)"),
        ("hé".encode(), "text", "hé"),
        (b"\xff\xfe", "hex", "fffe"),
        (b"\x00\x00\x00\x00\x00\x00\x00\x07", "hex", "0000000000000007"),
        (b"\x81\xa1a\x01", "msgpack", '{"a":1}'),
        (b"\x81\xa1", "hex", "81a1"),
        (b"\x81" * 100_000, "hex", ("81" * 100_000)[:MAX_TEXT] + "... (200,000 characters)"),
    ],
)
def test_bytes_are_shown_as_what_they_most_likely_are(data: bytes | None, form: str, shown: str) -> None:
    rendered = render(data, undecodable)
    assert (rendered.form, str(rendered)) == (form, shown)


def test_a_frame_is_decoded() -> None:
    assert str(render(b"\x00\x00\x00\x00\x07rest", lambda data: {"rest": data[5:].decode()})) == '{"rest":"rest"}'


@pytest.mark.parametrize("decode", [undecodable, unavailable])
def test_a_frame_that_cannot_be_decoded_is_shown_in_hex_with_the_reason(decode: object) -> None:
    assert callable(decode)
    rendered = render(b"\x00\x00\x00\x00\x07ab", decode)
    assert rendered.form == "hex"
    assert rendered.value == "00000000076162"
    assert rendered.problem is not None
    assert rendered.problem.startswith("not decoded: ")
    with pytest.raises(PenstockError):
        decode(b"")


def test_without_a_decoder_no_frame_is_looked_for() -> None:
    assert render(b"\x00\x00\x00\x00\x07").problem is None


def test_a_record_cannot_steer_the_terminal() -> None:
    shown = str(render("\x1b[31mred\x1b[0m\r\x9b2J\nnext".encode()))
    assert shown == r"\x1b[31mred\x1b[0m\r\x9b2J\nnext"
    shown = str(render(json.dumps({"a": "\x9b2J"}, ensure_ascii=False).encode()))
    assert shown == r'{"a":"\x9b2J"}'

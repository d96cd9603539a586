"""Keys and values as a person can read them, whatever wrote them.

Nothing says how a topic's bytes were made, so they are tried in this order: Confluent's frame around Avro, JSON, text,
a map in MessagePack. What is none of these is shown in hex, and so is a frame whose content cannot be decoded, with the
reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.errors import PenstockError

FRAME_BYTES = 5
MSGPACK_MAPS = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])
"""First bytes of a MessagePack map."""
MAX_TEXT = 4_000
"""Characters of one value on a terminal; `--json` shows all of it."""

DecodeAvro = Callable[[bytes], object]
"""Decodes framed bytes by their writer's schema; raises a `PenstockError` where it cannot."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A key or a value.

    Attributes:
        form: `null`, `avro`, `json`, `text`, `msgpack` or `hex`.
        value: what was decoded; text in hex where nothing explains the bytes.
        problem: why framed bytes could not be decoded; None in the common case.
    """

    form: str
    value: Any
    problem: str | None = None

    def __str__(self) -> str:
        """One line for a terminal: no control characters, cut where it is very long."""
        if self.problem is not None:
            return f"{self.value or '(empty)'}  ({self.problem})"
        if self.form == "null":
            return "null"
        text = self.value if isinstance(self.value, str) else msgspec.json.encode(self.value, enc_hook=str).decode()
        return printable(text)


def render(data: bytes | None, decode_avro: DecodeAvro | None = None) -> Rendered:
    """What the bytes most likely say; without a decoder no frame is looked for."""
    if data is None:
        return Rendered("null", None)
    if decode_avro is not None and is_framed(data):
        try:
            return Rendered("avro", decode_avro(data))
        except PenstockError as err:
            return Rendered("hex", data.hex(), problem=f"not decoded: {err}")
    return _unframed(data)


def _unframed(data: bytes) -> Rendered:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _binary(data)
    if "\0" in text:
        return Rendered("hex", data.hex())
    if text.lstrip()[:1] not in {"{", "["}:
        # A bare number or word is as likely text as JSON.
        return Rendered("text", text)
    try:
        return Rendered("json", msgspec.json.decode(data))
    except (msgspec.DecodeError, RecursionError):
        return Rendered("text", text)


def _binary(data: bytes) -> Rendered:
    # Cursors and the like; the first byte of a map is never the first of a text.
    if data[0] in MSGPACK_MAPS:
        try:
            return Rendered("msgpack", msgspec.msgpack.decode(data))
        except (msgspec.DecodeError, RecursionError, TypeError, ValueError):
            pass  # it only looked like one
    return Rendered("hex", data.hex())


def is_framed(data: bytes) -> bool:
    """Whether the bytes begin with magic byte 0 and a schema id; ids start at 1, so a small integer is none."""
    return len(data) >= FRAME_BYTES and data[0] == 0 and int.from_bytes(data[1:FRAME_BYTES], "big") > 0


def printable(text: str) -> str:
    """The text with control characters escaped, so that a record cannot steer the terminal; cut at `MAX_TEXT`."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:MAX_TEXT])
    return shown if len(text) <= MAX_TEXT else f"{shown}... ({len(text):,} characters)"

"""A source's row as bytes, for a dead letter: JSON where it is not bytes or text already."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec


def raw_bytes(row: Any) -> bytes:
    """The row as given: bytes as they are, text as UTF-8, else JSON; what JSON cannot say becomes its type's name.

    Never raises: a row that is lost because it cannot be shown would be lost.
    """
    if isinstance(row, bytes):
        return row
    if isinstance(row, str):
        return _text(row)
    # Rows are foreign objects, and reading their attributes runs their code: anything may be raised.
    with suppress(Exception):
        return msgspec.json.encode(row, enc_hook=_named)
    with suppress(Exception):
        # Slower, but writes what msgspec refuses: half surrogates of undecodable input, integers beyond 64 bits.
        return json.dumps(row, default=_named).encode()
    return msgspec.json.encode({"unshowable": type(row).__qualname__})


def _text(row: str) -> bytes:
    try:
        return row.encode("utf-8", "surrogateescape")  # gives back the bytes of input that was read so
    except UnicodeEncodeError:
        return row.encode("utf-8", "surrogatepass")


def _named(value: Any) -> str:
    return f"<{type(value).__qualname__}>"

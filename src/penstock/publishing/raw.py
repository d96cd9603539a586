"""A source's row as bytes, for a dead letter: JSON where it is not bytes or text already."""

from __future__ import annotations

from typing import Any

import msgspec


def raw_bytes(row: Any) -> bytes:
    """The row as given: bytes as they are, text as UTF-8, else JSON; what JSON cannot say becomes its type's name.

    Never raises: a row that is lost because it cannot be shown would be lost.
    """
    if isinstance(row, bytes):
        return row
    if isinstance(row, str):
        return row.encode("utf-8", "surrogateescape")
    try:
        return msgspec.json.encode(row, enc_hook=_named)
    except (TypeError, ValueError, RecursionError, OverflowError):
        return msgspec.json.encode({"unshowable": type(row).__qualname__})


def _named(value: Any) -> str:
    return f"<{type(value).__qualname__}>"

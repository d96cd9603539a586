"""How a task's stores share one changelog partition.

    key of a record   = uvarint(length of the store's name) | the store's name | state key
    value of a record = the stored bytes; null = deleted
    the empty name    = the commit record, its key a single zero byte

Committed state is kept under these very keys, so that it is the changelog's bytes and nothing else.
"""

from __future__ import annotations

import re
from typing import Final

from penstock.errors import OperatorMustDecide

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
"""Names of stores; at most 63 bytes, so that the uvarint of their length is one byte."""

COMMIT_RECORD_KEY: Final = b"\x00"

_LONGEST_NAME: Final = 63


def store_prefix(store: str) -> bytes:
    """What every changelog key of this store begins with."""
    return bytes([len(store)]) + store.encode("ascii")


def prefix_of(key: bytes) -> bytes:
    """The store's prefix of a well-formed changelog key."""
    return key[: key[0] + 1]


def split_key(key: bytes) -> tuple[str, bytes]:
    """Store name and state key; the name is empty for the commit record.

    Raises:
        OperatorMustDecide: no changelog key: something else writes to this topic.
    """
    if key == COMMIT_RECORD_KEY:
        return "", b""
    length = key[0] if key else 0
    name = key[1 : length + 1].decode("ascii", "replace")
    if length > _LONGEST_NAME or len(name) != length or not NAME.fullmatch(name):
        raise OperatorMustDecide(
            "a key in the changelog that penstock did not write; find out what else writes to this topic and stop it, "
            "then restore from a copy of the topic"
        )
    return name, key[length + 1 :]


def end_of_prefix(prefix: bytes) -> bytes | None:
    """The smallest bytes that are greater than everything with this prefix; None where nothing is."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None

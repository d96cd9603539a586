"""The digest of a task's whole state, kept up to date key by key.

Digest = sum mod 2^128 of the hashes of all entries. The hash of an entry is XXH3 with 128 bits over the key and the
value behind it, seeded with the key's length in bytes, so that no byte moves from one to the other unseen. A sum does
not depend on order, and one entry is taken out by subtracting its hash, so a commit costs two hashes per dirty key
however large the state is.

It guards against accidents (an under-read, a compaction mistake, a torn transaction, bit rot), not against someone who
forges entries; so the hash need not be a cryptographic one, which would cost three times as much for every key of every
commit. XXH3: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from operator import add
from typing import Final, cast

from xxhash import xxh3_128_intdigest

EMPTY: Final = 0
"""The digest of no entries."""

_MODULUS: Final = 1 << 128


def entry_hash(key: bytes, value: bytes) -> int:
    """One entry's share of the digest, 0 to 2^128 - 1."""
    return xxh3_128_intdigest(key + value, len(key))


def changed(digest: int, keys: Sequence[bytes], before: Sequence[bytes | None], now: Sequence[bytes | None]) -> int:
    """The digest after changes of these keys, parallel lists; None = not there. A key may occur more than once."""
    return (digest - _sum(keys, before) + _sum(keys, now)) % _MODULUS


def _sum(keys: Sequence[bytes], values: Sequence[bytes | None]) -> int:
    """Of the entries' hashes, column by column: a loop in Python would cost as much again."""
    if all(values):
        there = cast("Sequence[bytes]", values)
    else:
        is_there = [value is not None for value in values]
        keys = list(compress(keys, is_there))
        there = [value for value in values if value is not None]
    return sum(map(xxh3_128_intdigest, map(add, keys, there), map(len, keys)))


def digest_of(entries: Mapping[bytes, bytes]) -> int:
    """The digest of a whole state, from nothing: how a restored state is judged. About 0.3 s per million entries."""
    return sum(map(entry_hash, entries.keys(), entries.values())) % _MODULUS


def to_bytes(digest: int) -> bytes:
    """The 16 bytes that commit records and checkpoints hold, little-endian."""
    return digest.to_bytes(16, "little")


def from_bytes(data: bytes) -> int:
    """The digest in such bytes."""
    return int.from_bytes(data, "little")

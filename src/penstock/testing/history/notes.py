"""What the engine writes beside the data, read by code of the checker's own, after docs/reference/names-and-formats.md.

A form that is not known gives None: then the rules that need it say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import xxhash

from penstock.record import Headers
from penstock.testing.history.log import Place

COMMIT_RECORD: Final = b"\x00"
"""Its key in a changelog."""


@dataclass(frozen=True, slots=True)
class Note:
    """What stands beside a committed offset.

    Attributes:
        sequence: transactions of this task so far, this one included.
        writer: who committed.
        owner_epoch: how many claims of the task there have been.
    """

    sequence: int
    writer: str
    owner_epoch: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit record.

    Attributes:
        note: as beside the offsets.
        next_offsets: {source topic: next offset}.
        digest: of the state, 16 bytes.
    """

    note: Note
    next_offsets: Mapping[str, int]
    digest: bytes


def note_of(metadata: str) -> Note | None:
    """The note in an offset's metadata, `p1;s=7;w=...;oe=2;...`."""
    told = fields(metadata)
    try:
        return Note(int(told["s"]), told["w"], int(told["oe"]))
    except (KeyError, ValueError):
        return None


def fields(metadata: str) -> dict[str, str]:
    """`p1;s=7;w=...` as a dictionary, the version left out."""
    parts = (part.partition("=") for part in metadata.split(";")[1:])
    return {name: value for name, _, value in parts}


def commit_of(value: bytes | None) -> Commit | None:
    """The commit record in a changelog's value."""
    try:
        said: Any = msgspec.msgpack.decode(value or b"")
        note = Note(int(said["sequence"]), str(said["writer"]), int(said["owner_epoch"]))
        return Commit(note, dict(said["next_offsets"]), bytes(said["digest"]))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None


class Digested:
    """A state whose digest is kept as it changes."""

    def __init__(self) -> None:
        self._hashes: dict[bytes, int] = {}
        self._total = 0

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set a key, or delete it."""
        new = 0
        self._total -= self._hashes.pop(key, 0)
        if value is not None:
            hashed = xxhash.xxh3_128(key, seed=len(key))
            hashed.update(value)
            new = self._hashes[key] = hashed.intdigest()
        self._total += new

    @property
    def digest(self) -> bytes:
        """The digest as the reference has it, 16 bytes."""
        return (self._total % (1 << 128)).to_bytes(16, "little")


def digest(state: Mapping[bytes, bytes]) -> bytes:
    """The digest of a whole state."""
    digested = Digested()
    for key, value in state.items():
        digested.put(key, value)
    return digested.digest


def origin_of(headers: Headers) -> tuple[Place, int] | None:
    """Where the original of a dead letter stands, as Kafka's own headers (KIP-1191) name it."""
    told = dict(headers)
    try:
        topic, partition, offset = (
            (told[f"__dlq.errors.{name}"] or b"").decode() for name in ("topic", "partition", "offset")
        )
        return Place(topic, int(partition)), int(offset)
    except (KeyError, ValueError):
        return None


def traced(headers: Headers) -> tuple[Place, int] | None:
    """The input that a record was made of, as the header `penstock.origin` names it: `topic[partition]@offset`."""
    text = (dict(headers).get("penstock.origin") or b"").decode(errors="replace")
    topic, _, rest = text.rpartition("[")
    partition, _, offset = rest.partition("]@")
    return (Place(topic, int(partition)), int(offset)) if partition.isdigit() and offset.isdigit() else None

"""The `_schemas` topic: what its keys and values look like.

The layout is the one that Confluent's registry and Karapace read and write, so that moving to either is a change of
URL: compact JSON, keys in the fixed order `keytype, subject, version, magic`; a null value (Karapace: an empty one)
deletes.
"""

from __future__ import annotations

import hashlib
import uuid
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from penstock.protocols import SchemaReference

WRITER_HEADER = "penstock.writer"
"""On every record of ours: the incarnation of the process that wrote it."""


class KeyType(StrEnum):
    """The kinds of record that we understand; others are passed over."""

    SCHEMA = "SCHEMA"
    CONFIG = "CONFIG"
    MODE = "MODE"
    DELETE_SUBJECT = "DELETE_SUBJECT"
    NOOP = "NOOP"


class Key(NamedTuple):
    """A record's key. `subject` is None for what is global, `version` 0 for all but SCHEMA."""

    keytype: KeyType
    subject: str | None = None
    version: int = 0

    def encode(self) -> bytes:
        """As bytes: compact JSON in the fixed order."""
        fields: dict[str, object] = {"keytype": self.keytype.value}
        if self.keytype is not KeyType.NOOP:
            fields["subject"] = self.subject
        if self.keytype is KeyType.SCHEMA:
            fields["version"] = self.version
        fields["magic"] = 1 if self.keytype is KeyType.SCHEMA else 0
        return msgspec.json.encode(fields)


NOOP = Key(KeyType.NOOP)


class NotOurs(ValueError):
    """A record that we cannot make sense of; the log goes on behind it."""


class _RawKey(msgspec.Struct):
    keytype: str
    subject: str | None = None
    version: int = 0


def decode_key(data: bytes | None) -> Key:
    """The key of a record.

    Raises:
        NotOurs: not JSON, or of a kind that we do not know.
    """
    try:
        raw = msgspec.json.decode(data or b"", type=_RawKey)
        return Key(KeyType(raw.keytype), raw.subject, raw.version)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        raise NotOurs(f"key: {exc}") from exc


class SchemaValue(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one subject, the value of a SCHEMA record.

    Attributes:
        subject: whose version it is.
        version: counts up from 1 per subject.
        id: global per schema content.
        text: the schema, verbatim as it was registered.
        kind: AVRO here; JSON and PROTOBUF may stand in the log of another registry.
        references: what the text takes from other subjects.
        deleted: softly: still found by id.
        extra: fields of other registries that we keep as they are (`guid`, `metadata`, `ruleSet` ...).
    """

    subject: str
    version: int
    id: int
    text: str
    kind: str = "AVRO"
    references: tuple[SchemaReference, ...] = ()
    deleted: bool = False
    extra: dict[str, Any] = {}

    @property
    def key(self) -> Key:
        """Its record's key."""
        return Key(KeyType.SCHEMA, self.subject, self.version)

    @property
    def guid(self) -> str:
        """A UUID made of the content: MD5 over the text and the references."""
        known = self.extra.get("guid")
        if isinstance(known, str):
            return known
        digest = hashlib.md5(self.text.encode(), usedforsecurity=False)
        for reference in self.references:
            digest.update(f"{reference.name}\0{reference.subject}\0{reference.version}".encode())
        return str(uuid.UUID(bytes=digest.digest()))

    def encode(self) -> bytes:
        """As a record's value."""
        return msgspec.json.encode(
            {
                "subject": self.subject,
                "version": self.version,
                "id": self.id,
                **self.typed(),
                "schema": self.text,
                "deleted": self.deleted,
                **self.extra,
            }
        )

    def typed(self) -> dict[str, Any]:
        """`schemaType`, absent for AVRO, and `references`, absent where there are none."""
        fields: dict[str, Any] = {} if self.kind == "AVRO" else {"schemaType": self.kind}
        if self.references:
            fields["references"] = self.references
        return fields


class _RawSchema(msgspec.Struct, rename="camel"):
    subject: str
    version: int
    id: int
    schema: str
    schema_type: str | None = None
    references: tuple[SchemaReference, ...] | None = None
    deleted: bool = False


_OWN_FIELDS = frozenset(("subject", "version", "id", "schema", "schemaType", "references", "deleted"))


def decode_schema(data: bytes) -> SchemaValue:
    """The value of a SCHEMA record.

    Raises:
        NotOurs: not JSON, or without a field that it needs.
    """
    try:
        raw = msgspec.json.decode(data, type=_RawSchema)
        every = msgspec.json.decode(data, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as exc:
        raise NotOurs(f"schema: {exc}") from exc
    return SchemaValue(
        subject=raw.subject,
        version=raw.version,
        id=raw.id,
        text=raw.schema,
        kind=raw.schema_type or "AVRO",
        references=raw.references or (),
        deleted=raw.deleted,
        extra={name: value for name, value in every.items() if name not in _OWN_FIELDS},
    )


class Small(msgspec.Struct, rename="camel", omit_defaults=True):
    """The values of CONFIG, MODE and DELETE_SUBJECT records, of which each sets its own fields."""

    subject: str | None
    compatibility_level: str | None = None
    mode: str | None = None
    version: int | None = None

    def encode(self) -> bytes:
        """As a record's value."""
        return msgspec.json.encode(self)


class _LenientSmall(Small, rename="camel"):
    subject: str | None = None  # Karapace leaves it out of CONFIG


class Claim(msgspec.Struct, rename="camel", frozen=True):
    """What we write into a NOOP record, whose value the other registries do not look at: who writes from here on.

    Attributes:
        writer: the incarnation that claims the log.
        supersedes: the incarnation whose claim was the latest when this one was made; None if there was none.
        highest_id: the highest schema id ever given; it outlives the records that carried it.
    """

    writer: str
    supersedes: str | None = None
    highest_id: int = 0

    def encode(self) -> bytes:
        """As a record's value."""
        return msgspec.json.encode(self)


def decode_small(data: bytes) -> Small:
    """The value of a CONFIG, MODE or DELETE_SUBJECT record.

    Raises:
        NotOurs: not JSON, or fields of the wrong type.
    """
    try:
        return msgspec.json.decode(data, type=_LenientSmall)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise NotOurs(f"value: {exc}") from exc


def decode_claim(data: bytes | None) -> Claim | None:
    """The claim in a NOOP record, None where it holds none (other registries write them empty)."""
    try:
        return msgspec.json.decode(data or b"", type=Claim)
    except (msgspec.DecodeError, RecursionError):
        return None

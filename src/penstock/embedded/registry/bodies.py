"""What callers send: bodies, versions, subject names; checked before anything is done with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from penstock.embedded.registry import refusal
from penstock.protocols import SchemaReference
from penstock.schemas.compatibility import Level

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""A schema of 1 MiB as a JSON string: a quote takes two bytes there, a letter of two bytes up to six."""

LATEST: Final = -1

_MODES = ("READWRITE", "READONLY", "IMPORT")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RESERVED = {"", "__GLOBAL", "__EMPTY"}
_MAX_VERSION = 2**31 - 1


class SchemaBody(msgspec.Struct, rename="camel"):
    """The body of a registration, a look-up or a compatibility check."""

    schema: str | None = None
    schema_type: str | None = None
    references: tuple[SchemaReference, ...] | None = None
    metadata: Any = None
    rule_set: Any = None
    id: int | None = None
    version: int | None = None


class _LevelBody(msgspec.Struct):
    compatibility: str | None = None


class _ModeBody(msgspec.Struct):
    mode: str | None = None


Body = TypeVar("Body", bound=msgspec.Struct)


def schema_body(body: bytes) -> SchemaBody:
    """A schema with its references.

    Raises:
        Refusal: 42201: not JSON, no schema, another type than AVRO; metadata or rules, which nothing here would apply.
    """
    sent = _decoded(body, SchemaBody, refusal.invalid_schema)
    if not sent.schema:
        raise refusal.invalid_schema("Empty schema")
    kind = sent.schema_type or "AVRO"
    if kind.upper() != "AVRO":
        raise refusal.invalid_schema(f"Invalid schema type {kind[:40]!r}: this registry takes AVRO")
    if sent.metadata or sent.rule_set:
        raise refusal.invalid_schema("metadata and ruleSet are not supported by this registry")
    return sent


def level_body(body: bytes) -> Level:
    """The level of a configuration.

    Raises:
        Refusal: 42203.
    """
    level = _decoded(body, _LevelBody, refusal.invalid_level).compatibility or ""
    try:
        return Level(level.upper())
    except ValueError as exc:
        raise refusal.invalid_level() from exc


def mode_body(body: bytes) -> str:
    """The mode: READWRITE, READONLY or IMPORT.

    Raises:
        Refusal: 42204.
    """
    mode = (_decoded(body, _ModeBody, refusal.invalid_mode).mode or "").upper()
    if mode not in _MODES:
        raise refusal.invalid_mode()
    return mode


def version_of(text: str) -> int:
    """A version number, or LATEST for `latest` and `-1`.

    Raises:
        Refusal: 42202.
    """
    if text.lower() in {"latest", "-1"}:
        return LATEST
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) <= _MAX_VERSION):
        raise refusal.invalid_version(text[:40])
    return int(text)


def check_subject(subject: str) -> None:
    """Whether a subject may have this name.

    Raises:
        Refusal: 42208.
    """
    if subject in _RESERVED or _CONTROL.search(subject):
        raise refusal.invalid_subject(subject)


def _decoded(body: bytes, kind: type[Body], refuse: Callable[[str], refusal.Refusal]) -> Body:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise refuse(f"Invalid request: {exc}") from exc
    except RecursionError as exc:
        raise refuse("Invalid request: nested too deeply") from exc

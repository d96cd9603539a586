"""May this schema follow those? The rules of a registry, on Apache Avro's own checker.

`avro.compatibility` gives every verdict. It compares aliases with full names, so it is given schemas whose aliases are
written in full and whose references are resolved (`AvroSchema.apache`); and since it returns reasons and places as two
unordered sets, its single checks are asked again here for each reason with its own place.
Logical types and defaults do not take part, here as in every registry: `penstock schemas check` looks after those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal, cast

import msgspec
from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityResult,
    SchemaCompatibilityType,
    check_fixed_size,
    check_reader_enum_contains_writer_enum,
    check_schema_names,
    lookup_writer_field,
)
from avro.schema import (
    ArraySchema,
    EnumSchema,
    Field,
    FixedSchema,
    MapSchema,
    NamedSchema,
    RecordSchema,
    Schema,
    UnionSchema,
)

from penstock.schemas.parse import AvroSchema

Reads = Literal["new reads old", "old reads new"]


class Level(StrEnum):
    """How far a new schema may move away from its predecessors (the registries' words)."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def directions(self) -> tuple[Reads, ...]:
        """Who must be able to read whom; nothing for NONE."""
        name = self.removesuffix("_TRANSITIVE")
        back: tuple[Reads, ...] = ("new reads old",) if name in {"BACKWARD", "FULL"} else ()
        forth: tuple[Reads, ...] = ("old reads new",) if name in {"FORWARD", "FULL"} else ()
        return back + forth

    @property
    def transitive(self) -> bool:
        """Whether all versions count, not only the latest."""
        return self.endswith("_TRANSITIVE")

    @property
    def upgrade_order(self) -> str:
        """Which side is upgraded first so that no reader meets data it cannot read."""
        return _UPGRADE_ORDER[self.removesuffix("_TRANSITIVE")]


_UPGRADE_ORDER = {
    "NONE": "nothing is checked: upgrade producers and consumers together",
    "BACKWARD": "upgrade consumers first, then producers",
    "FORWARD": "upgrade producers first, then consumers",
    "FULL": "upgrade producers and consumers in any order",
}


class Incompatibility(msgspec.Struct, frozen=True):
    """One reason why a reader cannot read what a writer wrote.

    Attributes:
        reason: one of Avro's six words (`NAME_MISMATCH`, `READER_FIELD_MISSING_DEFAULT_VALUE` ...).
        location: path to the place in the reader's schema: `/fields/2/type/items`.
        message: what is wrong there.
    """

    reason: str
    location: str
    message: str

    def __str__(self) -> str:
        """In one line."""
        return f"{self.reason} at {self.location}: {self.message}"


class Violation(msgspec.Struct, frozen=True):
    """One reason why a schema may not follow a certain version."""

    version: int
    reads: Reads
    incompatibility: Incompatibility

    def __str__(self) -> str:
        """In one line, saying who reads whom."""
        who = f"new schema reads version {self.version}"
        if self.reads == "old reads new":
            who = f"version {self.version} reads new schema"
        return f"{self.incompatibility} ({who})"


def check(level: Level, new: AvroSchema, earlier: Sequence[tuple[int, AvroSchema]]) -> list[Violation]:
    """Why `new` may not follow `earlier` at this level; empty when it may.

    Args:
        level: the rule.
        new: the schema that is to be added.
        earlier: (version, schema) of every live version, ascending; a level that is not transitive looks at the last.
    """
    versions = earlier if level.transitive else earlier[-1:]
    found: list[Violation] = []
    for version, old in reversed(versions):
        for reads in level.directions:
            reader, writer = (new, old) if reads == "new reads old" else (old, new)
            found += [Violation(version, reads, why) for why in cannot_read(reader, writer)]
    return found


def cannot_read(reader: AvroSchema, writer: AvroSchema) -> list[Incompatibility]:
    """Why a consumer with `reader` cannot read what was written with `writer`; empty when it can."""
    return list(_reasons(_Pair(), reader.apache(), writer.apache(), ""))


class _Pair(ReaderWriterCompatibilityChecker):
    """Avro's checker, asked for one pair at a time; it remembers its answers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # avro's constructor has no annotations
        self._told: set[tuple[int, int]] = set()

    def can_read(self, reader: Schema, writer: Schema) -> bool:
        return self.get_compatibility(reader, writer).compatibility is not SchemaCompatibilityType.incompatible

    def needs_telling(self, reader: Schema, writer: Schema) -> bool:
        """Whether this pair does not fit and was not explained yet: shared types are met by many ways."""
        pair = (id(reader), id(writer))
        if pair in self._told or self.can_read(reader, writer):
            return False
        self._told.add(pair)
        return True


def _reasons(pair: _Pair, reader: Schema, writer: Schema, place: str) -> Iterator[Incompatibility]:
    """Descend where the verdict is "incompatible", down to the places that make it so."""
    if not pair.needs_telling(reader, writer):
        return
    match reader, writer:
        case ArraySchema(), ArraySchema():
            yield from _reasons(pair, _inner(reader.items), _inner(writer.items), f"{place}/items")
        case MapSchema(), MapSchema():
            yield from _reasons(pair, _inner(reader.values), _inner(writer.values), f"{place}/values")
        case UnionSchema(), UnionSchema():
            yield from _branches_without_reader(pair, reader, writer, place or "/")
        case _, UnionSchema():
            for branch in writer.schemas:
                yield from _reasons(pair, reader, branch, place)
        case UnionSchema(), _:
            what = f"the reader's union has no branch for {_of(writer)}"
            yield Incompatibility("MISSING_UNION_BRANCH", place or "/", what)
        case NamedSchema(), NamedSchema() if reader.type == writer.type:
            yield from _named(pair, reader, writer, place)
        case _:
            what = f"the reader has {_of(reader)}, the writer {_of(writer)}"
            yield Incompatibility("TYPE_MISMATCH", place or "/", what)


def _named(pair: _Pair, reader: NamedSchema, writer: NamedSchema, place: str) -> Iterator[Incompatibility]:
    here = [f"/{place}"]  # avro's single checks cut the first character off
    yield from _said(check_schema_names(reader, writer, here))
    match reader, writer:
        case RecordSchema(), RecordSchema():
            yield from _fields(pair, reader, writer, place)
        case EnumSchema(), EnumSchema():
            lacking = ", ".join(sorted(set(writer.symbols) - set(reader.symbols)))
            symbols = check_reader_enum_contains_writer_enum(reader, writer, here)
            yield from _said(symbols, f"the reader's enum has no symbol {lacking} and no default symbol")
        case FixedSchema(), FixedSchema():
            yield from _said(check_fixed_size(reader, writer, here))
        case _:
            pass


def _branches_without_reader(
    pair: _Pair, reader: UnionSchema, writer: UnionSchema, place: str
) -> Iterator[Incompatibility]:
    for index, branch in enumerate(writer.schemas):
        if not pair.can_read(reader, branch):
            what = f"the reader's union has no branch for the writer's branch {index}, {_of(branch)}"
            yield Incompatibility("MISSING_UNION_BRANCH", place, what)


def _fields(pair: _Pair, reader: RecordSchema, writer: RecordSchema, place: str) -> Iterator[Incompatibility]:
    for index, field in enumerate(cast("list[Field]", reader.fields)):
        here = f"{place}/fields/{index}"
        written = lookup_writer_field(writer_schema=writer, reader_field=field)
        if written is not None:
            yield from _reasons(pair, field.type, written.type, f"{here}/type")
        elif not field.has_default:
            what = f"field '{field.name}' has no default, and the writer does not write it"
            yield Incompatibility("READER_FIELD_MISSING_DEFAULT_VALUE", here, what)


def _said(result: SchemaCompatibilityResult, told: str = "") -> Iterator[Incompatibility]:
    """A result of one of avro's own single checks: it holds one reason, one place, one message, or nothing."""
    if result.compatibility is SchemaCompatibilityType.incompatible:
        (reason,), (location,), (message,) = result.incompatibilities, result.locations, result.messages
        words = {"name_mismatch": "name of the writer's type", "fixed_size_mismatch": "size the writer has"}
        yield Incompatibility(reason.name.upper(), location, told or f"{words[reason.name]} {message}")


def _inner(schema: object) -> Schema:
    return cast("Schema", schema)  # avro keeps items and values as properties of type object


def _of(schema: Schema) -> str:
    name = getattr(schema, "fullname", None)
    return f"{schema.type} {name}" if name and name != schema.type else str(schema.type)

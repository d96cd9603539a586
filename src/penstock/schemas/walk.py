"""An Avro schema as it is written: every type in it, with its JSON path.

`nodes.py` is what a schema means; here is what its author wrote, doc strings and mistakes included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

from penstock.schemas.nodes import PRIMITIVES

JsonObject: TypeAlias = dict[str, object]

NAMED = frozenset(("record", "error", "enum", "fixed"))
"""The types that have names."""

WORDS = PRIMITIVES | NAMED | {"array", "map"}
"""What `type` may say without being a reference."""


def is_object(value: object) -> TypeGuard[JsonObject]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[object]]:
    """Whether a JSON value is an array."""
    return isinstance(value, list)


def text(value: object) -> str:
    """A JSON string, or the empty string where something else stands."""
    return value if isinstance(value, str) else ""


def is_named(schema: object) -> TypeGuard[JsonObject]:
    """Whether a schema defines a named type."""
    return is_object(schema) and text(schema.get("type")) in NAMED


def full_name(name: str, namespace: str) -> str:
    """A name as used within a namespace, in full."""
    return name if "." in name or not namespace else f"{namespace}.{name}"


def split(name: str) -> tuple[str, str]:
    """(namespace, simple name) of a full name."""
    namespace, _, simple = name.rpartition(".")
    return namespace, simple


def defined_name(schema: JsonObject, enclosing: str) -> str:
    """The full name of the type that `schema` defines within the namespace around it."""
    namespace = schema.get("namespace")
    return full_name(text(schema.get("name")), namespace if isinstance(namespace, str) else enclosing)


@dataclass(frozen=True, slots=True)
class Place:
    """A type where it is written.

    Attributes:
        schema: a name, a list of branches or an object.
        path: its JSON path in the file.
        namespace: the namespace around it, which completes simple names.
        field: the field it is the type of, directly or as a branch, an item or a value; None at the top.
    """

    schema: object
    path: str = "$"
    namespace: str = ""
    field: JsonObject | None = None

    @property
    def name(self) -> str:
        """The full name that this place defines or refers to; empty for primitive and anonymous types."""
        if is_named(self.schema):
            return defined_name(self.schema, self.namespace)
        if isinstance(self.schema, str) and self.schema not in PRIMITIVES:
            return full_name(self.schema, self.namespace)
        return ""

    @property
    def is_definition(self) -> bool:
        """Whether a named type is defined here."""
        return is_named(self.schema)

    @property
    def is_reference(self) -> bool:
        """Whether a named type is used here by its name."""
        return isinstance(self.schema, str) and self.schema not in PRIMITIVES

    @property
    def kind(self) -> str:
        """`union`, a primitive or complex type's word, or empty for a reference."""
        if is_array(self.schema):
            return "union"
        word = self.schema.get("type") if is_object(self.schema) else self.schema
        return word if isinstance(word, str) and word in WORDS else ""


def fields(place: Place) -> Iterator[tuple[JsonObject, Place]]:
    """The fields of a record, each with the place of its type; nothing for other types."""
    if place.kind not in {"record", "error"} or not is_object(place.schema):
        return
    namespace, _ = split(place.name)
    listed = place.schema.get("fields")
    for position, field in enumerate(listed if is_array(listed) else []):
        if is_object(field):
            yield field, Place(field.get("type"), f"{place.path}.fields[{position}].type", namespace, field)


def inner(place: Place) -> Iterator[Place]:
    """The types directly inside, in written order."""
    schema, path = place.schema, place.path
    if is_array(schema):
        for position, branch in enumerate(schema):
            yield Place(branch, f"{path}[{position}]", place.namespace, place.field)
    elif is_object(schema):
        yield from (of_field for _, of_field in fields(place))
        key = {"array": "items", "map": "values"}.get(text(schema.get("type")), "type")
        if key in schema and not (key == "type" and text(schema[key]) in WORDS):
            yield Place(schema[key], f"{path}.{key}", place.namespace, place.field)


def walk(place: Place) -> Iterator[Place]:
    """This place and every one inside it, outer before inner."""
    yield place
    for each in inner(place):
        yield from walk(each)

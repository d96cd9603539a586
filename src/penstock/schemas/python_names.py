"""What Avro names become in Python: the same, unless Python or the generated module itself needs the word."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Iterator
from typing import Final

from penstock.schemas.nodes import Array, Enum, Map, Node, Record, Union
from penstock.schemas.walk import split

BUILTINS: Final = ("bool", "bytes", "dict", "float", "int", "list", "str")
IMPORTS: Final = {
    "dataclasses": "import dataclasses",
    "dt": "import datetime as dt",
    "dataclass": "from dataclasses import dataclass",
    "Decimal": "from decimal import Decimal",
    "StrEnum": "from enum import StrEnum",
    "ClassVar": "from typing import ClassVar",
    "UUID": "from uuid import UUID",
    "msgspec": "import msgspec",
}
"""{word: the line that brings it}; a field or class of that name would hide it from the annotations below."""

_USED: Final = frozenset((*IMPORTS, *BUILTINS))
_STR_MEMBERS: Final = frozenset((*dir(str), "mro", "name", "value"))


def identifier(name: str, reserved: Collection[str] = ()) -> str:
    """A Python name: `class` becomes `class_`, and `__x`, which a class body would mangle, `x__x`."""
    if name.startswith("__"):
        name = f"x{name}"
    while keyword.iskeyword(name) or name in reserved:
        name += "_"
    return name


def package_of(namespace: str) -> tuple[str, ...]:
    """The packages of a namespace, outermost first."""
    return tuple(identifier(part) for part in namespace.split(".")) if namespace else ()


def class_name(full_name: str) -> str:
    """The class of a named type."""
    return identifier(split(full_name)[1], _USED)


def field_names(record: Record) -> dict[str, str]:
    """{field: attribute}. The codec finds the field again by msgspec's `name` or the dataclass field's metadata."""
    classes = {class_name(each.name) for field in record.fields for each in named_types(field.type)}
    found: dict[str, str] = {}
    for field in record.fields:
        others = {other.name for other in record.fields} - {field.name}
        found[field.name] = identifier(field.name, _USED | classes | others | set(found.values()))
    return found


def member_names(enum: Enum) -> dict[str, str]:
    """{symbol: member}. Names with a leading underscore mean something else to Python's enums."""
    found: dict[str, str] = {}
    for symbol in enum.symbols:
        others = {*enum.symbols} - {symbol}
        start = f"x{symbol}" if symbol.startswith("_") else symbol
        found[symbol] = identifier(start, _STR_MEMBERS | others | set(found.values()))
    return found


def named_types(node: Node) -> Iterator[Record | Enum]:
    """The classes that a field's annotation mentions."""
    match node:
        case Record() | Enum():
            yield node
        case Array(items=inner) | Map(values=inner):
            yield from named_types(inner)
        case Union(branches=branches):
            for branch in branches:
                yield from named_types(branch)
        case _:
            pass

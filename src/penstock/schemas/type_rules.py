"""Lint rules that look at one type or field as it is written; each yields what it finds in one place."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias

from penstock.schemas.nodes import LOGICAL_TYPES
from penstock.schemas.walk import JsonObject, Place, fields, is_array, is_object, text


class Problem(NamedTuple):
    """A rule broken at a JSON path."""

    rule: str
    path: str
    message: str


Problems: TypeAlias = Iterator[Problem]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JAVA: Final = frozenset(
    (
        "abstract", "assert", "boolean", "break", "byte", "case", "catch", "char", "class", "const",
        "continue", "default", "do", "double", "else", "enum", "extends", "final", "finally", "float", "for",
        "goto", "if", "implements", "import", "instanceof", "int", "interface", "long", "native", "new",
        "package", "private", "protected", "public", "return", "short", "static", "strictfp", "super",
        "switch", "synchronized", "this", "throw", "throws", "transient", "try", "void", "volatile", "while",
        "true", "false", "null",
    )
)  # fmt: skip
_MONEY: Final = frozenset(
    (
        "amount", "balance", "cents", "cost", "costs", "discount", "eur", "fare", "fee", "fees", "money",
        "payment", "price", "prices", "refund", "revenue", "salary", "tax", "usd",
    )
)  # fmt: skip
_UNITS: Final = frozenset(
    (
        "ms", "millis", "us", "micros", "ns", "nanos", "utc",
    )
)  # fmt: skip
_MOMENTS: Final = frozenset(
    (
        "at", "date", "datetime", "timestamp", "ts",
    )
)  # fmt: skip
# Logical types of Avro 1.12 that stay numbers or bytes here, beside those that become Python values.
_KNOWN_LOGICAL: Final = LOGICAL_TYPES | {
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-nanos"),
    ("bytes", "big-decimal"),
    ("fixed", "duration"),
}


def documentation(place: Place) -> Problems:
    """RECORD_DOC, FIELD_DOC: who reads the topic in two years has nothing else."""
    if place.kind == "record" and is_object(place.schema) and not text(place.schema.get("doc")).strip():
        yield Problem("RECORD_DOC", place.path, f"record {place.name} has no `doc`; say what one record stands for")
    for field, of_type in fields(place):
        if not text(field.get("doc")).strip():
            path = of_type.path.removesuffix(".type")
            yield Problem("FIELD_DOC", path, f"field {_name(field)} has no `doc`; say what it means and in which unit")


def names(place: Place) -> Problems:
    """NAME, RESERVED_WORD: what no code generator can turn into an identifier as it is."""
    if place.is_definition and is_object(place.schema):
        for part in place.name.split("."):
            yield from _check_name(part, f"{place.path}.name")
        symbols = place.schema.get("symbols")
        for position, symbol in enumerate(symbols if is_array(symbols) else []):
            yield from _check_name(text(symbol), f"{place.path}.symbols[{position}]")
    for field, of_type in fields(place):
        yield from _check_name(text(field.get("name")), f"{of_type.path.removesuffix('.type')}.name")


def _check_name(name: str, path: str) -> Problems:
    if not _NAME.fullmatch(name):
        told = "a name has letters, digits and _ only, and does not begin with a digit"
        yield Problem("NAME", path, f"{name[:200]!r} is no name: {told}")
    elif keyword.iskeyword(name) or name in _JAVA:
        language = "Python" if keyword.iskeyword(name) else "Java"
        yield Problem("RESERVED_WORD", path, f"{name!r} is a reserved word of {language}; choose another name")


def duplicates(place: Place) -> Problems:
    """DUPLICATE_FIELD, UNION_BRANCHES: fastavro accepts these, other parsers do not."""
    seen: set[str] = set()
    for field, of_type in fields(place):
        if (name := text(field.get("name"))) in seen:
            path = of_type.path.removesuffix(".type")
            yield Problem("DUPLICATE_FIELD", path, f"{place.name} has two fields {name!r}")
        seen.add(name)
    if is_array(place.schema):
        yield from _branches(place, place.schema)


def _branches(place: Place, branches: list[object]) -> Problems:
    if not branches:
        yield Problem("UNION_BRANCHES", place.path, "a union needs at least one branch")
    seen: set[str] = set()
    for position, branch in enumerate(branches):
        inner = Place(branch, f"{place.path}[{position}]", place.namespace)
        if is_array(branch):
            yield Problem("UNION_BRANCHES", inner.path, "a union directly inside a union; put its branches here")
        word = inner.name or inner.kind
        if word in seen:
            told = f"the union has two branches of type {word}; a reader could not tell them apart"
            yield Problem("UNION_BRANCHES", inner.path, told)
        seen.add(word)


def nullable(place: Place) -> Problems:
    """NULLABLE: null comes first, so that null can be the default, so that the field can be added and dropped."""
    if not is_array(place.schema) or "null" not in place.schema:
        return
    if place.schema[0] != "null":
        yield Problem("NULLABLE", place.path, 'null is not the first branch; write ["null", ...]')
        return
    is_field = place.field is not None and place.field.get("type") is place.schema
    if place.field is not None and is_field and place.field.get("default", "") is not None:
        told = f'field {_name(place.field)} may be null but has not "default": null'
        yield Problem("NULLABLE", place.path.removesuffix(".type"), told)


def enum_default(place: Place) -> Problems:
    """ENUM_DEFAULT, ENUM_UNKNOWN: a reader without them fails on the first symbol that a newer writer adds."""
    if place.kind != "enum" or not is_object(place.schema):
        return
    listed, default = place.schema.get("symbols"), place.schema.get("default")
    symbols = listed if is_array(listed) else []
    if "UNKNOWN" not in symbols:
        told = f"enum {place.name} has no symbol UNKNOWN for what its readers do not know yet"
        yield Problem("ENUM_UNKNOWN", place.path, told)
    if default is None:
        told = f'enum {place.name} has no default; write "default": "UNKNOWN"'
        yield Problem("ENUM_DEFAULT", place.path, told)
    elif default not in symbols:
        yield Problem(
            "ENUM_DEFAULT", f"{place.path}.default", f"the default of enum {place.name} is none of its symbols"
        )


def money(place: Place) -> Problems:
    """MONEY_FLOAT: binary fractions cannot hold 0.10."""
    if place.kind in {"float", "double"} and place.field is not None and _MONEY & {*_words(_name(place.field))}:
        told = f"field {_name(place.field)} looks like money and is a {place.kind}; use a decimal, or cents as a long"
        yield Problem("MONEY_FLOAT", place.path, told)


def moments(place: Place) -> Problems:
    """TIME_LOGICAL: a bare number does not say whether it counts seconds, milliseconds or days."""
    if place.field is None or place.kind not in {"int", "long", "string"}:
        return
    words = _words(_name(place.field))
    while len(words) > 1 and words[-1] in _UNITS:
        words.pop()
    is_moment = words[-1] in _MOMENTS or (words[-1] == "time" and place.kind == "long")
    if is_moment and not (is_object(place.schema) and "logicalType" in place.schema):
        told = f"field {_name(place.field)} looks like a time and is a bare {place.kind}"
        yield Problem("TIME_LOGICAL", place.path, f"{told}; give it a logicalType such as timestamp-millis or date")


def logical(place: Place) -> Problems:
    """LOGICAL_TYPE: parsers ignore what they do not know or find in the wrong place, without a word."""
    if is_object(place.schema) and "logicalType" in place.schema:
        word = text(place.schema["logicalType"])
        bases = sorted(base for base, known in _KNOWN_LOGICAL if known == word)
        if not bases:
            yield Problem("LOGICAL_TYPE", place.path, f"{word!r} is no logical type of Avro; readers ignore it")
        elif place.kind not in bases:
            told = f"{word} stands on {place.kind or 'a name'} and is ignored there; it belongs on {' or '.join(bases)}"
            yield Problem("LOGICAL_TYPE", place.path, told)
    for field, of_type in fields(place):
        if "logicalType" in field:
            told = "logicalType stands beside the field's type and is ignored there"
            path = of_type.path.removesuffix(".type")
            yield Problem("LOGICAL_TYPE", path, f'{told}; write "type": {{"type": ..., "logicalType": ...}}')


def decimals(place: Place) -> Problems:
    """DECIMAL: precision and scale that fit each other and the bytes."""
    if not is_object(place.schema) or (place.kind, place.schema.get("logicalType")) not in LOGICAL_TYPES:
        return
    if place.schema.get("logicalType") != "decimal":
        return
    precision, scale, size = (place.schema.get(key, 0) for key in ("precision", "scale", "size"))
    if type(precision) is not int or precision < 1:
        yield Problem("DECIMAL", place.path, "a decimal needs a precision, its number of digits, of at least 1")
    elif type(scale) is not int or not 0 <= scale <= precision:
        yield Problem("DECIMAL", place.path, f"a decimal's scale is from 0 to its precision, {precision}")
    elif place.kind == "fixed" and type(size) is int and precision > math.floor(math.log10(2) * (8 * size - 1)):
        yield Problem("DECIMAL", place.path, f"{precision} digits do not fit into {size} bytes")


def _name(field: JsonObject) -> str:
    return text(field.get("name")) or "without a name"


def _words(name: str) -> list[str]:
    """`unitPrice` and `unit_price` are unit, price."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().split("_") or [""]


TYPE_RULES: Final[tuple[Callable[[Place], Problems], ...]] = (
    documentation, names, duplicates, nullable, enum_default, money, moments, logical, decimals,
)  # fmt: skip
"""Every rule of this kind."""

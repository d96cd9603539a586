"""From a schema's JSON to its typed graph, refusing what either Avro parser would let through.

fastavro accepts duplicate fields, duplicate or nested union branches and names with dashes; Apache's parser accepts
invalid defaults and decimals that do not fit. A schema must pass here, and then both of them (`parse.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard, cast

from penstock.errors import ConfigurationError
from penstock.schemas.nodes import (
    LOGICAL_TYPES,
    NO_DEFAULT,
    PRIMITIVES,
    Array,
    Enum,
    Field,
    Fixed,
    Logical,
    Map,
    Named,
    Node,
    Primitive,
    PrimitiveKind,
    Record,
    Union,
)

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

MAX_DECIMAL_DIGITS: Final = 1_000
"""Decimals beyond cost quadratic time to read; a bank's ledger needs 38."""
MAX_FIXED_BYTES: Final = 2**31 - 1

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FULL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_DEFINITIONS = ("record", "enum", "fixed")


@dataclass(frozen=True, slots=True)
class Definition:
    """A named type as some text defines it, and the namespace it stands in."""

    json: Mapping[str, Json]
    namespace: str


def definitions(json: Json, namespace: str = "") -> Iterator[tuple[str, Definition]]:
    """Every named type defined in a text, as (full name, definition); what is malformed is passed over."""
    if isinstance(json, list):
        for branch in json:
            yield from definitions(branch, namespace)
    elif isinstance(json, dict):
        kind, name, inner = json.get("type"), json.get("name"), namespace
        if kind in _DEFINITIONS and isinstance(name, str):
            full = _full_name(name, json.get("namespace"), namespace)
            inner = _namespace(full)
            yield full, Definition(json, namespace)
        for key in ("items", "values"):
            yield from definitions(json.get(key), inner)
        fields = json.get("fields")
        for each in fields if isinstance(fields, list) else ():
            if isinstance(each, dict):
                yield from definitions(each.get("type"), inner)


class Builder:
    """Builds one schema; `available` are the named types that other texts lend, by full name."""

    def __init__(self, source: str, available: Mapping[str, Definition]) -> None:
        self._source = source
        self._available = available
        self._named: dict[str, Named] = {}
        self._origin: dict[str, int] = {}

    def build(self, json: Json, namespace: str = "", where: str = "") -> tuple[Node, Json]:
        """The node, and the same schema as JSON with full names and borrowed types written out where first used.

        Raises:
            ConfigurationError: not a valid schema; the message names the place.
        """
        match json:
            case str():
                return self._by_name(json, namespace, where)
            case list():
                return self._union(json, namespace, where)
            case dict():
                return self._object(json, namespace, where)
            case _:
                raise self._problem(where, f"expected a type, found {_kind_of(json)}")

    def _problem(self, where: str, problem: str) -> ConfigurationError:
        place = f"{self._source}: {where}" if where else self._source
        return ConfigurationError(f"{place}: {problem}")

    # ------------------------------------------------------------ by name, union

    def _by_name(self, name: str, namespace: str, where: str) -> tuple[Node, Json]:
        if name in PRIMITIVES:
            return Primitive(cast("PrimitiveKind", name)), name
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in self._named:
            return self._named[full], full
        if full in self._available:
            lent = self._available[full]
            return self._object(lent.json, lent.namespace, where or full)
        raise self._problem(
            where, f"unknown type {full[:200]!r}: define it before its first use, or add it as a reference"
        )

    def _union(self, branches: list[Json], namespace: str, where: str) -> tuple[Node, Json]:
        if not branches:
            raise self._problem(where, "a union needs at least one branch")
        nodes: list[Node] = []
        out: list[Json] = []
        seen: set[str] = set()
        for index, branch in enumerate(branches):
            if isinstance(branch, list):
                raise self._problem(where, "a union directly inside a union")
            node, text = self.build(branch, namespace, f"{where}<{index}>")
            word = type_word(node)
            if word in seen:
                raise self._problem(where, f"the union has two branches of type {word}")
            seen.add(word)
            nodes.append(node)
            out.append(text)
        return Union(tuple(nodes)), out

    # ------------------------------------------------------------ objects

    def _object(self, json: Mapping[str, Json], namespace: str, where: str) -> tuple[Node, Json]:
        kind = json.get("type")
        match kind:
            case "array" | "map":
                key = "items" if kind == "array" else "values"
                if key not in json:
                    raise self._problem(where, f"{_an(kind)} needs {key!r}")
                inner, text = self.build(json[key], namespace, where + ("[]" if kind == "array" else "{}"))
                return (Array(inner) if kind == "array" else Map(inner)), {**json, key: text}
            case "record" | "enum" | "fixed":
                return self._definition(kind, json, namespace, where)
            case str() if kind in PRIMITIVES:
                primitive = Primitive(cast("PrimitiveKind", kind), self._logical(kind, json, 0, where))
                return primitive, (kind if len(json) == 1 else dict(json))
            case str():
                raise self._problem(where, f"unknown type {kind[:200]!r}; to use a named type write its bare name")
            case None:
                raise self._problem(where, "the 'type' is missing")
            case _:
                raise self._problem(where, f"'type' is {_kind_of(kind)} where a type's name is expected")

    def _definition(self, kind: str, json: Mapping[str, Json], namespace: str, where: str) -> tuple[Node, Json]:
        full = self._name_of(kind, json, namespace, where)
        if full in self._named:
            if self._origin[full] == id(json):
                return self._named[full], full  # a borrowed text that was already written out
            raise self._problem(where, f"{full} is defined twice")
        where = where or full
        self._origin[full] = id(json)
        inner = _namespace(full)
        aliases = tuple(_full_name(alias, None, inner) for alias in self._aliases(json, _FULL_NAME, where))
        out: dict[str, Json] = {**json, "name": full}
        out.pop("namespace", None)
        if "aliases" in json:
            out["aliases"] = list(aliases)

        if kind == "fixed":
            size = self._size(json, where)
            node: Named = Fixed(full, size, aliases, self._logical("fixed", json, size, where))
        elif kind == "enum":
            node = Enum(full, *self._symbols(json, where), aliases)
        else:
            node = Record(full, aliases)
        self._named[full] = node
        if isinstance(node, Record):
            out["fields"] = self._fields(node, json, where)
        return node, out

    def _name_of(self, kind: str, json: Mapping[str, Json], namespace: str, where: str) -> str:
        name, space = json.get("name"), json.get("namespace")
        if not isinstance(name, str) or not isinstance(space, str | None):
            raise self._problem(where, f"{_an(kind)} needs a 'name', and its 'namespace' must be text")
        full = _full_name(name, space, namespace)
        if not _FULL_NAME.fullmatch(full):
            raise self._problem(where, f"{full[:200]!r} is no valid name: letters, digits and _, no digit first")
        if full in PRIMITIVES:
            raise self._problem(where, f"{full!r} is the name of a primitive type")
        if namespace and "." not in full:
            # Apache's parser puts such a type into the enclosing namespace, fastavro does not.
            raise self._problem(
                where, f"{full!r} has no namespace inside {namespace!r}: give it one, the parsers disagree"
            )
        return full

    def _aliases(self, json: Mapping[str, Json], pattern: re.Pattern[str], where: str) -> list[str]:
        aliases = json.get("aliases", [])
        if not isinstance(aliases, list):
            raise self._problem(where, "'aliases' must be a list of names")
        names = [alias for alias in aliases if isinstance(alias, str) and pattern.fullmatch(alias)]
        if len(names) != len(aliases):
            raise self._problem(where, "'aliases' must be a list of names")
        return names

    def _size(self, json: Mapping[str, Json], where: str) -> int:
        size = json.get("size")
        if not _is_int(size) or not 0 <= size <= MAX_FIXED_BYTES:
            raise self._problem(where, f"a fixed needs a 'size' from 0 to {MAX_FIXED_BYTES:,} bytes")
        return size

    def _symbols(self, json: Mapping[str, Json], where: str) -> tuple[tuple[str, ...], str | None]:
        listed = json.get("symbols")
        symbols = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
        if not isinstance(listed, list) or len(symbols) != len(listed):
            raise self._problem(where, "an enum needs 'symbols', a list of names")
        for symbol in symbols:
            if not _NAME.fullmatch(symbol):
                raise self._problem(where, f"the symbol {symbol[:200]!r} is no valid name")
        if len(set(symbols)) != len(symbols):
            raise self._problem(where, "a symbol stands twice in the enum")
        default = json.get("default")
        if "default" in json and default not in symbols:
            raise self._problem(where, "the enum's default is none of its symbols")
        return tuple(symbols), default if isinstance(default, str) else None

    def _fields(self, record: Record, json: Mapping[str, Json], where: str) -> list[Json]:
        listed = json.get("fields")
        if not isinstance(listed, list):
            raise self._problem(where, "a record needs 'fields', a list")
        out: list[Json] = []
        seen: set[str] = set()
        for each in listed:
            if not isinstance(each, dict) or "type" not in each:
                raise self._problem(where, "a field is an object with 'name' and 'type'")
            name = each.get("name")
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise self._problem(where, f"a field's name is no valid name: {str(name)[:200]!r}")
            place = f"{where}.{name}"
            if name in seen:
                raise self._problem(place, "the record has two fields of this name")
            seen.add(name)
            node, text = self.build(each["type"], _namespace(record.name), place)
            aliases = tuple(self._aliases(each, _NAME, place))
            default: object = each.get("default", NO_DEFAULT)
            if each.get("order", "ascending") not in ("ascending", "descending", "ignore"):
                raise self._problem(place, "'order' must be ascending, descending or ignore")
            record.fields.append(Field(name, node, default, aliases))
            out.append({**each, "type": text})
        return out

    # ------------------------------------------------------------ logical types

    def _logical(self, kind: str, json: Mapping[str, Json], size: int, where: str) -> Logical | None:
        word = json.get("logicalType")
        if not isinstance(word, str) or (kind, word) not in LOGICAL_TYPES:
            return None
        if word == "uuid" and kind == "fixed" and size != 16:
            raise self._problem(where, "a uuid takes 16 bytes")
        return self._decimal(kind, json, size, where) if word == "decimal" else Logical(word)

    def _decimal(self, kind: str, json: Mapping[str, Json], size: int, where: str) -> Logical:
        precision, scale = json.get("precision"), json.get("scale", 0)
        if not _is_int(precision) or not 0 < precision <= MAX_DECIMAL_DIGITS:
            raise self._problem(where, f"a decimal needs a 'precision' from 1 to {MAX_DECIMAL_DIGITS:,} digits")
        if not _is_int(scale) or not 0 <= scale <= precision:
            raise self._problem(where, f"a decimal's scale must be from 0 to its precision, {precision}")
        # A signed number of `size` bytes holds floor(log10(2^(8*size-1) - 1)) full digits (Avro 1.12, Decimal).
        if kind == "fixed" and precision > math.floor(math.log10(2) * (8 * size - 1)):
            raise self._problem(where, f"a decimal of {precision} digits does not fit into {size} bytes")
        return Logical("decimal", precision, scale)


def type_word(node: Node) -> str:
    """What makes a union branch different from its neighbours: the full name, or the kind of type."""
    match node:
        case Primitive(kind=kind):
            return kind
        case Fixed(name=name) | Enum(name=name) | Record(name=name):
            return name
        case Array():
            return "array"
        case Map():
            return "map"
        case Union():
            return "union"


def _full_name(name: str, space: Json, enclosing: str) -> str:
    if "." in name:
        return name
    prefix = space if isinstance(space, str) else enclosing
    return f"{prefix}.{name}" if prefix else name


def _namespace(full: str) -> str:
    return full.rpartition(".")[0]


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _kind_of(json: Json) -> str:
    words = {"dict": "an object", "list": "a list", "str": "text", "bool": "true or false", "NoneType": "null"}
    return words.get(type(json).__name__, "a number")


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"

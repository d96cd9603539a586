"""Which Python class each record and enum of a schema becomes, found by walking schema and annotations side by side.

A class that does not fit its schema is a mistake in the code: it is refused when the topic is opened, and not by every
record as a dead letter.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections import abc
from collections.abc import Mapping
from typing import Annotated, Any, Final, cast

import msgspec

from penstock.errors import ConfigurationError
from penstock.schemas.limits import load_json
from penstock.schemas.logical import PYTHON_TYPES
from penstock.schemas.nodes import Array, Enum, Fixed, Map, Node, Primitive, Record, Union

_PLAIN: Final[dict[str, tuple[object, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int, float),
    "long": (int, float),
    "float": (float,),
    "double": (float,),
    "bytes": (bytes,),
    "string": (str,),
}
_SEQUENCES: Final = (list, abc.Sequence, abc.Collection, abc.Iterable)
_MAPPINGS: Final = (dict, abc.Mapping, abc.MutableMapping)


class Classes:
    """The class per record and enum; empty for values that are plain dicts.

    Args:
        root: the schema.
        top: the class of its values, None for plain dicts.

    Raises:
        ConfigurationError: a class and the schema do not fit; the message names class and attribute.
    """

    def __init__(self, root: Node, top: type | None) -> None:
        self._records: dict[str, tuple[type, dict[str, str]]] = {}
        self._enums: dict[str, type[enum.Enum]] = {}
        if top is not None:
            self._match(root, top, top.__qualname__)

    def none(self) -> Classes:
        """No classes: records become dicts."""
        return Classes(Primitive("null"), None)

    def has(self, record: Record) -> bool:
        """Whether the record becomes an object."""
        return record.name in self._records

    def of(self, record: Record) -> type | None:
        """The record's class; None where it becomes a dict."""
        found = self._records.get(record.name)
        return found and found[0]

    def attributes(self, record: Record) -> Mapping[str, str]:
        """{field: attribute}, or dict key, by which its value is got and set."""
        found = self._records.get(record.name)
        return found[1] if found else {field.name: field.name for field in record.fields}

    def enum(self, node: Enum) -> type[enum.Enum] | None:
        """The enum's class; None where symbols stay text."""
        return self._enums.get(node.name)

    def members(self, node: Enum) -> Mapping[str | None, object]:
        """{symbol: what it becomes}."""
        cls = self._enums.get(node.name)
        return {symbol: cls(symbol) if cls else symbol for symbol in node.symbols}

    # ------------------------------------------------------------ matching

    def _match(self, node: Node, hint: object, where: str) -> None:
        choices = _members(hint)
        if any(each is Any or each is object for each in choices):
            return
        match node:
            case Union(branches=branches):
                for branch in branches:
                    self._match(branch, hint, where)
            case Record():
                self._record(node, choices, where)
            case Enum():
                self._enum(node, choices, where)
            case Array(items=items):
                inner = _arguments(choices, _SEQUENCES)
                self._need(inner is not None, where, "a list", hint)
                self._match(items, inner[0] if inner else Any, f"{where}[]")
            case Map(values=values):
                inner = _arguments(choices, _MAPPINGS)
                self._need(inner is not None, where, "a dict", hint)
                self._match(values, inner[-1] if inner else Any, f"{where}{{}}")
            case Primitive() | Fixed():
                wanted = _python_types(node)
                self._need(any(each in wanted for each in choices), where, getattr(wanted[0], "__name__", ""), hint)

    def _record(self, node: Record, choices: list[object], where: str) -> None:
        candidates = [each for each in choices if isinstance(each, type) and _is_structured(each)]
        cls = _by_name(candidates, node.name)
        if cls is None:
            self._need(_arguments(choices, _MAPPINGS) is not None, where, f"the record {node.name}", choices)
            return
        if node.name in self._records:
            self._need(self._records[node.name][0] is cls, where, "one class for every use of the record", cls)
            return
        attributes = _attributes(cls)
        fields = {field.name for field in node.fields}
        if odd := fields ^ attributes.keys():
            raise ConfigurationError(
                f"{cls.__module__}.{cls.__qualname__} and the schema {node.name} have different fields: "
                f"{', '.join(sorted(odd))}; generate the class anew: penstock schemas codegen"
            )
        self._records[node.name] = cls, attributes
        hints = _hints(cls)
        for field in node.fields:
            self._match(field.type, hints[attributes[field.name]], f"{cls.__qualname__}.{attributes[field.name]}")

    def _enum(self, node: Enum, choices: list[object], where: str) -> None:
        candidates = [each for each in choices if isinstance(each, type) and issubclass(each, enum.Enum)]
        cls = _by_name(candidates, node.name)
        if cls is None:
            self._need(str in choices, where, f"the enum {node.name}", choices)
            return
        values = {member.value for member in cls}
        self._need(values == set(node.symbols), where, f"an enum with the symbols of {node.name}", cls)
        self._enums[node.name] = cls

    def _need(self, is_given: bool, where: str, wanted: str, hint: object) -> None:
        if not is_given:
            raise ConfigurationError(f"{where}: the schema wants {wanted}, the annotation is {hint!r}")


def _python_types(node: Primitive | Fixed) -> tuple[object, ...]:
    if node.logical is not None:
        return (PYTHON_TYPES[node.logical.name],)
    return (bytes,) if isinstance(node, Fixed) else _PLAIN[node.kind]


def _members(hint: object) -> list[object]:
    """A hint without `Annotated`, its unions flattened."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return _members(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return [each for part in typing.get_args(hint) for each in _members(part)]
    return [type(None) if hint is None else hint]


def _arguments(choices: list[object], kinds: tuple[object, ...]) -> tuple[object, ...] | None:
    """The type arguments of the first choice of one of these kinds."""
    for each in choices:
        if (typing.get_origin(each) or each) in kinds:
            return typing.get_args(each) or (Any,)
    return None


def _is_structured(cls: type) -> bool:
    return issubclass(cls, msgspec.Struct) or dataclasses.is_dataclass(cls)


def _by_name(candidates: list[type], name: str) -> Any:
    """The class of a named type: by its own schema's name, by its class name, or the only one there is."""
    for cls in candidates:
        text = getattr(cls, "__avro_schema__", None)
        if isinstance(text, str) and name in _names(text):
            return cls
    for cls in candidates:
        if cls.__name__.rstrip("_") == name.rpartition(".")[2].rstrip("_"):
            return cls
    return candidates[0] if len(candidates) == 1 else None


def _names(text: str) -> tuple[str, ...]:
    """The full name of a schema's top type, and those it was known by."""
    json = load_json(text, "a class's __avro_schema__")
    if not isinstance(json, dict):
        return ()
    top = cast("dict[str, Any]", json)
    space = top.get("namespace", "")
    return tuple(f"{space}.{each}" if space and "." not in each else each for each in (top.get("name", ""),))


def _attributes(cls: type) -> dict[str, str]:
    """{field in the schema: attribute}."""
    if issubclass(cls, msgspec.Struct):
        return {field.encode_name: field.name for field in msgspec.structs.fields(cls)}
    return {field.metadata.get("name", field.name): field.name for field in dataclasses.fields(cast("Any", cls))}


def _hints(cls: type) -> dict[str, object]:
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except NameError as err:
        raise ConfigurationError(f"{cls.__module__}.{cls.__qualname__}: {err}; import it where the class is") from err

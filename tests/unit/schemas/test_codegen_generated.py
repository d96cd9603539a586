"""Random schemas become modules that import, whose classes go through the codec and come back equal."""

import datetime as dt
import importlib.util
import json
import sys
import tempfile
import typing
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from penstock.schemas.codegen import generate
from penstock.schemas.module_source import Style
from penstock.schemas.parse import parse
from penstock.schemas.serdes import avro
from penstock.schemas.tree import load_tree
from penstock.testing.memory_registry import MemoryRegistry

FIELD_NAMES = [
    *("a", "b", "id", "date", "type", "name", "match", "camelCase", "_private", "__mangled", "__init__", "self"),
    *("class", "class_", "from", "None", "list", "dict", "str", "int", "bytes", "float", "bool", "dt", "Decimal"),
    *("UUID", "StrEnum", "ClassVar", "msgspec", "dataclass", "dataclasses", "Colour", "Inner", "field", "property"),
]
TYPE_NAMES = ["Colour", "Inner", "Decimal", "UUID", "Warning", "snake_case", "_Hidden", "str_", "msgspec", "Type", "X1"]
SYMBOLS = ["UNKNOWN", "RED", "None", "class", "_a", "__b", "name", "value", "title", "upper", "mro", "x__b", "True"]
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)
DOCS = st.one_of(
    ANY_TEXT,
    st.text(st.sampled_from("\\\"'.!? \n\t{}#ab"), max_size=200),
    st.sampled_from(["", "One.", 'ends with a "quote"', "back\\", '"""', "a" * 300, "Word " * 60]),
)

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
Leaf = tuple[Any, st.SearchStrategy[Any], Callable[[Any], Any]]


def us(count: int) -> dt.timedelta:
    return dt.timedelta(microseconds=count)


def logical(base: str, name: str, **more: int) -> dict[str, Any]:
    return {"type": base, "logicalType": name, **more}


def instants(per_unit: int) -> st.SearchStrategy[int]:
    return st.integers(-(10**15) // per_unit, 10**16 // per_unit)


def same(value: Any) -> Any:
    return value


# {word: (schema, its values as JSON defaults, what a JSON default is in Python)}
LEAVES: dict[str, Leaf] = {
    "null": ("null", st.none(), same),
    "boolean": ("boolean", st.booleans(), same),
    "int": ("int", st.integers(-(2**31), 2**31 - 1), same),
    "long": ("long", st.integers(-(2**63), 2**63 - 1), same),
    "float": ("float", st.floats(width=32, allow_nan=False, allow_infinity=False), same),
    "double": ("double", st.floats(allow_nan=False, allow_infinity=False), same),
    "string": ("string", st.text(max_size=130), same),
    "bytes": ("bytes", st.text(st.characters(max_codepoint=255), max_size=4), lambda text: text.encode("latin-1")),
    "date": (
        logical("int", "date"),
        st.integers(-700_000, 2_900_000),
        lambda days: dt.date(1970, 1, 1) + dt.timedelta(days),
    ),
    "time-millis": (
        logical("int", "time-millis"),
        st.integers(0, 86_399_999),
        lambda ms: (EPOCH + us(ms * 1000)).time(),
    ),
    "time-micros": (
        logical("long", "time-micros"),
        st.integers(0, 86_399_999_999),
        lambda count: (EPOCH + us(count)).time(),
    ),
    "timestamp-millis": (logical("long", "timestamp-millis"), instants(1_000), lambda ms: EPOCH + us(ms * 1000)),
    "timestamp-micros": (logical("long", "timestamp-micros"), instants(1), lambda count: EPOCH + us(count)),
    "timestamp-nanos": (logical("long", "timestamp-nanos"), instants(1), same),
    "local-timestamp-millis": (
        logical("long", "local-timestamp-millis"),
        instants(1_000),
        lambda ms: EPOCH.replace(tzinfo=None) + us(ms * 1000),
    ),
    "local-timestamp-micros": (
        logical("long", "local-timestamp-micros"),
        instants(1),
        lambda count: EPOCH.replace(tzinfo=None) + us(count),
    ),
    "decimal": (
        logical("bytes", "decimal", precision=6, scale=2),
        st.integers(-999_999, 999_999).map(lambda n: n.to_bytes(3, "big", signed=True).decode("latin-1")),
        lambda text: Decimal(int.from_bytes(text.encode("latin-1"), "big", signed=True)).scaleb(-2),
    ),
    "uuid": (logical("string", "uuid"), st.uuids().map(str), UUID),
}
# Branches of one union are of different families: the codec tells them apart by their Python types.
FAMILIES = [["boolean"], ["int", "long", "date", "time-micros"], ["double"], ["string", "uuid"], ["bytes"]]


class Drawn:
    """One random record: its schema, and values for it."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.names = iter(draw(st.permutations(TYPE_NAMES)))
        self.defined: dict[str, dict[str, Any]] = {}
        self.open: list[str] = []

    def pick(self, choices: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(choices))

    def record(self, depth: int) -> dict[str, Any]:
        name = next(self.names)
        schema = self.defined[name] = {"type": "record", "name": name, "doc": self.draw(DOCS)}
        self.open.append(name)
        listed: list[dict[str, Any]] = []
        for field_name in self.draw(st.lists(st.sampled_from(FIELD_NAMES), max_size=5, unique=True)):
            field = {"name": field_name, "type": self.type(depth, name), "doc": self.draw(DOCS)}
            if self.draw(st.booleans()):
                field["default"] = self.default(field["type"])
            listed.append(field)
        schema["fields"] = listed
        self.open.remove(name)
        return schema

    def type(self, depth: int, owner: str) -> Any:
        deeper = ["record", "array", "map", "enum", "fixed"] if depth and len(self.defined) < 6 else []
        kind = self.pick(["leaf", "leaf", "union", "again", "self", *deeper])
        if kind == "union":
            chosen = self.draw(st.lists(st.sampled_from(FAMILIES), min_size=1, max_size=3, unique_by=str))
            branches = [LEAVES[self.pick(family)][0] for family in chosen]
            return ["null", *branches] if self.draw(st.booleans()) else branches
        if kind in {"array", "map"}:
            return {"type": kind, "items" if kind == "array" else "values": self.type(depth - 1, owner)}
        if kind == "self":
            return ["null", owner]
        if kind == "again" and (
            done := [name for name, each in self.defined.items() if len(each) > 3 or "size" in each]
        ):
            return self.pick(done)
        return self.definition(kind, depth) if kind in deeper else LEAVES[self.pick([*LEAVES])][0]

    def definition(self, kind: str, depth: int) -> dict[str, Any]:
        if kind == "record":
            return self.record(depth - 1)
        name = next(self.names)
        schema = self.defined[name] = {"type": kind, "name": name}
        if kind == "enum":
            symbols = self.draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, unique=True))
            schema |= {"symbols": symbols, "doc": self.draw(DOCS)}
        else:
            schema["size"] = self.draw(st.integers(0, 4))
        return schema

    def named(self, schema: Any) -> Any:
        """A reference's definition; what is no reference as it is."""
        return self.defined.get(schema, schema) if isinstance(schema, str) else schema

    def default(self, schema: Any) -> Any:
        """A JSON default."""
        if isinstance(schema, list):
            return self.default(schema[0])
        full = self.named(schema)
        match word_of(full):
            case "record":
                found: Any = {field["name"]: self.default(field["type"]) for field in full["fields"]}
            case "array":
                found = [self.default(full["items"]) for _ in range(self.draw(st.integers(0, 2)))]
            case "map":
                keys = self.draw(st.sets(st.text(max_size=3), max_size=2))
                found = {key: self.default(full["values"]) for key in keys}
            case "enum":
                found = self.pick(full["symbols"])
            case "fixed":
                found = "\u00e9" * full["size"]
            case word:
                found = self.draw(LEAVES[word][1])
        return found

    def value(self, schema: Any, module: ModuleType, depth: int = 3) -> Any:
        """A value of the module's classes."""
        if isinstance(schema, list):
            branch = self.pick(schema) if depth > 0 or "null" not in schema else "null"
            return self.value(branch, module, depth - 1)
        full = self.named(schema)
        match word_of(full):
            case "record":
                cls = class_of(module, full["name"])
                names = attributes(cls)
                told = [field for field in full["fields"] if "default" not in field or self.draw(st.booleans())]
                found: Any = cls(**{names[each["name"]]: self.value(each["type"], module, depth - 1) for each in told})
            case "array":
                found = [self.value(full["items"], module, depth - 1) for _ in range(self.draw(st.integers(0, 2)))]
            case "map":
                keys = self.draw(st.sets(st.text(max_size=3), max_size=2))
                found = {key: self.value(full["values"], module, depth - 1) for key in keys}
            case "enum":
                found = class_of(module, full["name"])(self.pick(full["symbols"]))
            case "fixed":
                found = self.draw(st.binary(min_size=full["size"], max_size=full["size"]))
            case word:
                found = LEAVES[word][2](self.draw(LEAVES[word][1]))
        return found


def word_of(schema: Any) -> str:
    return schema if isinstance(schema, str) else schema.get("logicalType", schema["type"])


def class_of(module: ModuleType, name: str) -> Any:
    """The class whose schema has this name, or the enum that is called so; however the module calls it."""
    own = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
    for each in own:
        text = getattr(each, "__avro_schema__", None)
        if json.loads(text)["name"] == f"gen.{name}" if text else each.__name__ in {name, f"{name}_"}:
            return each
    raise AssertionError(f"no class for {name} in {own}")


def attributes(cls: Any) -> dict[str, str]:
    if is_dataclass(cls):
        return {each.metadata.get("name", each.name): each.name for each in fields(cls)}
    return {each.encode_name: each.name for each in msgspec.structs.fields(cls)}


@st.composite
def drawn_trees(draw: st.DrawFn) -> tuple[Drawn, dict[str, Any]]:
    drawn = Drawn(draw)
    return drawn, {**drawn.record(2), "namespace": "gen"}


@contextmanager
def imported(source: str) -> Generator[ModuleType]:
    """The source as a module, imported from a file as a project would."""
    name = "generated_for_test"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "__init__.py")
        path.write_text(source, "utf-8")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
            yield module
        finally:
            del sys.modules[name]


@pytest.mark.parametrize("style", Style)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
)
@given(drawn=drawn_trees(), data=st.data())
def test_a_generated_class_means_what_its_schema_says(
    style: Style, drawn: tuple[Drawn, dict[str, Any]], data: st.DataObject
) -> None:
    """Annotations resolve, the schema in the class is the file's, values round trip, and both sides' defaults agree."""
    made, schema = drawn
    made.draw = data.draw
    text = json.dumps(schema)
    files = generate(load_tree({"gen/It.avsc": text}), package="schemas", style=style)
    with imported(files["gen/__init__.py"]) as module:
        cls = class_of(module, schema["name"])
        for each in vars(module).values():
            if isinstance(each, type) and each.__module__ == module.__name__:
                typing.get_type_hints(each)
        assert parse(cls.__avro_schema__).identity == parse(text).identity
        assert (cls.__doc__ or "").strip()

        registry = MemoryRegistry()
        codec = avro(cls).bind("t", "value", registry, auto_register=True)
        value = made.value(schema, module)
        assert codec.decode(codec.encode([value])) == ([value], {})

        # What an older producer wrote, without the fields that have defaults: the codec's defaults and the class's.
        if any(refers_to_types(each["type"]) for each in schema["fields"]):
            return
        required = [each for each in schema["fields"] if "default" not in each]
        older = avro(schema=json.dumps({**schema, "fields": required})).bind("t", "value", registry, auto_register=True)
        names = attributes(cls)
        given = {each["name"]: getattr(value, names[each["name"]]) for each in required}
        expected = cls(**{names[name]: each for name, each in given.items()})
        assert codec.decode(older.encode([given])) == ([expected], {})


def refers_to_types(schema: Any) -> bool:
    """Whether a type has a name, whose definition the older schema would have to keep."""
    return any(f'"{name}"' in json.dumps(schema) for name in TYPE_NAMES)

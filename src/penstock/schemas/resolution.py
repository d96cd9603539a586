"""How a writer's schema is read as the reader's: decided once per schema id, not once per record.

The result is a *plan*: the writer's schema rewritten so that fastavro reads it without a reader schema, at full speed,
and gives what the reader wants: fields under the reader's attribute names, symbols and branches by exact index,
promotions by reading the wider type. What is left to do in Python is a *lift* per node, mostly none.

Three details of the plan are deliberate:

- Unions and enums are `{index: ...}` dicts instead of lists. fastavro indexes them as they are, and a dict has no
  negative indexes: an index of -1 would otherwise decode the last branch.
- A boolean is read as one byte and looked up, since fastavro takes any byte but 0 for true.
- Fields that the reader does not have are all called "": a name that no schema can use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from penstock.schemas.building import type_word
from penstock.schemas.classes import Classes
from penstock.schemas.defaults import physical_default
from penstock.schemas.logical import Conversion, family, lifting
from penstock.schemas.malformed import Malformed
from penstock.schemas.nodes import Array, Enum, Field, Fixed, Logical, Map, Node, NoDefault, Primitive, Record, Union
from penstock.schemas.record_lift import SKIPPED, RecordLift

Plan: TypeAlias = Any
"""What fastavro's `_read_data` takes: a primitive's name or a dict; cyclic for recursive schemas."""
Resolved: TypeAlias = tuple[Plan, Conversion | None]

PROMOTIONS: Final = frozenset(
    (
        ("int", "long"),
        ("int", "float"),
        ("int", "double"),
        ("long", "float"),
        ("long", "double"),
        ("float", "double"),
        ("string", "bytes"),
        ("bytes", "string"),
    )
)
"""(writer, reader), Avro 1.12, Schema Resolution."""


class Unresolvable(Exception):
    """The reader's schema cannot read what the writer's writes; the message says where."""


class Choices(dict[Any, Any]):
    """What an index stands for; any other index is malformed.

    Args:
        choices: {index: what it stands for}, and for a union its `type`.
        kind: `enum` or `union`.
        written: how many the writer's schema has; one of these that is missing cannot be resolved.
    """

    def __init__(self, choices: Mapping[Any, Any], kind: str, written: int) -> None:
        super().__init__(choices)
        self._kind, self._written = kind, written

    def __missing__(self, index: int) -> Any:
        if not 0 <= index < self._written:
            raise Malformed(f"{self._kind}_index", f"index {index} of {self._written} in {_AN[self._kind]}")
        if self._kind == "enum":
            raise Malformed("enum_symbol", "a symbol that the reader's enum has not, and no default")
        raise Malformed("unresolvable", "a union branch that the reader's schema cannot read")


_AN: Final = {"enum": "an enum", "union": "a union"}


class _Booleans(dict[bytes, bool]):
    def __missing__(self, byte: bytes) -> bool:
        raise Malformed("boolean", "a boolean is neither 0 nor 1")


_BOOLEANS: Final = _Booleans({b"\x00": False, b"\x01": True})


def _int32(value: int) -> int:
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return value
    raise Malformed("int_range", "an int of more than 32 bits")


class Resolver:
    """Resolves one writer against one reader.

    Args:
        classes: what records and enums become; those it does not know become dicts and text.
    """

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._records: dict[tuple[int, int], tuple[Plan, RecordLift]] = {}
        self._skipper: Resolver | None = None

    def resolve(  # noqa: PLR0911 - one return per kind of node
        self, writer: Node, reader: Node, where: str = ""
    ) -> Resolved:
        """The plan and the lift.

        Raises:
            Unresolvable: they do not match.
        """
        if isinstance(writer, Union):
            return self._union(writer, reader, where)
        if isinstance(reader, Union):
            return self._branch_for(writer, reader, where)
        match writer, reader:
            case Primitive(), Primitive():
                return self._primitive(writer, reader, where)
            case Fixed(), Fixed() if same_name(writer, reader) and writer.size == reader.size:
                check_family(writer.logical, reader.logical, where)
                return {"type": "fixed", "size": writer.size}, lifting(writer.logical, reader.logical, writer)
            case Enum(), Enum() if same_name(writer, reader):
                return self._enum(writer, reader), None
            case Array(), Array():
                plan, lift = self.resolve(writer.items, reader.items, f"{where}[]")
                return {"type": "array", "items": plan}, None if lift is None else _each(lift)
            case Map(), Map():
                plan, lift = self.resolve(writer.values, reader.values, f"{where}{{}}")
                return {"type": "map", "values": plan}, None if lift is None else _each_value(lift)
            case Record(), Record() if same_name(writer, reader):
                return self._record(writer, reader, where)
            case _:
                raise _mismatch(writer, reader, where)

    def _primitive(self, writer: Primitive, reader: Primitive, where: str) -> Resolved:
        if writer.kind != reader.kind and (writer.kind, reader.kind) not in PROMOTIONS:
            raise _mismatch(writer, reader, where)
        check_family(writer.logical, reader.logical, where)
        match writer.kind, reader.kind:
            case "boolean", _:
                return {"type": "fixed", "size": 1}, _BOOLEANS.__getitem__
            case (("int" | "long"), ("float" | "double")):
                return "long", _float_of_int if writer.kind == "int" else float
            case "int", _:
                lift = lifting(writer.logical, reader.logical, reader)
                return "int", _int32 if lift is None else _both(_int32, lift)
            case (("string" | "bytes"), kind):
                return kind, lifting(writer.logical, reader.logical, reader)
            case kind, _:
                return kind, lifting(writer.logical, reader.logical, reader)

    def _enum(self, writer: Enum, reader: Enum) -> Plan:
        members = self._classes.members(reader)
        choices = {
            index: members[symbol if symbol in members else reader.default]
            for index, symbol in enumerate(writer.symbols)
            if symbol in members or reader.default is not None
        }
        return {"type": "enum", "symbols": Choices(choices, "enum", len(writer.symbols))}

    # ------------------------------------------------------------ unions

    def _union(self, writer: Union, reader: Node, where: str) -> Resolved:
        resolved: dict[int, Resolved] = {}
        problems: list[str] = []
        for index, branch in enumerate(writer.branches):
            try:
                resolved[index] = self.resolve(branch, reader, where)
            except Unresolvable as err:
                problems.append(str(err))
        if not resolved:
            raise Unresolvable(problems[0])
        plans = {index: plan for index, (plan, _) in resolved.items()}
        lifts = {index: lift for index, (_, lift) in resolved.items() if plans[index] != "null"}
        if not any(lifts.values()):
            lift = None
        elif len(lifts) == 1:
            lift = _unless_null(next(lift for lift in lifts.values() if lift))
        else:
            # The value alone does not tell its branch: wrap it in a record whose one field is called by the index.
            plans |= {i: {"type": "record", "fields": [{"name": i, "type": plans[i]}]} for i in lifts}
            lift = _by_branch(lifts)
        return Choices({"type": "union", **plans}, "union", len(writer.branches)), lift

    def _branch_for(self, writer: Node, reader: Union, where: str) -> Resolved:
        """The reader's branch for a writer's type: the same type if there is one, else the first it promotes to."""
        by_closeness = sorted(reader.branches, key=lambda branch: not is_same_type(writer, branch))
        for branch in by_closeness:
            try:
                plan, lift = self.resolve(writer, branch, where)
            except Unresolvable:
                continue
            if name := pair_name(reader, branch, self._classes):
                return plan, _both(lift, _named(name)) if lift else _named(name)
            return plan, lift
        raise _mismatch(writer, reader, where)

    # ------------------------------------------------------------ records

    def _record(self, writer: Record, reader: Record, where: str) -> Resolved:
        key = (id(writer), id(reader))
        if key not in self._records:
            plan: Plan = {"type": "record", "fields": []}
            lift = RecordLift(self._classes.of(reader))
            self._records[key] = plan, lift
            self._fill(plan, lift, writer, reader, where or writer.name)
            lift.is_done = True
        plan, lift = self._records[key]
        if not lift.is_done:
            return plan, lift  # inside itself: what is missing will be there when the first record comes
        return plan, None if lift.is_identity else lift.function()

    def _fill(self, plan: Plan, lift: RecordLift, writer: Record, reader: Record, where: str) -> None:
        attributes = self._classes.attributes(reader)
        unread = {field.name: field for field in reader.fields}
        by_alias = {alias: field for field in reader.fields for alias in field.aliases}
        written = {field.name for field in writer.fields}
        for field in writer.fields:
            target = unread.get(field.name) or by_alias.get(field.name)
            if target is None or target.name not in unread or (target.name != field.name and target.name in written):
                plan["fields"].append({"name": SKIPPED, "type": self._skipped(field.type)})
                lift.has_skipped = True
                continue
            del unread[target.name]
            inner, convert = self.resolve(field.type, target.type, f"{where}.{field.name}")
            plan["fields"].append({"name": attributes[target.name], "type": inner})
            if convert is not None:
                lift.conversions.append((attributes[target.name], convert))
        for field in unread.values():
            if isinstance(field.default, NoDefault):
                raise Unresolvable(f"{where}: the reader's field {field.name!r} has no default and is not written")
            lift.defaults.append((attributes[field.name], default_maker(field, self._classes)))

    def _skipped(self, node: Node) -> Plan:
        # One resolver for all that is skipped: what it has made once serves every field of that type.
        self._skipper = self._skipper or Resolver(self._classes.none())
        return self._skipper.resolve(node, node)[0]


# ---------------------------------------------------------------- defaults


def default_maker(field: Field, classes: Classes) -> Callable[[], object]:
    """A function that gives a field's default as the reader wants it; lists, dicts and records are new every time."""
    physical = physical_default(field)
    top = field.type.branches[0] if isinstance(field.type, Union) else field.type
    if isinstance(top, Primitive | Fixed | Enum):
        value = _revived(field.type, physical, classes)
        return lambda: value
    return lambda: _revived(field.type, physical, classes)


def _revived(node: Node, value: Any, classes: Classes) -> Any:
    match node:
        case Primitive(logical=logical) | Fixed(logical=logical):
            lift = lifting(logical, logical, node)
            return value if lift is None else lift(value)
        case Enum():
            return classes.members(node)[value]
        case Array(items=items):
            return [_revived(items, each, classes) for each in value]
        case Map(values=values):
            return {key: _revived(values, each, classes) for key, each in value.items()}
        case Union(branches=branches):
            first = _revived(branches[0], value, classes)
            return (first_name, first) if (first_name := pair_name(node, branches[0], classes)) else first
        case Record():
            attributes, cls = classes.attributes(node), classes.of(node)
            fields = {attributes[each.name]: _revived(each.type, value[each.name], classes) for each in node.fields}
            return fields if cls is None else cls(**fields)


# ---------------------------------------------------------------- small parts


def same_name(writer: Fixed | Enum | Record, reader: Fixed | Enum | Record) -> bool:
    """Named types match by full name, by the reader's aliases, or by name without namespace (Avro 1.12)."""
    return (
        writer.name == reader.name
        or writer.name in reader.aliases
        or writer.name.rpartition(".")[2] == reader.name.rpartition(".")[2]
    )


def is_same_type(writer: Node, branch: Node) -> bool:
    """Whether a reader's branch is the writer's very type, which wins over an earlier one that it promotes to."""
    if isinstance(writer, Primitive) and isinstance(branch, Primitive):
        return writer.kind == branch.kind
    if isinstance(writer, Fixed | Enum | Record) and isinstance(branch, Fixed | Enum | Record):
        return type(writer) is type(branch) and (writer.name == branch.name or writer.name in branch.aliases)
    return type(writer) is type(branch)


def pair_name(union: Union, branch: Node, classes: Classes) -> str | None:
    """The name that goes with a plain dict in a union of several records: (full name, dict), as fastavro has it."""
    if not isinstance(branch, Record) or classes.has(branch):
        return None
    return branch.name if sum(isinstance(each, Record) for each in union.branches) > 1 else None


def check_family(written: Logical | None, read: Logical | None, where: str) -> None:
    """Refuse to read one kind of moment or number as another.

    Raises:
        Unresolvable: both sides have a logical type and they measure different things.
    """
    if written is not None and read is not None and family(written) != family(read):
        raise Unresolvable(f"{where}: written as {written.name}, read as {read.name}")


def _mismatch(writer: Node, reader: Node, where: str) -> Unresolvable:
    return Unresolvable(f"{where or 'the schema'}: written as {type_word(writer)}, read as {type_word(reader)}")


def _both(first: Conversion, second: Conversion) -> Conversion:
    return lambda value: second(first(value))


def _each(lift: Conversion) -> Conversion:
    return lambda values: [lift(value) for value in values]


def _each_value(lift: Conversion) -> Conversion:
    return lambda values: {key: lift(value) for key, value in values.items()}


def _named(name: str) -> Conversion:
    return lambda value: (name, value)


def _unless_null(lift: Conversion) -> Conversion:
    return lambda value: None if value is None else lift(value)


def _by_branch(lifts: Mapping[int, Conversion | None]) -> Conversion:
    def lift(wrapped: dict[int, Any] | None) -> object:
        if wrapped is None:
            return None
        ((index, value),) = wrapped.items()
        convert = lifts[index]
        return value if convert is None else convert(value)

    return lift


def _float_of_int(value: int) -> float:
    return float(_int32(value))

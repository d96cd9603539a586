"""Changes that every registry calls compatible and that spoil data all the same.

A registry asks whether bytes can be read, not whether they still mean the same: 1,000 read as `timestamp-micros` is a
millisecond where the writer meant a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from penstock.schemas.building import type_word
from penstock.schemas.nodes import Array, Enum, Field, Fixed, Logical, Map, Node, NoDefault, Primitive, Record, Union


class Change(NamedTuple):
    """A rule of `rules.CHECK_RULES` broken at a JSON path of the new schema."""

    rule: str
    path: str
    message: str


def silent_changes(new: Node, old: Node) -> list[Change]:
    """What changed on the way from `old` to `new` that nobody would be told; empty when nothing."""
    return list(dict.fromkeys(_Comparison().compare(new, old, "$", "the schema")))


class _Comparison:
    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def compare(self, new: Node, old: Node, path: str, what: str) -> Iterator[Change]:
        """Every change of one type; what a registry refuses is not its business."""
        if (id(new), id(old)) in self._seen:
            return
        self._seen.add((id(new), id(old)))
        match new, old:
            case (Union(), _) | (_, Union()):
                yield from self._unions(new, old, path, what)
            case (Array(items=inner), Array(items=before)):
                yield from self.compare(inner, before, f"{path}.items", f"the items of {what}")
            case (Map(values=inner), Map(values=before)):
                yield from self.compare(inner, before, f"{path}.values", f"the values of {what}")
            case ((Primitive() | Fixed()), (Primitive() | Fixed())):
                yield from _logical(new.logical, old.logical, path, what)
            case Enum(), Enum():
                yield from _renamed(new, old, path)
                yield from _order("ENUM_ORDER", "symbols", new.symbols, old.symbols, path, f"enum {new.name}")
            case Record(), Record():
                yield from _renamed(new, old, path)
                yield from self._records(new, old, path)
            case _:
                pass

    def _records(self, new: Record, old: Record, path: str) -> Iterator[Change]:
        before = {field.name: field for field in old.fields}
        matched = {field.name: _match(field, before) for field in new.fields}
        gone = [field for field in old.fields if field not in matched.values()]
        for position, field in enumerate(new.fields):
            here = f"{path}.fields[{position}]"
            known = matched[field.name]
            if known is not None:
                yield from self.compare(field.type, known.type, f"{here}.type", f"field {new.name}.{field.name}")
            elif (past := _past(field, position, gone, old)) is not None:
                told = f"field {past.name} of {new.name} is gone and {field.name} of the same type is in its place"
                advice = f'if it is the same under another name, write "aliases": ["{past.name}"]'
                yield Change("RENAME_WITHOUT_ALIAS", here, f"{told}; {advice}, or what was written under it is lost")
            elif isinstance(field.default, NoDefault):
                told = f"the new field {new.name}.{field.name} has no default, so that older records cannot be read"
                yield Change("FIELD_WITHOUT_DEFAULT", here, f"{told}; give it one, or make it nullable")

    def _unions(self, new: Node, old: Node, path: str, what: str) -> Iterator[Change]:
        after, before = _branches(new), _branches(old)
        aliases = {alias: word for word, node in after.items() for alias in getattr(node, "aliases", ())}
        kept = [word if word in after else aliases.get(word, word) for word in before]
        if isinstance(new, Union) and isinstance(old, Union):
            yield from _order("UNION_ORDER", "branches", [*after], kept, path, f"the union of {what}")
        for word, earlier in zip(kept, before.values(), strict=True):
            if word in after:
                place = f"{path}[{[*after].index(word)}]" if isinstance(new, Union) else path
                yield from self.compare(after[word], earlier, place, what)


def _branches(node: Node) -> dict[str, Node]:
    return {type_word(each): each for each in (node.branches if isinstance(node, Union) else (node,))}


def _logical(new: Logical | None, old: Logical | None, path: str, what: str) -> Iterator[Change]:
    if new != old and not _is_wider(new, old):
        told = f"{what} was {_said(old)} and is {_said(new)}: values written before would mean something else"
        yield Change("LOGICAL_TYPE_SAME", path, f"{told}; add a field with a new name instead")


def _is_wider(new: Logical | None, old: Logical | None) -> bool:
    """Whether a decimal only got room for more digits before the point."""
    if new is None or old is None or new.name != old.name:
        return False
    return new.scale == old.scale and new.precision > old.precision


def _said(logical: Logical | None) -> str:
    if logical is None:
        return "a bare value"
    return f"decimal({logical.precision}, {logical.scale})" if logical.name == "decimal" else logical.name


def _order(rule: str, kind: str, new: Sequence[str], old: Sequence[str], path: str, what: str) -> Iterator[Change]:
    kept = [each for each in old if each in new]
    if [*new[: len(kept)]] != kept:
        told = f"{what} had its {kind} in the order {', '.join(old)}, and now {', '.join(new)}"
        yield Change(rule, path, f"{told}; keep the order and add new ones at the end")


def _renamed(new: Record | Enum, old: Record | Enum, path: str) -> Iterator[Change]:
    if new.name != old.name and old.name not in new.aliases:
        advice = f'write "aliases": ["{old.name}"] on it, or keep the name'
        yield Change("RENAME_WITHOUT_ALIAS", path, f"{old.name} is called {new.name} now; {advice}")


def _match(field: Field, before: dict[str, Field]) -> Field | None:
    return next((before[name] for name in (field.name, *field.aliases) if name in before), None)


def _past(field: Field, position: int, gone: Sequence[Field], old: Record) -> Field | None:
    """The field that this one replaced: gone from the same position, or the only one gone, and of the same type."""
    same_place = old.fields[position] if position < len(old.fields) else None
    candidates = [each for each in gone if each is same_place] or (gone if len(gone) == 1 else [])
    return next((each for each in candidates if _shape(each.type) == _shape(field.type)), None)


def _shape(node: Node) -> object:
    """What makes two types the same at a glance."""
    match node:
        case Array(items=inner) | Map(values=inner):
            return type_word(node), _shape(inner)
        case Union(branches=branches):
            return frozenset(_shape(branch) for branch in branches)
        case Primitive(logical=logical) | Fixed(logical=logical):
            return type_word(node), logical
        case _:
            return type_word(node)

"""A graph in the making: nodes by number, named when all are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from penstock.errors import ConfigurationError
from penstock.state.entry import Entry, entry_store
from penstock.state.spec import StoreSpec
from penstock.topology.node import Node, Operation, Policy, Port


class Way(NamedTuple):
    """One way out of a drafted node."""

    node: int
    port: int = 0


@dataclass(frozen=True, slots=True)
class _Draft:
    operation: Operation
    parents: tuple[Way, ...]
    tables: tuple[int, ...]
    name: str | None
    on_error: Policy | None


class Drafts:
    """What has been said about a pipeline so far.

    Args:
        pipeline: its name, which repartition topics begin with.

    Attributes:
        pipeline: see there.
        problems: what could not even be drafted.
    """

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self.problems: list[str] = []
        self._drafts: list[_Draft] = []

    def add(
        self,
        operation: Operation,
        parents: Sequence[Way] = (),
        *,
        tables: Sequence[int] = (),
        name: str | None = None,
        on_error: Policy | None = None,
    ) -> int:
        """Add a node; its number."""
        self._drafts.append(_Draft(operation, tuple(parents), tuple(tables), name, on_error))
        return len(self._drafts) - 1

    def store(
        self, name: str, key: object, value: object, version: int = 1, upgrade: object = None
    ) -> StoreSpec[object, Entry[object]] | None:
        """A table's store; None, and a problem, where it cannot be."""
        for side, declared in (("key", key), ("value", value)):
            if declared is None:
                self.problems.append(
                    f"table '{name}': what type its {side}s have cannot be told from the stream; "
                    + ("say it by value=" if side == "value" else "state keys are text, bytes or whole numbers")
                )
                return None
        try:
            return entry_store(name, key, value, version, upgrade)  # type: ignore[arg-type]  # checked at run time
        except ConfigurationError as err:
            self.problems.append(str(err))
            return None

    def nodes(self) -> tuple[Node, ...]:
        """The nodes, each with a name: its own, or one made of what it does and a number where that is taken.

        Sources are never numbered: their names become part of the state's.
        """
        taken = {draft.name for draft in self._drafts if draft.name is not None}
        names: list[str] = []
        for draft in self._drafts:
            name = draft.name or draft.operation.suggested_name
            if draft.name is None and draft.parents:
                name = _free(name, taken)
                taken.add(name)
            names.append(name)
        return tuple(
            Node(
                name,
                draft.operation,
                tuple(Port(names[way.node], way.port) for way in draft.parents),
                tuple(names[table] for table in draft.tables),
                draft.on_error,
            )
            for name, draft in zip(names, self._drafts, strict=True)
        )


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name[:60]}-{number}" in taken:
        number += 1
    return f"{name[:60]}-{number}"

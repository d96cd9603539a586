"""What a deploy does: the deployed topology compared with the code's, told change by change.

Pure: two descriptions in, a list out. `penstock plan` prints it, and a worker starts only if nothing in it loses state,
or if that was accepted. What becomes of stores is decided in `fate.py`, since a task that takes over needs that too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.topology.change import MARKS, Change
from penstock.topology.deployment import Deployment, Step
from penstock.topology.store_changes import store_changes
from penstock.topology.topic_changes import partition_changes, sink_changes, source_changes


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deploy does.

    Attributes:
        changes: the worst first; empty where nothing changes.
    """

    changes: tuple[Change, ...]

    @property
    def losses(self) -> tuple[Change, ...]:
        """What has to be accepted."""
        return tuple(change for change in self.changes if change.effect == "loses state")

    @property
    def obstacles(self) -> tuple[Change, ...]:
        """What no flag accepts."""
        return tuple(change for change in self.changes if change.effect == "impossible")

    @property
    def is_safe(self) -> bool:
        """Whether a worker may start without anybody's decision."""
        return not self.losses and not self.obstacles

    def __str__(self) -> str:
        """A line for each, and one more where something is to be done."""
        return "\n".join(map(str, self.changes)) or "✓ nothing changes"


def plan_of(before: Deployment, after: Deployment) -> Plan:
    """Everything that changes when `after` takes over from `before`."""
    changes = [
        *store_changes(before, after),
        *source_changes(before, after),
        *partition_changes(before, after),
        *sink_changes(before, after),
        *_steps(before, after),
    ]
    if not changes and before.fingerprint != after.fingerprint:
        told = (
            "names or order of steps, or how this release describes them; no record and no state is treated otherwise"
        )
        changes = [Change("changes", "harmless", "the description", told)]
    order = list(MARKS)
    return Plan(tuple(sorted(changes, key=lambda change: order.index(change.effect))))


def _steps(before: Deployment, after: Deployment) -> Iterator[Change]:
    """Steps between the topics. Those that are named after their store are told as stores, unless they only moved."""
    old, new = _inner(before), _inner(after)
    added = [name for name, node in new.items() if name not in old and not _is_store(node)]
    removed = [name for name, node in old.items() if name not in new and not _is_store(node)]
    changed = [name for name, node in new.items() if name in old and _form(node) != _form(old[name])]
    if added:
        yield Change("adds", "harmless", _named(added), "records go this way from now on")
    if removed:
        yield Change("removes", "harmless", _named(removed), "records go another way from now on")
    if changed:
        yield Change("changes", "harmless", _named(changed), "another kind, or records from another step")


def _inner(deployment: Deployment) -> dict[str, Step]:
    return {
        node.name: node for group in deployment.groups for node in group.nodes if not node.reads and not node.writes
    }


def _is_store(node: Step) -> bool:
    return not node.tables and any(store.name == node.name for store in node.stores)


def _form(node: Step) -> tuple[object, ...]:
    """What is told here: kind and settings of a step with a store of its own decide about that, and are told there."""
    return node.parents, node.tables, () if _is_store(node) else (node.kind, dict(node.settings))


def _named(names: list[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in sorted(names))
    return f"step {listed}" if len(names) == 1 else f"steps {listed}"

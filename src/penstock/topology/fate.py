"""What becomes of the state that one topology kept when another takes over from it, store by store.

State is kept under two names, the task group's (its changelog) and the store's, in bytes that the types of keys and
values decide. Whatever of that changes, the entries are no longer what the code takes them for.

    kept       goes on as it is
    upgraded   older values go through `upgrade=` when they are read
    rebuilt    a table: its entries are deleted and its topic is read again from the beginning
    dropped    a table that nobody keeps any more, or not as a table: its topic still has everything
    lost       its entries are deleted, and nothing has them but the changelog's past
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from penstock.topology.deployment import Deployment, Group, StoreForm

Fate = Literal["kept", "upgraded", "rebuilt", "dropped", "lost"]
Cause = Literal["same", "version", "gone", "moved", "renamed", "key", "value", "made", "topic"]


@dataclass(frozen=True, slots=True)
class StoreFate:
    """What becomes of one store.

    Attributes:
        group: the task group that kept it.
        store: as it was.
        fate: see above.
        cause: why, as a word.
        detail: what it was and what it is now, in words for a sentence; empty where the cause says it all.
        successor: (task group, store) that goes on with it, or seems to be meant to; None = there is none.
    """

    group: str
    store: StoreForm
    fate: Fate
    cause: Cause
    detail: str = ""
    successor: tuple[str, str] | None = None


def fates(before: Deployment, after: Deployment) -> list[StoreFate]:
    """The fate of every store that was kept before, in its order."""
    return [_fate(before, group, store, after) for group in before.groups for store in group.stores.values()]


def new_stores(before: Deployment, after: Deployment) -> list[tuple[Group, StoreForm]]:
    """Stores that are not what goes on from before, with their groups; those that seem to be renamed ones included."""
    there = {(group.name, name) for group in before.groups for name in group.stores}
    return [
        (group, store)
        for group in after.groups
        for store in group.stores.values()
        if (group.name, store.name) not in there
    ]


@dataclass(frozen=True, slots=True)
class Handover:
    """What one task goes on with when it takes over from another topology.

    Attributes:
        kept: names of the stores whose entries go on. All others are deleted, so that a store that is new, or new
            again, begins empty.
        read_again: topics of tables that begin empty, so that they are read from their beginning.
    """

    kept: frozenset[str]
    read_again: frozenset[str]


def handover(before: Deployment, after: Deployment, group: str) -> Handover:
    """What the tasks of a group go on with whose changelog was last written by `before`."""
    kept = frozenset(
        fate.store.name for fate in fates(before, after) if fate.group == group and fate.fate in {"kept", "upgraded"}
    )
    there = after.group(group)
    tables = {} if there is None else there.tables
    return Handover(kept, frozenset(topic.name for store, topic in tables.items() if store not in kept))


def _fate(before: Deployment, group: Group, store: StoreForm, after: Deployment) -> StoreFate:
    there = after.group(group.name)
    now = there.stores.get(store.name) if there is not None else None
    was_table = store.name in group.tables
    if there is None or now is None:
        successor = _successor(before, group, store, after)
        cause: Cause = "gone"
        if successor is not None:
            cause = "moved" if successor[1] == store.name else "renamed"
        return StoreFate(group.name, store, "dropped" if was_table else "lost", cause, successor=successor)
    here = (group.name, store.name)
    cause, detail = _difference(group, store, there, now)
    if cause in {"same", "version"}:
        return StoreFate(group.name, store, "kept" if cause == "same" else "upgraded", cause, detail, here)
    fate: Fate = "lost"
    if was_table:
        fate = "rebuilt" if now.name in there.tables else "dropped"
    return StoreFate(group.name, store, fate, cause, detail, here)


def _difference(group: Group, store: StoreForm, there: Group, now: StoreForm) -> tuple[Cause, str]:
    """Why a store of the same name is not the same store, the worst first."""
    topic, topic_now = group.tables.get(store.name), there.tables.get(store.name)
    if store.key != now.key:
        return "key", f"{store.key} before, {now.key} now"
    if (topic is None) != (topic_now is None) or _makers(group, store) != _makers(there, now):
        return "made", f"{_made(group, store)} before, {_made(there, now)} now"
    if topic is not None and topic_now is not None and topic.name != topic_now.name:
        return "topic", f"topic {topic.name} before, {topic_now.name} now"
    if now.version != store.version:
        is_newer = now.version > store.version
        return "version" if is_newer else "value", f"version {store.version} before, {now.version} now"
    if store.shape == now.shape:
        return "same", ""
    told = f"{store.value} before, {now.value} now"
    return "value", told if store.value != now.value else f"{now.value} with other fields"


def _makers(group: Group, store: StoreForm) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """What writes a store: kinds and settings. A node that only looks things up in a table does not."""
    return {
        (node.kind, tuple(sorted(node.settings.items())))
        for node in group.nodes
        if node.reads is None and not node.tables and store.name in {each.name for each in node.stores}
    }


def _made(group: Group, store: StoreForm) -> str:
    if store.name in group.tables:
        return f"a table of topic {group.tables[store.name].name}"
    told = sorted(
        " ".join([kind, *(f"{name} {value}" for name, value in settings)]) for kind, settings in _makers(group, store)
    )
    return f"made by {' and '.join(told)}"


def _successor(before: Deployment, group: Group, store: StoreForm, after: Deployment) -> tuple[str, str] | None:
    """Where a store that is gone has probably gone to.

    A store of its name in another group; else the only new one of its group, or of all groups, with keys and values of
    the same form, unless another store that is gone fits as well.
    """
    new = [(there, each) for there, each in new_stores(before, after) if _fits(store, each)]
    same_name = [(there.name, each.name) for there, each in new if each.name == store.name]
    if same_name:
        return same_name[0]
    here = [(there, each) for there, each in new if there.name == group.name] or new
    rivals = [old for old in _gone(before, after) if _fits(old, store)]
    if len(here) != 1 or len(rivals) != 1:
        return None
    return here[0][0].name, here[0][1].name


def _gone(before: Deployment, after: Deployment) -> Iterator[StoreForm]:
    for group in before.groups:
        there = after.group(group.name)
        yield from (store for name, store in group.stores.items() if there is None or name not in there.stores)


def _fits(store: StoreForm, other: StoreForm) -> bool:
    return (store.key, store.shape) == (other.key, other.shape)

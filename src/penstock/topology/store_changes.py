"""What a deploy does to stores and tables, in words; what becomes of each is decided in `fate.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from penstock.topology.change import Change, Verb
from penstock.topology.deployment import Deployment
from penstock.topology.fate import Cause, StoreFate, fates, new_stores


def store_changes(before: Deployment, after: Deployment) -> Iterator[Change]:
    """A line for each store that does not just go on, and for each new one."""
    found = fates(before, after)
    for fate in found:
        match fate.fate:
            case "lost":
                yield _lost(fate)
            case "upgraded":
                told = f"{fate.detail}; older values are upgraded when they are read"
                yield Change("upgrades", "harmless", f"store '{fate.store.name}'", told)
            case "rebuilt" | "dropped":
                yield _table(fate)
            case "kept":
                pass
    meant = {fate.successor for fate in found if fate.fate == "lost"}
    for group, store in new_stores(before, after):
        if store.name in group.tables:
            told = f"it is read from the beginning of topic '{group.tables[store.name].name}'"
            yield Change("adds", "harmless", f"table '{store.name}'", told)
        elif (group.name, store.name) not in meant:
            yield Change("adds", "harmless", f"store '{store.name}'", "it begins empty, behind what is read already")


def _table(fate: StoreFate) -> Change:
    """A table loses nothing, since its topic has everything; reading that again takes its time."""
    what = f"table '{fate.store.name}'"
    if fate.fate == "rebuilt":
        return Change("rebuilds", "harmless", what, f"{fate.detail}; it is read again from the beginning of its topic")
    if fate.successor is None:
        return Change("removes", "harmless", what, "it is kept no more; its topic still has everything")
    if fate.cause in {"renamed", "moved"}:
        group, name = fate.successor
        return Change("renames", "harmless", what, f"it seems to be '{name}' of task group '{group}' now")
    return Change("remakes", "harmless", what, f"{fate.detail}; its topic still has everything that the table had")


_LOST: Final[dict[Cause, tuple[Verb, str, str]]] = {
    "renamed": (
        "renames",
        "it seems to be '{now}' now; its entries stay under the old name, and '{now}' begins empty",
        "give it its old name back, '{store}'",
    ),
    "moved": (
        "renames",
        "its task group '{group}' seems to be '{group_now}' now; its entries stay in the old changelog",
        "a task group is named after the first stream it reads: give that stream name='{group}'",
    ),
    "key": (
        "re-keys",
        "{detail}; what is stored cannot be found under the new keys",
        "keep the key type; the new one can go into a store of another name beside it",
    ),
    "value": (
        "reshapes",
        "{detail}; what is stored may not fit",
        "declare it with version={next} and an upgrade= that takes the older values",
    ),
    "made": (
        "remakes",
        "{detail}; what is stored means something else than what the code would take it for",
        "bring back the step as it was; the new one can go beside it under another name",
    ),
    "gone": ("orphans", "the code keeps it no more", "bring it back if it is still needed"),
}


def _lost(fate: StoreFate) -> Change:
    verb, told, advice = _LOST[fate.cause]
    group_now, now = fate.successor or (fate.group, fate.store.name)
    words = {
        "store": fate.store.name,
        "group": fate.group,
        "now": now,
        "group_now": group_now,
        "detail": fate.detail,
        "next": fate.store.version + 1,
    }
    return Change(verb, "loses state", f"store '{fate.store.name}'", told.format(**words), advice.format(**words))

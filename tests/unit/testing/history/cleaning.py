"""Clean histories, some of them after a cleaner."""

from __future__ import annotations

from random import Random
from typing import Any

from penstock.testing.history import History, Model
from penstock.testing.history.log import parts
from penstock.testing.segments import Fate
from tests.unit.testing.history.miniature import Play


def clean(model: Model, seed: int) -> History:
    """A history without a fault, sometimes after a cleaner."""
    history = Play(model, seed).run()
    if seed % 3 == 0:
        compact(history, Random(seed), with_offsets=len(model.stages[0].sources) == 1)
    return history


def compact(history: History, random: Random, *, with_offsets: bool) -> None:
    """What a cleaner does to changelogs, group offsets and compacted outputs: older values go, some tails are left."""
    history.compacted = frozenset({"out"})
    for place, log in history.logs.items():
        if place.topic.endswith(".changelog") or place.topic == "out":
            _clean(log, random, lambda entry: entry.record.key)
    if with_offsets:
        _clean(history.offsets, random, lambda entry: entry.source)


def _clean(log: Any, random: Random, key_of: Any) -> None:
    """Aborted data goes, and older values of a key, in front of an open transaction and of the active segment."""
    found = parts(log)
    stable = min((part.entries[0].offset for part in found if part.fate is Fate.OPEN), default=log.next_offset)
    end = random.randint(0, stable)
    latest: dict[Any, int] = {}
    for part in found:
        if part.fate is Fate.COMMITTED:
            for entry in part.entries:
                if entry.offset < end:
                    latest[key_of(entry)] = max(latest.get(key_of(entry), -1), entry.offset)
    gone = {
        entry.offset
        for part in found
        for entry in part.entries
        if entry.offset < end
        and (part.fate is Fate.ABORTED or (part.fate is Fate.COMMITTED and latest[key_of(entry)] != entry.offset))
    }
    if gone:
        log.entries = [entry for entry in log.entries if entry.offset not in gone]
        log.has_gaps = True

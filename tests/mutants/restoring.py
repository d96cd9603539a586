"""Breakages of how a task comes back: what is read of its changelog, where it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from penstock.runtime.inheritance import Inheritance
from penstock.runtime.merge import Partition
from penstock.runtime.restore import Restore, Restored
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.replay import Replay
from penstock.testing.history import Kind
from tests.mutants.mutant import Needs, mutant

Patches = pytest.MonkeyPatch


def without_digest(patches: Patches) -> None:
    """The second guard of every restore."""
    patches.setattr(Replay, "digest_fits", lambda _self: True)


def without_comparison(patches: Patches) -> None:
    """The third: commit record and offsets say the same."""
    patches.setattr(Inheritance, "_compare", lambda _self, _record, _recorded, _spoken_of: None)


@mutant(
    "one record short",
    "leaves the last change out of a restored state, and does not look at the digest",
    Needs.TAKEOVER | Needs.STATE,
    Kind.STALE_RESTORE,
)
def _(patches: Patches) -> None:
    feed = Replay.feed

    def later(self: Replay, keys: Sequence[Any], values: Sequence[Any], offsets: Sequence[int]) -> None:
        held: Any = vars(self).setdefault("held", [])
        for row in zip(keys, values, offsets, strict=True):
            if row[0] != COMMIT_RECORD_KEY:
                held.append(row)
            else:
                feed(self, [row[0]], [row[1]], [row[2]])
        while len(held) > 1:
            key, value, offset = held.pop(0)
            after = self.next_offset
            feed(self, [key], [value], [offset])
            self.next_offset = max(after, self.next_offset)

    without_digest(patches)
    patches.setattr(Replay, "feed", later)


@mutant(
    "restore to the last stable offset",
    "takes a changelog for read where nothing more is shown, though a transaction is open there; nothing is compared",
    Needs.CRASH | Needs.TAKEOVER | Needs.STATE,
    Kind.STALE_RESTORE,
    Kind.DUPLICATE,
    Kind.OFFSET_REGRESSION,
)
def _(patches: Patches) -> None:
    read = Restore._read

    def to_what_is_shown(self: Restore, changelog: Any) -> bool:
        before = self._position
        is_over = read(self, changelog)
        return is_over or self._position == before

    without_comparison(patches)
    patches.setattr(Restore, "_read", to_what_is_shown)


@mutant(
    "end before offsets",
    "asks for the end of the changelog before it asks for the group's offsets; the two are not compared",
    Needs.TAKEOVER | Needs.ZOMBIE | Needs.STATE,
    Kind.STALE_RESTORE,
)
def _(patches: Patches) -> None:
    step = Restore.step

    def turned(self: Restore) -> Restored | None:
        if self._committed is None and self._changelog is not None:
            changelog: Any = self._changelog
            marks = changelog.watermarks()
            changelog.watermarks = lambda: marks
        return step(self)

    without_comparison(patches)
    patches.setattr(Restore, "step", turned)


@mutant(
    "start position skips",
    "begins some records behind the first in a partition that the group never read",
    Needs.NOTHING,
    Kind.LOST,
)
def _(patches: Patches) -> None:
    positions = Inheritance._group_positions

    def further(self: Inheritance) -> dict[Partition, int]:
        found = positions(self)
        return {place: offset if place in self._committed else offset + 3 for place, offset in found.items()}

    patches.setattr(Inheritance, "_group_positions", further)

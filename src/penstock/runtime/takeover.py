"""Ending what a dead worker left open, so that nobody waits for its transaction's time-out.

A worker that dies leaves its last transaction open: its offsets cannot be read, its changelog not to the end, and
readers of its outputs stand still. A producer with its `transactional.id` ends that at once. Doing so to a live worker
would undo its work, so three things must hold:

1. something waits: the offsets of a task that is being restored are pending, its changelog has an open transaction, or
   what this pipeline writes has one that does not move
2. the id is that of a worker of this group: it stands in the group's offsets, or in a commit record of the changelog
3. the group has no member of this name, as the coordinator says in an answer that has ourselves in it: one without us
   is about a group that has moved on

What is not known by these (a worker that dies in its very first transaction, without state) is left to the time-out.

```
          a restore begins, or waits            answers            evidence and dead writers
 (idle) ──────────────────────────────► looking ────────► judging ───────────────────────────► fencing ──► looking
    ▲                                      ▲                 │ open since the first look
    │                                      └─────────────────┤
    └────────────────────────────────────────────────────────┘ all that was written before is closed
```

Nothing here waits: each step sends, looks whether an answer has come, or gives a handle a few milliseconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from penstock.clock import Clock
from penstock.errors import PenstockError, Retriable
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent
from penstock.kafka.group_members import GroupMember
from penstock.kafka.group_view import Answer
from penstock.kafka.polled import Partition
from penstock.protocols import TransactionalProducer, TransactionHooks
from penstock.runtime.task import TaskId
from penstock.state.offset_metadata import parse

LOGGER = logging.getLogger("penstock.runtime")

LOOK_AGAIN_S = 0.25
FENCE_AGAIN_S = 5.0
_MEMORY_S = 10.0
_SLICE_S = 0.02
_AT_ONCE = 8


class View(Protocol):
    """What the brokers say; `kafka.group_view.GroupView` on a real cluster."""

    def members(self) -> Answer[tuple[GroupMember, ...]]:
        """Who is in the group."""
        ...

    def last_offsets(self, partitions: Sequence[Partition]) -> Answer[Mapping[Partition, Committed]]:
        """What was last committed, whatever is pending behind it."""
        ...

    def extents(self, partitions: Sequence[Partition]) -> Answer[Mapping[Partition, Extent]]:
        """Where partitions begin and end."""
        ...


class Waiting(Protocol):
    """A restore, as far as a takeover is concerned."""

    @property
    def task_id(self) -> TaskId:
        """Whose."""
        ...

    @property
    def has_unstable_offsets(self) -> bool:
        """Whether a pending transaction holds its offsets."""
        ...

    @property
    def is_held_up(self) -> bool:
        """Whether it waits for something."""
        ...


class Tail(Protocol):
    """Reads what is not committed at the end of a changelog partition."""

    def writers(self) -> Collection[str] | None:
        """Who wrote the commit records there; None while it is being read."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(slots=True)
class _Look:
    members: Answer[tuple[GroupMember, ...]]
    offsets: Answer[Mapping[Partition, Committed]]
    extents: Answer[Mapping[Partition, Extent]]


class Takeover:
    """Ends transactions of dead workers; to be stepped by the worker's loop.

    Args:
        view: what the brokers say.
        connect: makes a handle with a given `transactional.id`.
        tail: reads what is not committed in a changelog partition, from an offset up to another.
        writer: our own `transactional.id`.
        reads: every partition that the pipeline reads.
        writes: every partition that it writes: outputs, changelogs, dead letters.
        changelog_of: the changelog topic of a task; None where it has none.
        clock: time.
        hooks: told before a worker is fenced.
    """

    def __init__(
        self,
        view: View,
        connect: Callable[[str], TransactionalProducer],
        tail: Callable[[Partition, Extent], Tail],
        *,
        writer: str,
        reads: Sequence[Partition],
        writes: Sequence[Partition],
        changelog_of: Callable[[TaskId], str | None],
        clock: Clock,
        hooks: TransactionHooks,
    ) -> None:
        self._view = view
        self._connect = connect
        self._tail = tail
        self._writer = writer
        self._reads = reads
        self._writes = writes
        self._changelog_of = changelog_of
        self._clock = clock
        self._hooks = hooks
        self._look: _Look | None = None
        self._look_at_s = 0.0
        self._has_begun = False
        self._before: Mapping[Partition, Extent] = {}
        self._to_close: dict[Partition, int] = {}
        self._tails: dict[Partition, Tail] = {}
        self._writers: dict[str, float] = {}
        self._handles: dict[str, TransactionalProducer] = {}
        self._fenced_at_s: dict[str, float] = {}

    @property
    def is_at_work(self) -> bool:
        """Whether there is something to find out or to end."""
        return self._look is not None or self._has_begun or bool(self._handles or self._tails or self._to_close)

    def begin(self) -> None:
        """A task is on its way to us: what its owner before has written may be open."""
        self._has_begun = True

    def note(self, writers: Collection[str]) -> None:
        """A task has come to us from these; our claim is about to take their place in the group's offsets."""
        self._writers |= dict.fromkeys(writers, self._clock.monotonic_s())

    def step(self, restoring: Collection[Waiting], member_id: str) -> None:
        """Do a little.

        Args:
            restoring: the tasks that are on their way back.
            member_id: our own, as of now.
        """
        if self._handles:
            self._fence_a_little()
            return
        if self._tails:
            self._read_tails()
            return
        now_s = self._clock.monotonic_s()
        if self._look is None and not self._begin_look(restoring, now_s):
            return
        self._take_look(restoring, member_id, now_s)

    def _begin_look(self, restoring: Collection[Waiting], now_s: float) -> bool:
        waits = bool(self._to_close) or any(restore.is_held_up for restore in restoring)
        if not (self._has_begun or (waits and now_s >= self._look_at_s)):
            return False
        if self._has_begun:
            self._has_begun = False
            if not self._to_close:  # all that those of earlier times can have left open is closed
                self._writers = {w: at_s for w, at_s in self._writers.items() if now_s - at_s < _MEMORY_S}
            self._to_close = dict.fromkeys(self._writes, -1)  # the first look says up to where
        self._look = _Look(self._view.members(), self._view.last_offsets(self._reads), self._view.extents(self._writes))
        return True

    def _take_look(self, restoring: Collection[Waiting], member_id: str, now_s: float) -> None:
        assert self._look is not None  # noqa: S101 - set by _begin_look
        try:
            members, offsets = self._look.members.get(), self._look.offsets.get()
            extents = self._look.extents.get()
        except Retriable as exc:
            LOGGER.debug("takeover: %s", exc)
            self._look, self._look_at_s = None, now_s + LOOK_AGAIN_S
            return
        if members is None or offsets is None or extents is None:
            return
        self._look, self._look_at_s = None, now_s + LOOK_AGAIN_S
        if any(member.member_id == member_id for member in members):
            self._judge(restoring, {member.client_id for member in members}, offsets, extents)

    def close(self) -> None:
        """Let go of every connection; what was begun may be left half done."""
        for handle in self._handles.values():
            handle.close()
        for tail in self._tails.values():
            tail.close()
        self._handles.clear()
        self._tails.clear()

    # ------------------------------------------------------------ judging

    def _judge(
        self,
        restoring: Collection[Waiting],
        live: set[str],
        offsets: Mapping[Partition, Committed],
        extents: Mapping[Partition, Extent],
    ) -> None:
        stuck = self._stuck(restoring, extents)
        held_up = any(restore.has_unstable_offsets for restore in restoring)
        still = self._standing_still(extents)
        self._before = extents
        self._note_what_is_to_close(extents)
        told = (parse(committed.metadata) for committed in offsets.values())
        self.note({metadata.writer for metadata in told if metadata is not None})
        LOGGER.debug(
            "takeover: live %s, known %s, stuck %s, held up %s, standing still %s, to close %s",
            sorted(live),
            sorted(self._writers),
            stuck,
            held_up,
            still,
            sorted(self._to_close),
        )
        if not (stuck or held_up or still):
            return
        dead = self._writers.keys() - live - {self._writer}
        now_s = self._clock.monotonic_s()
        to_fence = [w for w in sorted(dead) if now_s - self._fenced_at_s.get(w, -FENCE_AGAIN_S) >= FENCE_AGAIN_S]
        if to_fence:
            for name in to_fence[:_AT_ONCE]:
                LOGGER.warning(
                    "worker '%s' has left the group, and a transaction is open: ending what it has begun", name
                )
                self._hooks.on_step("takeover")
                self._fenced_at_s[name] = now_s
                self._handles[name] = self._connect(name)
        elif stuck:
            # Nobody whom the offsets name: somebody who died before its first commit, in its claim.
            self._tails = {place: self._tail(place, extents[place]) for place in stuck}

    def _stuck(self, restoring: Collection[Waiting], extents: Mapping[Partition, Extent]) -> list[Partition]:
        """Changelog partitions of tasks on their way back with an open transaction: nobody else may write there."""
        places = [(self._changelog_of(restore.task_id) or "", restore.task_id.partition) for restore in restoring]
        return [place for place in places if place in extents and extents[place].is_open]

    def _standing_still(self, extents: Mapping[Partition, Extent]) -> bool:
        """Whether an open transaction is where it was at the last look; those of live workers end in between."""
        return any(
            extent.is_open and place in self._before and self._before[place].last_stable == extent.last_stable
            for place, extent in extents.items()
            if extent.last_stable < self._to_close.get(place, 0)
        )

    def _note_what_is_to_close(self, extents: Mapping[Partition, Extent]) -> None:
        ends = {p: extents[p].high_watermark if end < 0 else end for p, end in self._to_close.items()}
        self._to_close = {place: end for place, end in ends.items() if extents[place].last_stable < end}

    # ------------------------------------------------------------ fencing

    def _fence_a_little(self) -> None:
        for name, handle in list(self._handles.items()):
            try:
                handle.init_transactions(_SLICE_S)
            except Retriable:
                continue
            except PenstockError as exc:
                LOGGER.warning("the transaction of worker '%s' is left to its time-out: %s", name, exc)
            else:
                LOGGER.info("worker '%s': nothing of it is open any more", name)
            handle.close()
            del self._handles[name]
            self._look_at_s = self._clock.monotonic_s()

    def _read_tails(self) -> None:
        for place, tail in list(self._tails.items()):
            writers = tail.writers()
            if writers is None:
                continue
            self.note(writers)
            tail.close()
            del self._tails[place]
            self._look_at_s = self._clock.monotonic_s()

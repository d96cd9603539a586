"""The attempt ledger: finding the record that kills the process (a crash in native code, too little memory).

Or that holds it up for so long that a timer kills it (`hang_timer.py`).

No exception tells which record it was. So a worker notes each batch in a file of its own before it touches it, and
notes when it has survived it. The file is removed when the worker ends, however it ends by itself. One that finds it
there had a predecessor that died, and knows what that one had in hand:

1. It runs the records up to the end of that batch one at a time, each noted by itself.
2. Should it die again, one record has a death to its name.
3. At `MAX_DEATHS` the record is not run again: its policy decides, and its dead letter says why.

The record goes from worker to worker, for each death gives its partition away. So the workers of one place read each
other's files: what one had in hand when it died is suspect for all, and the deaths of all count.

What is written survives the process without being synced: it is in the kernel's hands. After a crash of the machine
the file may be old or gone, and a death is not counted.
"""

from __future__ import annotations

import os
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec

from penstock.batch import SourceBatch
from penstock.runtime.hang_timer import HangTimer
from penstock.runtime.merge import Partition
from penstock.runtime.verdict import Place, Verdict

MAX_DEATHS: Final = 3
_ROOM_BYTES: Final = 512
_LOOK_EVERY_S: Final = 1.0


class _Span(NamedTuple):
    """Records that were in hand: both offsets are those of a record."""

    topic: str
    partition: int
    first: int
    last: int


class _Noted(msgspec.Struct):
    """What the file holds, as JSON with blanks behind it.

    Attributes:
        in_hand: what was touched last and not survived yet; None = nothing.
        deaths: how often a process died on a record alone in its batch, as pairs.
        suspects: what was in hand when processes died, and is not dealt with yet.
    """

    in_hand: _Span | None = None
    deaths: list[tuple[Place, int]] = []
    suspects: list[_Span] = []


class AttemptLedger:
    """The ledger of one worker. Use it as a context manager: leaving it says that the process has not died.

    Args:
        file: of this worker alone; those of other workers of the place are named as it is but for the last number.
        timer: ends the process when what is in hand does not come back; None = nothing does.
        monotonic_s: a clock.
    """

    def __init__(
        self, file: Path, timer: HangTimer | None = None, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = file
        self._timer = timer or HangTimer(None)
        self._monotonic_s = monotonic_s
        self._suspects: list[_Span] = []
        self._deaths: dict[Place, int] = {}
        self._of_others: list[_Span] = []
        self._deaths_of_others: Tally[Place] = Tally()
        self._seen: set[Partition] = set()
        self._look_at_s = 0.0
        self._descriptor = -1
        self._size_bytes = 0
        self._is_in_hand = False
        self._is_to_blame = False

    def __enter__(self) -> Self:
        """Look what the predecessor left, and begin."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._file.exists():
            noted = _read(self._file)
            self._deaths = dict(noted.deaths)
            self._suspects = noted.suspects
            if noted.in_hand is not None:
                topic, partition, first, last = noted.in_hand
                self._suspects.append(noted.in_hand)
                if first == last:
                    place = (topic, partition, first)
                    self._deaths[place] = self._deaths.get(place, 0) + 1
            alone = [_Span(topic, partition, offset, offset) for topic, partition, offset in self._deaths]
            self._suspects = list(dict.fromkeys([*self._suspects, *alone]))
        # Not emptied first: whoever dies in between would forget the deaths before.
        self._descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size_bytes = os.fstat(self._descriptor).st_size
        self._write(None)
        self._timer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """The process lives: nothing that it did has killed it."""
        self._timer.__exit__(kind, exc, tb)
        os.close(self._descriptor)
        if not self._is_to_blame:
            self._file.unlink(missing_ok=True)

    def max_records(self, next_offsets: Mapping[Partition, int]) -> int | None:
        """How many records a task's next batch may have, so that what is suspect runs alone; None = as usual.

        Args:
            next_offsets: of the task.
        """
        self._look_around(next_offsets)
        if any(next_offsets.get((span.topic, span.partition), span.last + 1) <= span.last for span in self._of_others):
            return 1
        if not self._suspects:
            return None
        left = [
            (span, next_offsets[span.topic, span.partition])
            for span in self._suspects
            if (span.topic, span.partition) in next_offsets
        ]
        for span, offset in left:
            if offset > span.last:
                self._suspects.remove(span)
        # One at a time from here on already: how many records stand in front of a suspect nobody knows, for offsets
        # have gaps. It is a transaction's worth at most.
        return 1 if any(offset <= span.last for span, offset in left) else None

    def verdict(self, batch: SourceBatch) -> Verdict | None:
        """What is known of the record, alone in its batch; None = run it."""
        if len(batch) > 1 or not (self._deaths or self._deaths_of_others):
            return None
        place = (batch.topic, batch.partition, batch.offsets[0])
        deaths = self._deaths.get(place, 0) + self._deaths_of_others[place]
        return Verdict(deaths=deaths) if deaths >= MAX_DEATHS else None

    def begin(self, batch: SourceBatch) -> None:
        """These records are about to be touched."""
        self._write(_Span(batch.topic, batch.partition, batch.offsets[0], batch.offsets[-1]))
        self._timer.start()

    def end(self) -> None:
        """The process has survived what it touched, if it touched anything."""
        if self._is_in_hand and not self._is_to_blame:
            self._timer.stop()
            self._write(None)

    def blame(self) -> None:
        """The process ends for what it has in hand, though it lives to see it: that counts as a death."""
        self._is_to_blame = True

    def _look_around(self, next_offsets: Mapping[Partition, int]) -> None:
        """What others of this place have died on: now and then, and where partitions come that may have been theirs.

        One of them that lives has something in hand as well, but of partitions that are not ours.
        """
        now_s = self._monotonic_s()
        if now_s < self._look_at_s and next_offsets.keys() <= self._seen:
            return
        self._look_at_s = now_s + _LOOK_EVERY_S
        self._seen.update(next_offsets)
        self._of_others, self._deaths_of_others = [], Tally()
        place, _, _ = self._file.stem.rpartition(".")
        for file in self._file.parent.glob(f"{place}.*.json"):
            if file == self._file:
                continue
            noted = _read(file)
            self._deaths_of_others.update(dict(noted.deaths))
            self._of_others += noted.suspects
            if noted.in_hand is not None:
                topic, partition, first, last = noted.in_hand
                self._of_others.append(noted.in_hand)
                if first == last:  # it will say so itself, when it is started again
                    self._deaths_of_others[topic, partition, first] += 1

    def _write(self, in_hand: _Span | None) -> None:
        self._is_in_hand = in_hand is not None
        data = msgspec.json.encode(_Noted(in_hand, list(self._deaths.items()), self._suspects))
        # Blanks over what was there before: one call, so that there is no moment with half of each.
        self._size_bytes = max(self._size_bytes, _ROOM_BYTES, len(data))
        os.pwrite(self._descriptor, data.ljust(self._size_bytes), 0)


def _read(file: Path) -> _Noted:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Noted)
    except (FileNotFoundError, msgspec.DecodeError):  # ended meanwhile; or cut short by the machine: it is not counted
        return _Noted()

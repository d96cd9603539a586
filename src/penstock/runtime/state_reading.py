"""Reading a changelog partition for its own sake, while a worker may be at work on it.

1. the high watermark, as a read_uncommitted client sees it: what is committed by now lies below it
2. everything up to it, read_committed; what a transaction that is open there hides was not committed, so after a while
   it is not waited for any longer
3. the digest of the last commit. If it differs, the log may have been compacted under the reader: a record was taken
   away because a later one, behind the mark, has replaced it. So reading goes on to the mark as it is by then. A state
   that differs when nothing more is there is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from penstock.clock import Clock
from penstock.errors import KafkaUnavailable, ServerUnreachable
from penstock.kafka.reader import RawRecord, Watermarks
from penstock.state.committed_view import CommittedView

OPEN_TRANSACTION_S: Final = 3.0
"""So long is a transaction waited for: longer than a live worker's takes, shorter than anybody's patience."""
STALL_S: Final = 30.0
ROUNDS: Final = 10
_PAUSE_S: Final = 0.1


class RecordReader(Protocol):
    """Reads one changelog partition, record by record; what a reader shows has the time of the last commit in it."""

    def watermarks(self) -> Watermarks:
        """First offset and high watermark, the latter as a read_uncommitted client sees it."""
        ...

    def start(self, offset: int) -> None:
        """Read from here on, read_committed."""
        ...

    def poll(self) -> list[RawRecord]:
        """The next records; empty when none came within a slice."""
        ...

    def position(self) -> int | None:
        """The next offset, control records stepped over; None before the first fetch."""
        ...


@dataclass(frozen=True, slots=True)
class StateReading:
    """One task's committed state.

    Attributes:
        view: the state and its last commit.
        open_from: an open transaction begins at this changelog offset, and what is behind it was not read; None = there
            is none.
    """

    view: CommittedView
    open_from: int | None = None


def read_state(
    view: CommittedView,
    changelog: RecordReader,
    *,
    stable_end: Callable[[], int],
    clock: Clock,
    on_progress: Callable[[int, int], None],
) -> StateReading:
    """Read one task's committed state.

    Args:
        view: empty.
        changelog: reads the task's partition.
        stable_end: asks for its last stable offset.
        clock: for time-outs.
        on_progress: told offsets read, and offsets to be read.

    Returns:
        The state as of the last commit; `view.is_verified` says whether it is what was committed then.

    Raises:
        ServerUnreachable: nothing moved for half a minute.
        OperatorMustDecide: something else has written there, or a newer release.
    """
    begin, end = _watermarks(changelog, clock)
    position = begin
    if begin < end:
        changelog.start(begin)
    for _ in range(ROUNDS):
        moved_at_s = clock.monotonic_s()
        while position < end:
            view.feed(changelog.poll())
            on_progress(position - begin, end - begin)
            now = changelog.position()
            if now is not None and now > position:
                position, moved_at_s = now, clock.monotonic_s()
                continue
            still_s = clock.monotonic_s() - moved_at_s
            if still_s > OPEN_TRANSACTION_S and stable_end() <= position:
                return StateReading(view, open_from=position)
            if still_s > STALL_S:
                raise ServerUnreachable(
                    f"the changelog stands still at offset {position} of {end} for {still_s:.0f} s: no leader?"
                )
        _, new_end = _watermarks(changelog, clock)
        if view.is_verified or new_end == end:
            break
        end = new_end
    return StateReading(view)


def _watermarks(changelog: RecordReader, clock: Clock) -> tuple[int, int]:
    give_up_at_s = clock.monotonic_s() + STALL_S
    while True:
        try:
            return changelog.watermarks()
        except KafkaUnavailable as exc:
            if clock.monotonic_s() > give_up_at_s:
                raise ServerUnreachable(f"{exc}; gave up after {STALL_S:.0f} s") from exc
            clock.sleep(_PAUSE_S)

"""Reading a changelog beside a worker: not held up by its transactions, not fooled by compaction."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from penstock.errors import KafkaUnavailable, ServerUnreachable
from penstock.kafka.reader import RawRecord, Watermarks
from penstock.runtime.state_reading import OPEN_TRANSACTION_S, StateReading, read_state
from penstock.state.committed_view import CommittedView
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.state.changelog_records import LOG, STATES, A, commit, record


class Changelog:
    """`restore.ChangelogReader` on a list that may change between two polls.

    Attributes:
        records: what is there, transaction markers left out.
        end: high watermark.
        stable: last stable offset; None = the end.
        is_stuck: nothing comes, neither records nor the end.
        between: called before each look at the watermarks, the first excepted.
    """

    def __init__(self, records: list[RawRecord], end: int, clock: ManualClock) -> None:
        self.records, self.end, self.clock = records, end, clock
        self.stable: int | None = None
        self.between: Callable[[], None] = lambda: None
        self.unavailable = 0
        self.is_stuck = False
        self.looks = 0
        self._position: int | None = None

    def stable_end(self) -> int:
        return self.end if self.stable is None else self.stable

    def watermarks(self) -> Watermarks:
        if self.unavailable:
            self.unavailable -= 1
            raise KafkaUnavailable("planted")
        self.looks += 1
        if self.looks > 1:
            self.between()
        return Watermarks(0, self.end)

    def start(self, offset: int) -> None:
        self._position = offset

    def poll(self) -> list[RawRecord]:
        self.clock.now_s += 0.1
        if self.is_stuck:
            return []
        at = self._position or 0
        found = [r for r in self.records if at <= (r.offset or 0) < self.stable_end()][:2]
        self._position = (found[-1].offset or 0) + 1 if found else max(at, self.stable_end())
        return found

    def position(self) -> int | None:
        return self._position

    def close(self) -> None:
        return None


def read(changelog: Changelog) -> StateReading:
    return read_state(
        CommittedView("p.in.changelog", 0),
        changelog,
        stable_end=changelog.stable_end,
        clock=changelog.clock,
        on_progress=lambda *_: None,
    )


def test_everything_that_is_committed_is_read_and_verified() -> None:
    found = read(Changelog(LOG, 13, ManualClock()))
    assert dict(found.view.entries) == STATES[3]
    assert (found.view.is_verified, found.open_from) == (True, None)


def test_a_changelog_without_records_is_an_empty_state() -> None:
    found = read(Changelog([], 0, ManualClock()))
    assert (dict(found.view.entries), found.view.last_commit, found.view.is_verified) == ({}, None, True)


def test_a_mark_within_a_transaction_shows_the_commit_before_it() -> None:
    """Its first records lie below the mark and are committed while they are read, its commit record lies behind."""
    found = read(Changelog(LOG[:-1], 11, ManualClock()))
    assert dict(found.view.entries) == STATES[2]
    assert found.view.is_verified


def test_a_transaction_that_is_left_open_is_not_waited_for_beyond_a_while() -> None:
    changelog = Changelog(LOG, 13, ManualClock())
    changelog.stable = 9
    began_s = changelog.clock.now_s
    found = read(changelog)
    assert (dict(found.view.entries), found.open_from) == (STATES[2], 9)
    assert found.view.is_verified
    assert OPEN_TRANSACTION_S < changelog.clock.now_s - began_s < OPEN_TRANSACTION_S + 1


def test_a_transaction_that_ends_in_time_is_part_of_what_is_shown() -> None:
    changelog = Changelog(LOG, 13, ManualClock())
    changelog.stable = 9
    polls = changelog.poll

    def poll() -> list[RawRecord]:
        if changelog.clock.now_s > 1_001.5:
            changelog.stable = None
        return polls()

    changelog.poll = poll  # type: ignore[method-assign]
    found = read(changelog)
    assert (dict(found.view.entries), found.open_from) == (STATES[3], None)


def test_a_log_that_is_compacted_under_the_reader_is_read_on_until_it_fits() -> None:
    """The record of A is gone because a later one has replaced it, which lies behind the mark of the beginning."""
    compacted = [each for each in LOG[:6] if each.offset not in {2, 5}]
    changelog = Changelog(compacted, 8, ManualClock())

    def write() -> None:
        last = {A: b"3", **{key: value for key, value in STATES[2].items() if key != A}}
        changelog.records = [*compacted, record(9, A, b"3"), commit(10, 4, last)]
        changelog.end = 12

    changelog.between = write
    found = read(changelog)
    assert found.view.is_verified
    assert found.view.last_commit is not None
    assert found.view.last_commit.sequence == 4
    assert found.view.entries[A] == b"3"


def test_a_state_that_is_damaged_is_told_and_not_waited_for() -> None:
    found = read(Changelog([each for each in LOG if each.offset != 10], 13, ManualClock()))
    assert not found.view.is_verified


def test_a_partition_that_stands_still_for_no_reason_ends_with_an_error() -> None:
    changelog = Changelog(LOG, 13, ManualClock())
    changelog.is_stuck = True
    with pytest.raises(ServerUnreachable, match="stands still at offset 0 of 13"):
        read(changelog)


def test_a_broker_that_is_away_for_a_moment_is_asked_again() -> None:
    changelog = Changelog(LOG, 13, ManualClock())
    changelog.unavailable = 2
    assert read(changelog).view.is_verified
    changelog = Changelog(LOG, 13, ManualClock())
    changelog.unavailable = 100_000
    with pytest.raises(ServerUnreachable, match="gave up after 30 s"):
        read(changelog)

"""What a reader of a changelog may show: always the state as of a commit, whole, wherever reading stops."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from penstock.errors import OperatorMustDecide
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.committed_view import CommittedView
from tests.unit.state.changelog_records import LOG, STATES, record


@pytest.mark.parametrize("stop", range(len(LOG) + 1))
@pytest.mark.parametrize("slice_", [1, 2, 100])
def test_wherever_reading_stops_it_is_the_state_of_the_last_commit_and_verified(stop: int, slice_: int) -> None:
    view = CommittedView("p.in.changelog", 0)
    for start in range(0, stop, slice_):
        view.feed(LOG[start : min(start + slice_, stop)])
    commits = [each.offset or 0 for each in LOG[:stop] if each.key == COMMIT_RECORD_KEY]
    assert view.is_verified
    if not commits:
        assert (view.last_commit, view.committed_at, dict(view.entries)) == (None, None, {})
        return
    assert view.last_commit is not None
    assert view.last_commit.sequence == len(commits)
    assert dict(view.entries) == STATES[len(commits) - 1]
    assert view.committed_at == datetime.fromtimestamp(commits[-1], UTC)


def test_a_record_that_is_missing_shows() -> None:
    view = CommittedView("p.in.changelog", 0)
    view.feed([each for each in LOG if each.offset != 6])
    assert not view.is_verified


def test_what_penstock_did_not_write_is_told_by_its_place() -> None:
    view = CommittedView("p.in.changelog", 3)
    with pytest.raises(OperatorMustDecide, match=r"p\.in\.changelog\[3\]@1: a key in the changelog"):
        view.feed([record(1, b"\xff", b"x"), LOG[2]])

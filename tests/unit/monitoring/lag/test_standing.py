"""How a group stands, by what its offsets did in the last cycles."""

from __future__ import annotations

import pytest

from penstock.monitoring.lag.standing import WINDOW, Sample, Status, standing

MOVING_AWAY = [Sample(10 * n, 100 + 5 * n) for n in range(WINDOW)]
COMING_NEARER = [Sample(10 * n, 100 - 5 * n) for n in range(WINDOW)]
STANDING = [Sample(10, 100 + n) for n in range(WINDOW)]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], "uncommitted"),
        ([Sample(10, 0)], "ok"),
        ([Sample(10, 500)], "ok"),
        (MOVING_AWAY, "lagging"),
        (COMING_NEARER, "ok"),
        ([*MOVING_AWAY[:4], Sample(45, 0), *MOVING_AWAY[5:]], "ok"),
        (STANDING, "stalled"),
        (STANDING[1:], "ok"),
        ([Sample(10, n) for n in range(WINDOW)], "ok"),
        ([*STANDING[:-1], Sample(11, 110)], "lagging"),
        ([Sample(10, 100)] * WINDOW, "stalled"),
        ([Sample(10, 0)] * WINDOW, "ok"),
        ([*MOVING_AWAY, Sample(3, 300)], "rewound"),
        ([Sample(4, 96)], "lost"),
    ],
)
def test_the_word_follows_from_commits_and_lag(samples: list[Sample], expected: Status) -> None:
    assert standing(samples, begin=5 if expected == "lost" else 0, is_blocked=False, has_owner=True) == expected


def test_what_stands_still_without_an_owner_has_stopped() -> None:
    assert standing(STANDING, begin=0, is_blocked=False, has_owner=False) == "stopped"


def test_a_group_that_has_read_all_it_may_is_blocked_by_somebody_else() -> None:
    """With lag of its own it is judged by that: an open transaction is no excuse."""
    assert standing([Sample(10, 0)], begin=0, is_blocked=True, has_owner=True) == "blocked"
    assert standing(STANDING, begin=0, is_blocked=True, has_owner=True) == "stalled"

"""How a group stands on a partition, judged over the last cycles; pure.

The rules are Burrow's, on the lag that the group can do something about: what an open transaction keeps from a
read_committed group is the producer's affair and has a word of its own, `blocked`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple, get_args

Status = Literal["ok", "lagging", "stalled", "stopped", "rewound", "blocked", "lost", "uncommitted"]

STATUSES: Final[tuple[Status, ...]] = get_args(Status)
WINDOW: Final = 10
"""Cycles that are judged together."""


class Sample(NamedTuple):
    """One cycle: the committed offset, and the effective lag."""

    committed: int
    lag: int


def standing(samples: Sequence[Sample], *, begin: int, is_blocked: bool, has_owner: bool) -> Status:
    """The word.

    Args:
        samples: of the last cycles, the newest last; at most `WINDOW` of them count. None = no commit is known.
        begin: where the partition's log begins now.
        is_blocked: whether the last stable offset stands still below a high watermark that moves.
        has_owner: whether some member of the group has the partition.
    """
    if not samples:
        return "uncommitted"
    samples = samples[-WINDOW:]
    now = samples[-1]
    if now.committed < begin:
        return "lost"
    if len(samples) > 1 and now.committed < samples[-2].committed:
        return "rewound"
    if now.lag == 0:
        return "blocked" if is_blocked else "ok"
    return _behind(samples, has_owner=has_owner)


def _behind(samples: Sequence[Sample], *, has_owner: bool) -> Status:
    now = samples[-1]
    # Caught up at some moment of the window, or not looked at for long enough: nothing to worry about yet.
    if len(samples) < WINDOW or any(sample.lag == 0 for sample in samples):
        return "ok"
    stands_still = samples[0].committed == now.committed
    if stands_still:
        return "stalled" if has_owner else "stopped"
    never_less = all(after.lag >= before.lag for before, after in pairwise(samples))
    return "lagging" if never_less and now.lag > samples[0].lag else "ok"

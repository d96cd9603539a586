"""What a run would do, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from penstock.deadletter.dead_letter import DeadLetter
from penstock.redrive.ledger import FATE_OF, Action, Ledger
from penstock.redrive.original import Route
from penstock.redrive.selection import Readable, Selection

MAX_SAMPLES: Final = 10


@dataclass(slots=True)
class Plan:
    """Counts, and where the first few letters stand.

    Attributes:
        letters: that would be dealt with.
        targets: {topic: records that would be written}.
        held: {why: letters that would stay as they are}.
        done: letters that are selected and dealt with already.
        samples: `(letter, where to)` of the first.
    """

    letters: int = 0
    targets: Counter[str] = field(default_factory=Counter[str])
    held: Counter[str] = field(default_factory=Counter[str])
    done: int = 0
    samples: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def plan_of(
    action: Action,
    letters: Iterable[list[DeadLetter]],
    ledger: Ledger,
    selection: Selection,
    readable: Readable,
    route: Route | None,
    *,
    now_ms: int,
    limit: int | None = None,
) -> Plan:
    """What the run would come to now, with the edit function called.

    Raises:
        OperatorMustDecide: the edit function failed.
    """
    plan = Plan()
    is_reopening = FATE_OF[action] == "open"
    for letter in chain.from_iterable(letters):
        if limit is not None and plan.letters >= limit:
            break
        if not selection.holds(letter, readable):
            continue
        if (ledger.fate(letter.partition, letter.offset) == "open") == is_reopening:
            plan.done += 1
            continue
        found = None if route is None else route.outgoing(letter, now_ms)
        if isinstance(found, str):
            plan.held[found] += 1
            continue
        plan.letters += 1
        to = ""
        if found is not None:
            to = found.topic if found.partition < 0 else f"{found.topic}[{found.partition}]"
            plan.targets[found.topic] += 1
        if len(plan.samples) < MAX_SAMPLES:
            plan.samples.append((str(letter), to))
    return plan

"""One fault after the other; what fired, what was over, who was told, which panels were filled by it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from penstock.monitoring.shipped.rules import ALERTS
from tests.broker.harness.victims import until
from tests.servers.live.faults import FAULTS, Fault
from tests.servers.live.watch import FIRING, Key, Watch, whose
from tests.servers.live.works import Works, until_all_at_work
from tests.servers.shipped_queries import EMPTY_WHILE_ALL_IS_WELL, PANELS

SLOW: Final = "FreshnessBurnSlow"
"""Looks back for three days, or 72 minutes here, and is over no sooner than six after the last one that was bad."""
_WELL_FOR_S: Final = 10.0
_FIRES_WITHIN_S: Final = 90.0
_OVER_WITHIN_S: Final = 120.0
_SLOW_OVER_WITHIN_S: Final = 480.0

SEVERITIES: Final = {alert.name: alert.severity for alert in ALERTS}

Say = Callable[[str], None]


@dataclass
class Row:
    """An alert that a fault was to fire, or fired.

    Attributes:
        fault: which.
        alert: its name, and whose it is.
        fired_s: seconds after the fault began; None = it did not.
        fired_at_s: the same, of `time.monotonic`.
        over_s: seconds for which it fired; None = it still does.
        told: receivers that heard of it.
        is_expected: whether the fault says so.
    """

    fault: str
    alert: Key
    fired_s: float | None = None
    fired_at_s: float = 0.0
    over_s: float | None = None
    told: set[str] = field(default_factory=set[str])
    is_expected: bool = True

    @property
    def is_right(self) -> bool:
        """Whether it was to fire, did, and was over."""
        return self.is_expected and self.fired_s is not None and self.over_s is not None


@dataclass
class Proof:
    """What was seen.

    Attributes:
        rows: in the order of the faults.
        always_empty: panels and recorded series of which some query gave nothing at any time.
        filled_by: {panel that is empty while all is well: the fault during which it first gave something}.
        panels: how many there are.
        seconds: how long it took.
    """

    rows: list[Row] = field(default_factory=list[Row])
    always_empty: list[str] = field(default_factory=list[str])
    filled_by: dict[str, str] = field(default_factory=dict[str, str])
    panels: int = 0
    seconds: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether each fault fired its alerts and no others, all were over, and every panel has given something."""
        return bool(self.rows) and all(row.is_right for row in self.rows) and not self.always_empty


def prove(works: Works, say: Say, faults: Sequence[Fault] = FAULTS) -> Proof:
    """Do all of them."""
    began_s = time.monotonic()
    found = Proof()
    until_all_at_work(works)
    # Prometheus judges rules for some seconds before it looks at its first target: so long, nobody knows of any lag.
    until(lambda: not works.prometheus.query(FIRING), _OVER_WITHIN_S)
    with Watch(works.prometheus) as watch:
        say("all is well: waiting for the panels that are always filled")
        wait(watch, lambda: not [each for each in watch.empty if not each.empty_while], _FIRES_WITHIN_S)
        time.sleep(_WELL_FOR_S)  # in which nothing may fire
        found.rows += [
            Row("none", key, 0.0, since_s, is_expected=False) for key, since_s in watch.fired_since(0.0).items()
        ]
        note_filled(watch, found, "none, now and then")
        for fault in faults:
            found.rows += play(works, watch, fault, say)
            note_filled(watch, found, fault.name)
        say("waiting for the last alerts to be over")
        wait(watch, lambda: not watch.firing, _SLOW_OVER_WITHIN_S)
        for row in found.rows:
            row.over_s = watch.over_after(row.alert, row.fired_at_s)
        found.always_empty = sorted({each.where for each in watch.empty})
        found.panels = len({each.where for each in PANELS})
    found.seconds = time.monotonic() - began_s
    return found


def play(works: Works, watch: Watch, fault: Fault, say: Say) -> list[Row]:
    """Do one of them, wait until its alerts fire and its pages are told, mend it, and wait until all is over."""
    until_all_at_work(works)
    say(f"{fault.name}: {fault.what}")
    before, heard, began_s = set(watch.firing), len(works.ear.notices), time.monotonic()
    late = {key for key in fault.alerts if key[0] == SLOW}

    def is_heard() -> bool:
        meanwhile()
        told = {(each.labels["alertname"], whose(each.labels)) for each in works.ear.notices[heard:]}
        pages = {key for key in fault.alerts if SEVERITIES[key[0]] == "page"}
        return fault.alerts - late <= watch.fired_since(began_s).keys() and pages <= told

    try:
        with fault.done(works) as meanwhile:
            wait(watch, is_heard, _FIRES_WITHIN_S)
            firing = sorted({name for name, _ in watch.firing})
            say(f"{fault.name}: {', '.join(firing) or 'nothing'} after {time.monotonic() - began_s:.0f} s; mending it")
    except AssertionError as err:  # it could not be done, or not be mended; the others are tried all the same
        say(f"{fault.name}: {err}")
    wait(watch, lambda: late <= watch.fired_since(began_s).keys(), _FIRES_WITHIN_S)
    wait(watch, lambda: not {key for key in watch.firing if key[0] != SLOW}, _OVER_WITHIN_S)
    fired = watch.fired_since(began_s)
    told = works.ear.notices[heard:]
    return [
        Row(
            fault.name,
            key,
            fired[key] - began_s if key in fired else None,
            fired.get(key, 0.0),
            told={each.receiver for each in told if (each.labels["alertname"], whose(each.labels)) == key},
            is_expected=key in fault.alerts | fault.may_fire,
        )
        for key in sorted(fault.alerts | (fired.keys() - before))
    ]


def wait(watch: Watch, is_so: Callable[[], bool], timeout_s: float) -> None:
    """Until it is so, or in vain; what was in vain shows in the rows."""
    deadline = time.monotonic() + timeout_s
    while not is_so() and time.monotonic() < deadline:
        watch.check()
        time.sleep(0.25)


def note_filled(watch: Watch, found: Proof, by: str) -> None:
    """Which panels have been filled since the last time, of those that are empty while all is well."""
    still = {each.where for each in watch.empty}
    for where in sorted(EMPTY_WHILE_ALL_IS_WELL - still - found.filled_by.keys()):
        found.filled_by[where] = by

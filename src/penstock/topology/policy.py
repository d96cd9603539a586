"""What becomes of a record that fails: policies, and what kind of failure it was.

| policy | the record | what waits meanwhile | order |
|---|---|---|---|
| `"fail"` | the task stops in front of it | the task, until a person acts | kept |
| `"dead_letter"` | goes to the dead-letter topic | nothing | it is missing |
| `"block"`, `Retry()` | is tried again, later and later | the task | kept |
| `"park_key"`, `Retry(keep="key")` | likewise | the records of its key | of each key: kept |

A policy judges failures that are a record's fault (poison). Two other kinds have one answer each, whatever the policy:
a dependency that is away (transient) is waited for, and never makes a dead letter; a bug stops the task.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from penstock.errors import ConfigurationError, Retriable, Stop

Nature = Literal["transient", "poison", "bug"]
"""Of a failure: a dependency that is away, this record, or code that can work for no record."""

Classifier = Callable[[Exception], "Nature | None"]
"""Judges an exception; None = as penstock would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A record that fails is tried again, later and later, and those behind it wait, so that order is kept.

    What is kept in the state (`keep="key"`) remembers how often it was tried; else only the worker knows: another that
    takes over begins to count anew.

    Attributes:
        keep: what waits meanwhile: "partition" = everything behind it in its task; "key" = the records of its key
            alone, which are parked in the task's state with it. A record without a key, or one that there is no room
            for, is waited for as with "partition".
        attempts: how often it is tried, the first time included; None = for ever.
        max_age: how long after the first failure at most; None = for ever. Whatever comes first ends it.
        first: how long to wait behind the first failure.
        factor: so many times as long behind each further one.
        longest: at most.
        jitter: up to this part of a wait is left out, by chance, so that many that failed at once do not come back at
            once.
        on: exceptions that are worth another try; others go to `then` at once.
        then: what becomes of the record in the end.
        rest: of a parked key, what becomes of the records behind one that is given up: "release" = they are tried in
            turn, "dead_letter" = they go to the dead letters too, in order.

    Raises:
        ConfigurationError: a number makes no sense.
    """

    keep: Literal["partition", "key"] = "partition"
    attempts: int | None = 10
    max_age: timedelta | None = None
    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=5)
    jitter: float = 0.2
    on: tuple[type[Exception], ...] = (Exception,)
    then: Literal["fail", "dead_letter"] = "dead_letter"
    rest: Literal["release", "dead_letter"] = "release"

    def __post_init__(self) -> None:
        """Refuse at once what could not work later."""
        if self.attempts is not None and self.attempts < 1:
            raise ConfigurationError(f"Retry(attempts={self.attempts}): at least 1, or None for ever")
        if self.first <= timedelta(0) or self.longest < self.first:
            raise ConfigurationError("Retry: first= has to be above zero, and longest= not below it")
        if self.factor < 1 or not 0 <= self.jitter < 1:
            raise ConfigurationError("Retry: factor= has to be 1 or more, and jitter= from 0 up to, not including, 1")
        if self.max_age is not None and self.max_age <= timedelta(0):
            raise ConfigurationError("Retry: max_age= has to be above zero, or None for ever")

    def __str__(self) -> str:
        """As in descriptions."""
        often = "for ever" if self.attempts is None else f"{self.attempts} times"
        age = "" if self.max_age is None else f" within {self.max_age}"
        return f"{'park key, ' if self.keep == 'key' else ''}try {often}{age}, then {self.then}"

    def wait_s(self, failures: int, salt: str) -> float:
        """How long to wait behind so many failures, seconds.

        Args:
            failures: 1 and up.
            salt: what is tried; chance comes from it, so the same record waits as long in every run.
        """
        first_s, longest_s = self.first.total_seconds(), self.longest.total_seconds()
        try:
            wait_s = min(longest_s, first_s * self.factor ** (failures - 1))
        except OverflowError:
            wait_s = longest_s
        digest = hashlib.blake2b(f"{salt} {failures}".encode(errors="replace"), digest_size=4).digest()
        chance = int.from_bytes(digest, "big") / 2**32
        return wait_s * (1 - self.jitter * chance)

    def is_over(self, failures: int, age_s: float) -> bool:
        """Whether it is tried no more: so many failures, the first so long ago."""
        too_often = self.attempts is not None and failures >= self.attempts
        return too_often or (self.max_age is not None and age_s >= self.max_age.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """When so much fails that going on only makes dead letters, a task pauses; then it tries a few records.

    Attributes:
        ratio: of dead letters among the records of a window.
        least: records in the window before the ratio counts.
        window: how long one is.
        consecutive: dead letters without a good record between them; None = any number.
        pause: how long to pause; twice as long each time that the probe fails, ten times at most.
        probe: records that are tried behind a pause.

    Raises:
        ConfigurationError: a number makes no sense.
    """

    ratio: float = 0.5
    least: int = 100
    window: timedelta = timedelta(minutes=1)
    consecutive: int | None = None
    pause: timedelta = timedelta(seconds=30)
    probe: int = 10

    def __post_init__(self) -> None:
        """Refuse at once what could not work later."""
        if not 0 < self.ratio <= 1:
            raise ConfigurationError("CircuitBreaker: ratio= has to be above 0 and not above 1")
        if min(self.least, self.probe, 1 if self.consecutive is None else self.consecutive) < 1:
            raise ConfigurationError("CircuitBreaker: least=, probe= and consecutive= have to be 1 or more")
        if min(self.window, self.pause) <= timedelta(0):
            raise ConfigurationError("CircuitBreaker: window= and pause= have to be above zero")


Policy = Literal["fail", "dead_letter", "block", "park_key"] | Retry
"""What becomes of a record that fails; "block" is `Retry(attempts=None)`, "park_key" is `Retry(keep="key")`."""

FOR_EVER: Final = Retry(attempts=None)
PARKED: Final = Retry(keep="key")
OUTAGE: Final = Retry(attempts=None, first=timedelta(milliseconds=500), longest=timedelta(seconds=30))
"""For a dependency that is away."""

_TRANSIENT: Final = (ConnectionError, TimeoutError, Retriable)
_BUGS: Final = (NameError, ImportError, NotImplementedError, SyntaxError, Stop)


def nature_of(error: Exception, classify: Classifier | None = None) -> Nature:
    """What kind of failure it is: as the user's classifier says, else by its type.

    Raises:
        ConfigurationError: the classifier gives something else.
    """
    told = None if classify is None else classify(error)
    if told is not None:
        if told not in ("transient", "poison", "bug"):
            raise ConfigurationError(
                f"classify= gave {told!r} for a {type(error).__name__}; return 'transient', 'poison', 'bug' or None"
            )
        return told
    if isinstance(error, _TRANSIENT):
        return "transient"
    return "bug" if isinstance(error, _BUGS) else "poison"


def schedule_of(policy: Policy) -> Retry | None:
    """When a record is tried again; None = never."""
    if isinstance(policy, Retry):
        return policy
    return {"block": FOR_EVER, "park_key": PARKED}.get(policy)


def last_resort(policy: Policy) -> Literal["fail", "dead_letter"]:
    """What becomes of a record that is not, or no more, tried again; "block" stops at what it makes no sense to try."""
    if isinstance(policy, Retry):
        return policy.then
    return "dead_letter" if policy in ("dead_letter", "park_key") else "fail"

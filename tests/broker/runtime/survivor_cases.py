"""One of two workers dies, or stands still, at a step; the other takes its tasks over; then it is back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.victims import until
from tests.broker.runtime.cast import Cast
from tests.broker.runtime.numbers_topic import Trickle

PARTITIONS, KEYS = 4, 16
TAKEOVER_S = 30.0
"""Less than half of the transaction's time-out: what was open was ended by the survivor."""


@dataclass(frozen=True, slots=True)
class Case:
    """Where a worker fails and how; whether on its way into the group, or in the middle of its work."""

    step: str
    action: str
    is_joining: bool
    protocol: str = "classic"

    def __str__(self) -> str:
        when = "joining" if self.is_joining else "working"
        return f"{when}-{self.step}-{self.action}-{self.protocol}".replace(" ", "-")


JOINING = ["init", "restore", "claim", "begin", "changelog", "flush", "metadata", "send offsets", "commit", "committed"]
WORKING = [
    "poll",
    "process",
    "produce",
    "begin",
    "changelog",
    "flush",
    "metadata",
    "send offsets",
    "commit",
    "committed",
    "apply",
]

MATRIX = [
    Case(step, action, is_joining, protocol)
    for protocol in ("classic", "consumer")
    for is_joining, steps in ((True, JOINING), (False, WORKING))
    for step in steps
    for action in ("stop", "kill")
]

# One per step, the actions in turn; a claim, which holds nothing but offsets; and the newer protocol once.
SHORT = {
    *(Case(step, "kill" if place % 2 else "stop", is_joining=False) for place, step in enumerate(WORKING)),
    Case("claim", "kill", is_joining=True),
    Case("commit", "stop", is_joining=True),
    Case("send offsets", "stop", is_joining=False, protocol="consumer"),
}


def play(kafka: KafkaUnderTest, case: Case, root: Path) -> None:
    """Let it happen, and judge."""
    root.mkdir()
    trickle = Trickle(kafka.bootstrap_servers, partitions=PARTITIONS, keys=KEYS, rows=10, pause_s=0.05)
    cast = Cast(kafka, trickle.topic, PARTITIONS, root, ("--protocol", case.protocol))
    fails = ("--step", case.step, "--action", case.action)
    try:
        with trickle:
            if case.is_joining:
                cast.join("b")
                cast.advance()
                cast.join("a", *fails, "--nth", "1")
            else:
                cast.join("a", *fails, "--nth", "4", "--waits")
                cast.join("b")
                until(lambda: {name for name, _ in cast.owners()} == {"a", "b"})
                cast.advance()
                cast.arm("a")
            if case.action == "kill":
                cast.until_it_is_dead("a")
            else:
                cast.until_it_stands_still("a")
            cast.until_members(1)
            cast.advance(TAKEOVER_S)
            cast.until_visible(TAKEOVER_S)
            cast.wake("a") if case.action == "stop" else cast.join("a")
            until(lambda: {name for name, _ in cast.owners()} == {"a", "b"})
            cast.advance()
        cast.finish(trickle.numbers)
    finally:
        cast.close()

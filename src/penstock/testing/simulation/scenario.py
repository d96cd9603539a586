"""A scenario: a pipeline, its input, and everything that goes wrong, as plain data. `repr` of it can be pasted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final, Literal

from penstock.kafka.group_settings import GroupProtocol
from penstock.runtime.guarantee import Guarantee
from penstock.testing.cluster.process import Mishap
from penstock.testing.simulation.shape import Operation, Shape, Verb, Waiting
from penstock.testing.steps import RARE_STEPS, REQUESTS, STEPS

RECORDS: Final = 200
WORKERS: Final = 2
FAULTS: Final = (4, 8)
_AT_LEAST_ONCE: Final = 0.1
_NEWER_PROTOCOL: Final = 0.2
_STATIC: Final = 0.25
"""Of those with the classic one."""
_VERBS: Final[tuple[Verb, ...]] = ("map", "filter", "split", "refuse", "outage")
_TRIED_AGAIN: Final[tuple[Verb, ...]] = ("stumble", "stumble", "despair")

AtStep = Literal[
    "kill",
    "lose",
    "stop",
    "raise",
    "abort",
    "doubt",
    "pause",
    "freeze",
    "fence",
    "rebalance",
    "overtake",
    "broker stop",
    "lag",
    "expire",
]
Action = AtStep | Mishap
"""What goes wrong.

* `kill`: SIGKILL, and a restart later. `lose`: likewise, with the machine and so the checkpoints.
* `stop`: SIGTERM, which is heard behind the step that its loop is in; and a restart later.
* `raise`: an exception that the engine knows nothing of.
* `abort`, `doubt`: an error that says that nothing became visible, or that nobody knows.
* `pause`: it stands still for a moment while others work. `freeze`: past every time-out.
* `fence`: another producer takes its `transactional.id`.
* `rebalance`: everybody has to join the group anew. `overtake`: and this worker stands still past every time-out behind
  its next commit, with which it gives its partitions away.
* `broker stop`: one of three brokers is down for a while, with all that it leads and coordinates.
* `lag`: the worker's connection to one of them is slow for some seconds; each request takes so much longer.
* `expire`: of the input, retention deletes all that the group has dealt with.
* the others happen to the next request behind the step; see `Mishap`.
"""

_MISHAPS: Final[tuple[Mishap, ...]] = (
    "lost request",
    "lost answer",
    "late copy",
    "late copy",
    "slow",
    "hang",
    "die before",
    "die behind",
    "die meanwhile",
    "leader stops before",
    "leader stops behind",
)
_AT_STEPS: Final[tuple[AtStep, ...]] = (
    "kill",
    "lose",
    "stop",
    "stop",
    "raise",
    "abort",
    "doubt",
    "pause",
    "pause",
    "freeze",
    "fence",
    "rebalance",
    "overtake",
    "overtake",
    "broker stop",
    "lag",
    "expire",
)
_DECIDED: Final = {"committed", "apply", "deployed"}
"""Steps behind which an error that says that nothing became visible would be a lie."""
_ELSEWHERE: Final = {step for step in RARE_STEPS if "checkpoint" in step}
"""Steps that belong to no transaction."""

_SECONDS: Final[dict[str, tuple[float, ...]]] = {
    "pause": (0.02, 0.2, 0.7),
    "freeze": (2.5, 5.0, 9.0),
    "overtake": (2.5, 5.0, 9.0),
    "late copy": (0.02, 0.1, 0.105, 0.11, 0.3, 1.0),  # 0.1 s behind a commit the next one is under way
    "slow": (0.05, 0.3, 1.0),
    "hang": (0.5, 2.0, 4.5),
    "die meanwhile": (0.02, 0.5, 2.2, 3.0),  # a session is over after 2 s, a transaction after 4
    "leader stops before": (0.5, 2.0, 6.0),
    "leader stops behind": (0.5, 2.0, 6.0),
    "broker stop": (0.5, 2.0, 6.0),
    "lag": (0.05, 0.25, 0.7),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        worker: whose.
        step: where.
        nth: the how manyeth time that this worker gets there, over all of its lives, from 1.
        action: what.
        seconds: how long, or how late, where that means something.
        request: of the step, which of those that it sends; for mishaps.
    """

    worker: int
    step: str
    nth: int
    action: Action
    seconds: float = 0.0
    request: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """See the module's text.

    Attributes:
        seed: of everything that is left to chance while it is played.
        shape: the pipeline.
        records: input records, aborted ones not counted.
        keys: how many different keys they have.
        workers: at the beginning.
        faults: in no order.
        max_batch_records: of the workers.
        guarantee: likewise.
        protocol: of the group.
        is_static: whether its members are static ones.
    """

    seed: int
    shape: Shape
    records: int = RECORDS
    keys: int = 8
    workers: int = WORKERS
    faults: tuple[Fault, ...] = ()
    max_batch_records: int = 1_000
    guarantee: Guarantee = "exactly_once"
    protocol: GroupProtocol = "classic"
    is_static: bool = False


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed, always the same."""
    chance = Random(seed)  # noqa: S311 - a schedule, not a secret
    guarantee: Guarantee = "at_least_once" if chance.random() < _AT_LEAST_ONCE else "exactly_once"
    shape = _shape(chance) if guarantee == "exactly_once" else _stateless(chance)
    count = chance.randint(*FAULTS)
    scenario = Scenario(
        seed,
        shape,
        keys=chance.choice((1, 3, 8, 20)),
        faults=tuple(_fault(chance) for _ in range(count)),
        max_batch_records=chance.choice((1, 7, 40, 1_000)),
        guarantee=guarantee,
        protocol="consumer" if chance.random() < _NEWER_PROTOCOL else "classic",
    )
    return replace(scenario, is_static=scenario.protocol == "classic" and chance.random() < _STATIC)


def _shape(chance: Random) -> Shape:
    keys = chance.choice((0, 0, 2, 5))
    folds = chance.random() < 0.7
    retry: Waiting = chance.choice(("nobody", "nobody", "partition", "key"))
    return Shape(
        partitions=chance.randint(1, 3),
        before=_operations(chance, retry),
        joins=chance.random() < 0.3,
        writes_plain=chance.random() < 0.6 or (keys == 0 and not folds),
        folds=folds,
        hides=chance.choice((0, 0, 5, 9)) if folds else 0,
        keys=keys,
        tasks=chance.randint(1, 3),
        after=_operations(chance, retry) if keys else (),
        retry=retry,
    )


def _stateless(chance: Random) -> Shape:
    """What can be run without transactions: nothing is kept, and nothing goes through a topic of the pipeline's own."""
    retry: Waiting = chance.choice(("nobody", "partition"))
    return Shape(partitions=chance.randint(1, 3), before=_operations(chance, retry), folds=False, retry=retry)


def _operations(chance: Random, retry: Waiting) -> tuple[Operation, ...]:
    # What stumbles would be set aside or not, by chance, where it is not tried again.
    verbs = _VERBS if retry == "nobody" else _VERBS + _TRIED_AGAIN
    return tuple(_operation(chance, chance.choice(verbs)) for _ in range(chance.randint(0, 2)))


def _operation(chance: Random, verb: Verb) -> Operation:
    # What is tried again holds others up, so there is less of it.
    return Operation(verb, chance.randint(10, 40) if verb in {"stumble", "outage"} else chance.randint(3, 9))


def _fault(chance: Random) -> Fault:
    worker, nth = chance.randrange(WORKERS), 1 + int(chance.expovariate(0.15))
    if chance.random() < 0.4:
        step = chance.choice(tuple(REQUESTS))
        action: Action = chance.choice(_MISHAPS)
        return Fault(worker, step, nth, action, _seconds(chance, action), chance.choice(REQUESTS[step]))
    if chance.random() < 0.1:
        step, nth = chance.choice(RARE_STEPS), chance.randint(1, 2)
    else:
        step = chance.choice(STEPS)
    action = chance.choice(_AT_STEPS)
    if (action == "abort" and step in _DECIDED) or (action in {"abort", "doubt"} and step in _ELSEWHERE):
        action = "kill"
    return Fault(worker, step, nth, action, _seconds(chance, action))


def _seconds(chance: Random, action: Action) -> float:
    return chance.choice(_SECONDS.get(action, (0.0,)))

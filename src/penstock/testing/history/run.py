"""One sequential run of a task over its inputs, as the model does it: what should have come of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from penstock.testing.history.log import Place
from penstock.testing.history.model import DeadLetter, Effect, Input, Output, Stage, State


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One partition of a stage's sources; of one judgement's tasks each is itself only, and so quickly told apart."""

    stage: Stage
    partition: int

    def __str__(self) -> str:
        """`stage[partition]`."""
        return f"{self.stage.name}[{self.partition}]"

    @property
    def sources(self) -> list[Place]:
        """What it reads, in the stage's order."""
        return [Place(topic, self.partition) for topic in self.stage.sources]

    @property
    def changelog(self) -> Place | None:
        """Where its state is kept."""
        return None if self.stage.changelog is None else Place(self.stage.changelog, self.partition)


class Expected(NamedTuple):
    """One effect that one input should have.

    Attributes:
        task: whose input.
        input: which.
        number: of the effect, among those of the input.
        effect: what should be visible.
        commit: which of the task's commits covers the input, from 0; None = none yet.
        content: what it is recognised by.
    """

    task: Task
    input: Input
    number: int
    effect: Effect
    commit: int | None
    content: Hashable

    @property
    def topic(self) -> str:
        """Where it should be visible."""
        return topic_of(self.task.stage, self.input, self.effect)

    @property
    def chain(self) -> tuple[Place, bytes | None]:
        """Results of one input partition and key keep their order."""
        return Place(self.input.topic, self.input.partition), self.input.key


def topic_of(stage: Stage, record: Input, effect: Effect) -> str:
    """The topic of an effect."""
    if isinstance(effect, Output):
        return effect.topic
    return (stage.dead_letters or {})[record.topic]


def content_of(stage: Stage, record: Input, effect: Effect) -> Hashable:
    """An output is known by its topic, key and value, a dead letter by its topic and where its original stands."""
    match effect:
        case Output():
            return (effect.topic, effect.key, effect.value)
        case DeadLetter():
            return (topic_of(stage, record, effect), Place(record.topic, record.partition), record.offset)


def play(task: Task, records: Iterable[Input], state: State, commit: int | None) -> list[Expected]:
    """The effects of these records, in order; changes the state."""
    stage = task.stage
    return [
        Expected(task, record, number, effect, commit, content_of(stage, record, effect))
        for record in records
        for number, effect in enumerate(stage.process(record, state))
    ]


def go_on(task: Task, records: Iterable[Input], state: State) -> None:
    """As `play`, for those who want nothing but the state."""
    for record in records:
        for _ in task.stage.process(record, state):
            pass


def play_all(task: Task, intervals: Sequence[Sequence[Input]]) -> tuple[list[Expected], dict[Any, Any]]:
    """The effects of what every commit covers, and the state in the end."""
    state: dict[Any, Any] = {}
    found: list[Expected] = []
    for commit, records in enumerate(intervals):
        found += play(task, records, state, commit)
    return found, state


def fold(stage: Stage, state: State, key: bytes, value: bytes | None) -> None:
    """Take a record of the changelog into a state in the model's form; None deletes."""
    ours = stage.key(key)
    if ours is None:
        return
    if value is None:
        state.pop(ours, None)
    else:
        state[ours] = stage.value(key, value)

"""What a pipeline should do, as a plain function: the model that a history is compared with.

    def double(record: Input, state: State) -> Iterable[Effect]:
        yield Output("doubled", record.key, b"%d" % (2 * int(record.value or b"")))

    model = Model("doubling", [Stage("numbers", sources=["numbers"], process=double, outputs=["doubled"])])

A stage is a task group: partition p of all its sources is one task, which has a state of its own. The function is given
a record and the task's state, changes the state and yields what becomes visible. It must be a function of these two:
it is called again for what might have happened. What it keeps in the state must be immutable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.record import Headers
from penstock.testing.record_batch import StoredRecord

State = MutableMapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Input:
    """A record as a stage reads it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def __str__(self) -> str:
        """`topic[partition]@offset`."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Output:
    """A record that becomes visible. What is None is not compared, but for key and value.

    Attributes:
        topic: one of the stage's outputs.
        key: None = no key.
        value: None = tombstone.
        partition: where; None = anywhere, but all of one key in one.
        headers: all of them.
        timestamp_ms: Kafka's.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    headers: Headers | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The record goes to the stage's dead letters, as it was read.

    Attributes:
        instead_of: outputs that were made before it failed, and must not be there; they are told by their right name.
    """

    instead_of: tuple[Output, ...] = ()


Effect = Output | DeadLetter
Process = Callable[[Input, State], Iterable[Effect]]


def by_time(sources: Sequence[Sequence[Input]]) -> list[Input]:
    """The records of one commit in the order of their timestamps; equal ones in the order of the stage's sources."""
    if len(sources) == 1:
        return list(sources[0])
    # Within a source the order is that of offsets, whatever the timestamps say: so this is a merge and no sort.
    heads, found = [0] * len(sources), list[Input]()
    while True:
        waiting = [
            (own[at].timestamp_ms, n) for n, (own, at) in enumerate(zip(sources, heads, strict=True)) if at < len(own)
        ]
        if not waiting:
            return found
        _, first = min(waiting)
        found.append(sources[first][heads[first]])
        heads[first] += 1


def key_as_it_is(key: bytes) -> Any:
    """The model keeps the changelog's keys."""
    return key


def value_as_it_is(key: bytes, value: bytes) -> Any:
    """The model keeps the changelog's values."""
    del key
    return value


def is_time_mark(record: StoredRecord) -> bool:
    """Whether a record in a repartition topic is none of the user's."""
    return any(name == "penstock.control" for name, _ in record.headers)


@dataclass(frozen=True)
class Stage:
    """A task group.

    Attributes:
        name: for messages.
        sources: the topics that it reads.
        process: what it does to one record; see above.
        outputs: the topics that it writes.
        dead_letters: {source topic: its dead-letter topic}.
        changelog: the topic that keeps its state; None = it has none.
        key: the model's key for one of the changelog; None = not compared.
        value: the model's value for a key and value of the changelog.
        order: how a task puts the records of one commit in order, given one sequence for each source.
        is_control: records of its sources and outputs that are not the user's.
        parks: records of a key may be parked: committed as read, and tried again in a later transaction, those of the
            key in their order. A history is to be judged when nothing is parked any more. In which transaction their
            results stand, in which order its dead letters do, and what the state holds meanwhile is not looked at then.
    """

    name: str
    sources: Sequence[str]
    process: Process
    outputs: Sequence[str] = ()
    dead_letters: dict[str, str] | None = None
    changelog: str | None = None
    key: Callable[[bytes], Any] = key_as_it_is
    value: Callable[[bytes, bytes], Any] = value_as_it_is
    order: Callable[[Sequence[Sequence[Input]]], list[Input]] = by_time
    is_control: Callable[[StoredRecord], bool] = is_time_mark
    parks: bool = False


@dataclass(frozen=True)
class Model:
    """A pipeline.

    Attributes:
        group: its consumer group.
        stages: every stage that reads or writes what is judged.
        starts: {source partition: where the group began to read}; left out = at the first record.
    """

    group: str
    stages: Sequence[Stage]
    starts: Mapping[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    @property
    def topics(self) -> list[str]:
        """All that are read and written, sorted."""
        found: set[str] = set()
        for stage in self.stages:
            found.update(stage.sources, stage.outputs, (stage.dead_letters or {}).values())
            found.update([] if stage.changelog is None else [stage.changelog])
        return sorted(found)

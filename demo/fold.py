"""Every commit of the pipelines against one run over their input, partition by partition.

What is promised is that for every input partition the state and all output equal those of one sequential run over the
records up to the committed offset, each applied once. The last record of a transaction in a changelog partition says up
to where the input is dealt with. So the input is run over once more here, by code of its own, and held against the log
at each of these places:

1. the changes of state in the transaction are those that the input between two commits makes;
2. in each output partition there is a transaction with as many records as that input comes to, or none if it comes to
   none: nothing is torn, nothing is early, nothing is late;
3. behind the last commit no input is left, and the records of each output partition, one behind the other, are what the
   input comes to in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

import msgspec

from demo.message_pack import decode

SHOWN = 5
_COMMIT_RECORD = b"\0"
_FORMAT_BYTES = 1

Identity = tuple[Any, ...]
Change = tuple[str, str, Any]
"""(store, key, new value)"""


class Input(NamedTuple):
    """One record of an input partition."""

    offset: int
    identity: Identity
    is_redriven: bool = False


class Entry(NamedTuple):
    """One record of a changelog partition."""

    offset: int
    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What one record of a topic comes to: (topic, identity) -> ..., by code of the check's own.

    Attributes:
        writes: the topic it is written to; None = none.
        changes: what it does to the state; None = nothing.
        redriven: the topic that a redriven record is written to, without a change of state; None = none.
    """

    writes: Callable[[str, Identity], str | None]
    changes: Callable[[str, Identity], Change | None]
    redriven: str | None = None

    def apply(self, topic: str, record: Input) -> tuple[str | None, Change | None]:
        """What a record comes to."""
        if record.is_redriven:
            return self.redriven, None
        return self.writes(topic, record.identity), self.changes(topic, record.identity)


@dataclass(slots=True)
class TaskLog:
    """What the log holds of one partition of a pipeline.

    Attributes:
        inputs: {topic: its records in their order}; tables first, since their records are older.
        changelog: in its order.
        outputs: {topic: identities of its committed records in their order}.
        parts: {topic: how many records each committed transaction has there, in their order}.
        group: {topic: the group's committed offset}.
    """

    inputs: dict[str, list[Input]]
    changelog: list[Entry]
    outputs: dict[str, list[Identity]]
    parts: dict[str, list[int]]
    group: dict[str, int]

    @property
    def commits(self) -> int:
        """Transactions in the changelog."""
        return sum(entry.key == _COMMIT_RECORD for entry in self.changelog)


class Fold(msgspec.Struct, kw_only=True):
    """The verdict on one pipeline.

    Attributes:
        partitions: that were folded.
        transactions: that were looked at, the claims of new workers among them.
        commits: of a partition that were compared; a transaction is one for each partition that it deals with.
        records: of input that was run over.
        changes: of state that were compared.
        wrong: transactions, commits and sequences that are off.
        problems: the first few of them.
    """

    partitions: int = 0
    transactions: int = 0
    commits: int = 0
    records: int = 0
    changes: int = 0
    wrong: int = 0
    problems: list[str] = []

    @property
    def ok(self) -> bool:
        """Whether something was compared, and all of it is right."""
        return self.wrong == 0 and self.records > 0 and self.transactions > 0 and self.commits >= self.partitions > 0

    def add(self, problems: Sequence[str]) -> None:
        """Count these, and keep the first few."""
        self.wrong += len(problems)
        self.problems += problems[: max(0, SHOWN - len(self.problems))]


def fold(pipeline: str, tasks: Mapping[int, TaskLog], rules: Rules) -> Fold:
    """Fold all partitions of a pipeline; its transactions as a whole are looked at elsewhere."""
    result = Fold(problems=[])
    for partition, log in tasks.items():
        run = _Run(f"{pipeline}[{partition}]", log, rules)
        result.add(list(run.problems()))
        result.partitions += 1
        result.commits += run.commits
        result.records += sum(len(records) for records in log.inputs.values())
        result.changes += run.changes
    return result


@dataclass(slots=True)
class _Run:
    """One run over the input of a partition, commit by commit."""

    where: str
    log: TaskLog
    rules: Rules
    commits: int = 0
    changes: int = 0
    done: dict[str, int] = field(default_factory=dict[str, int])

    def problems(self) -> Iterator[str]:
        """Everything that is off."""
        due_outputs: dict[str, list[Identity]] = {topic: [] for topic in self.log.outputs}
        due_parts: dict[str, list[int]] = {topic: [] for topic in self.log.outputs}
        next_offsets: dict[str, int] = {}
        for found, commit in self._commits():
            where = f"{self.where}, commit {commit['sequence']}"
            next_offsets = commit["next_offsets"]
            due: dict[tuple[str, str], Any] = {}
            written: dict[str, int] = {}
            for topic, record in self._up_to(next_offsets):
                to, change = self.rules.apply(topic, record)
                if change is not None:
                    due[change[0], change[1]] = change[2]
                if to is not None:
                    due_outputs[to].append(record.identity)
                    written[to] = written.get(to, 0) + 1
            for topic, count in written.items():
                due_parts[topic].append(count)
            self.commits += 1
            self.changes += len(due)
            if found != due:
                yield f"{where}: state that one run over the input does not come to: {_difference(due, found)}"
        yield from self._rest(next_offsets)
        for topic in self.log.outputs:
            yield from _first_difference(
                f"{self.where} in {topic}, transaction", due_parts[topic], self.log.parts[topic]
            )
            yield from _first_difference(
                f"{self.where} in {topic}, record", due_outputs[topic], self.log.outputs[topic]
            )

    def _commits(self) -> Iterator[tuple[dict[tuple[str, str], Any], dict[str, Any]]]:
        """({(store, key): value} that a transaction changed, its commit record), one after the other."""
        changed: dict[tuple[str, str], Any] = {}
        for entry in self.log.changelog:
            if entry.key == _COMMIT_RECORD:
                yield changed, decode(entry.value or b"")
                changed = {}
            else:
                length = entry.key[0]
                store, key = entry.key[1 : length + 1].decode(), entry.key[length + 1 :].decode()
                changed[store, key] = None if entry.value is None else _stored(entry.value)

    def _up_to(self, next_offsets: Mapping[str, int]) -> Iterator[tuple[str, Input]]:
        """The input between the last commit and this one."""
        for topic, records in self.log.inputs.items():
            at = self.done.get(topic, 0)
            while at < len(records) and records[at].offset < next_offsets[topic]:
                yield topic, records[at]
                at += 1
            self.done[topic] = at

    def _rest(self, next_offsets: dict[str, int]) -> Iterator[str]:
        for topic, records in self.log.inputs.items():
            left = len(records) - self.done.get(topic, 0)
            if left:
                yield f"{self.where}: {left:,} records of {topic} are behind the last commit"
        if next_offsets != self.log.group:
            yield f"{self.where}: the group stands at {self.log.group}, its changelog at {next_offsets}"


def _stored(data: bytes) -> Any:
    """The value behind its format byte; a table keeps the time of the record beside it, which is left out."""
    value = decode(data[_FORMAT_BYTES:])
    return value[0] if isinstance(value, list) else value


def _difference(due: Mapping[tuple[str, str], Any], found: Mapping[tuple[str, str], Any]) -> str:
    names = sorted(key for key in due.keys() | found.keys() if due.get(key) != found.get(key))
    return f"{len(names)} keys, the first of them {'/'.join(names[0])}" if names else "an entry is null"


def _first_difference(where: str, due: Sequence[object], found: Sequence[object]) -> Iterator[str]:
    for number, (right, there) in enumerate(zip_longest(due, found)):
        if right != there:
            yield f"{where} {number}: {there} instead of {right} ({len(found):,} instead of {len(due):,} in all)"
            return

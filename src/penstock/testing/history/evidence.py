"""A history, looked at with the model in hand: tasks, their inputs, their commits, and what is visible."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from penstock.errors import ConfigurationError
from penstock.testing.history.log import Data, History, OffsetCommit, Part, Place, Writer, parts
from penstock.testing.history.model import Input, Model
from penstock.testing.history.notes import Note, note_of, origin_of
from penstock.testing.history.run import Expected, Task, play, play_all
from penstock.testing.history.verdict import Witness
from penstock.testing.record_batch import StoredRecord
from penstock.testing.segments import Fate


@dataclass(frozen=True, slots=True)
class TaskCommit:
    """What one transaction committed of one task's places.

    Attributes:
        at: where it stands in the group's log: the last of its entries.
        next_offsets: {source partition: next offset}, those that it names.
        note: beside them; None where it is not ours.
        part: the transaction's part in the group's log.
        is_exact: what it covers is what this transaction has read; a cleaner has taken no commit in front of it.
    """

    at: int
    next_offsets: dict[Place, int]
    note: Note | None
    part: Part[OffsetCommit]
    is_exact: bool = True

    @property
    def writer(self) -> Writer:
        """Who committed."""
        return self.part.writer

    @property
    def is_transactional(self) -> bool:
        """Whether within a transaction."""
        return self.part.marker is not None

    def witness(self, source: Place) -> Witness:
        """The commit of one partition, as a witness."""
        return Witness("offset commit", source, self.next_offsets[source], str(self.writer))


class Seen(NamedTuple):
    """One record of an output, dead-letter or repartition topic, and the transaction that it is in."""

    place: Place
    data: Data
    part: Part[Data]
    content: Hashable

    @property
    def record(self) -> StoredRecord:
        """What stands there."""
        return self.data.record

    def witness(self, role: str = "output", note: str = "") -> Witness:
        """As a witness, with its writer."""
        return Witness(role, self.place, self.data.offset, note or str(self.data.writer), self.record)


class Evidence:
    """What the rules look at; everything is worked out once.

    Raises:
        ConfigurationError: the history has not what the model speaks of, or not all of it.
    """

    def __init__(self, history: History, model: Model) -> None:
        self.history, self.model = history, model
        self.parts: dict[Place, list[Part[Data]]] = {place: parts(log) for place, log in history.logs.items()}
        self.offset_parts = parts(history.offsets)
        self._check()
        self.tasks = [
            Task(stage, place.partition) for stage in model.stages for place in history.places(stage.sources[0])
        ]
        self.commits = {task: self._commits(task, Fate.COMMITTED) for task in self.tasks}
        self.in_flight = {task: self._commits(task, Fate.OPEN) for task in self.tasks}
        self.dead_letter_topics = {topic for stage in model.stages for topic in (stage.dead_letters or {}).values()}
        self.output_topics = sorted(
            {topic for stage in model.stages for topic in stage.outputs} | self.dead_letter_topics
        )

    def _check(self) -> None:
        there = {place.topic for place in self.history.logs}
        missing = [topic for topic in self.model.topics if topic not in there]
        if missing:
            raise ConfigurationError(
                f"the model of '{self.model.group}' speaks of {', '.join(missing)}, and the history has no log of "
                "these; read them too, or take them out of the model"
            )
        for stage in self.model.stages:
            if len(stage.sources) > 1 and not self.history.offsets.is_whole:
                raise ConfigurationError(
                    f"a cleaner was in the commits of '{self.model.group}', and '{stage.name}' reads several topics: "
                    "in which order it did is not known any more; read the history earlier"
                )
            for place in (place for topic in stage.sources for place in self.history.places(topic)):
                log = self.history.logs[place]
                if log.has_gaps or log.start_offset > self.model.starts.get(place, 0):
                    self._refuse(place, "read")
            written = [*stage.outputs, *(stage.dead_letters or {}).values()]
            for place in (place for topic in written for place in self.history.places(topic)):
                log = self.history.logs[place]
                if not log.is_whole and place.topic not in self.history.compacted:
                    self._refuse(place, "written")

    def _refuse(self, place: Place, done: str) -> None:
        raise ConfigurationError(
            f"{place}, which is {done}, is not whole: it begins at offset {self.history.logs[place].start_offset}, or "
            "a cleaner was in it; read the history before records are deleted, or name the topic among the compacted"
        )

    def _commits(self, task: Task, fate: Fate) -> list[TaskCommit]:
        """The task's commits of this fate, in the order in which they count: that of the group's log."""
        sources = set(task.sources)
        found: list[TaskCommit] = []
        for part in self.offset_parts:
            if part.fate is fate:
                own = [entry for entry in part.entries if entry.source in sources]
                if own:
                    found.append(
                        TaskCommit(
                            own[-1].offset,
                            {entry.source: entry.next_offset for entry in own},
                            note_of(own[-1].metadata),
                            part,
                        )
                    )
        found.sort(key=lambda commit: commit.at)
        if self.history.offsets.is_whole:
            return found
        sequences = [0, *(0 if commit.note is None else commit.note.sequence for commit in found)]
        return [
            replace(commit, is_exact=commit.note is not None and commit.note.sequence == before + 1)
            for commit, before in zip(found, sequences, strict=False)
        ]

    def inputs(self, task: Task, place: Place, *fates: Fate) -> list[list[Input]]:
        """The records of one source by transaction, those of these fates."""
        begins, is_control = self.model.starts.get(place, 0), task.stage.is_control
        return [
            [
                as_input(place, entry.record)
                for entry in part.entries
                if entry.offset >= begins and not is_control(entry.record)
            ]
            for part in self.parts.get(place, [])
            if part.fate in fates
        ]

    @cached_property
    def _sorted_inputs(self) -> dict[Task, list[list[Input]]]:
        return {
            task: [
                sorted(
                    (record for part in self.inputs(task, place, Fate.COMMITTED) for record in part),
                    key=lambda record: record.offset,
                )
                for place in task.sources
            ]
            for task in self.tasks
        }

    @cached_property
    def intervals(self) -> dict[Task, list[list[Input]]]:
        """{task: for each of its commits the inputs that it is the first to cover, in the task's order}."""
        return {task: list(self._intervals(task, self.commits[task])) for task in self.tasks}

    def _intervals(self, task: Task, commits: list[TaskCommit]) -> Iterator[list[Input]]:
        heads = [0] * len(task.sources)
        for commit in commits:
            taken: list[list[Input]] = []
            for n, (place, own) in enumerate(zip(task.sources, self._sorted_inputs[task], strict=True)):
                begin = heads[n]
                # A commit that goes back covers nothing anew: the furthest one counts.
                while heads[n] < len(own) and own[heads[n]].offset < commit.next_offsets.get(place, 0):
                    heads[n] += 1
                taken.append(own[begin : heads[n]])
            yield task.stage.order(taken)

    @cached_property
    def runs(self) -> dict[Task, tuple[list[Expected], dict[Any, Any]]]:
        """{task: (what should have come of all that is committed, the state after it)}."""
        return {task: play_all(task, self.intervals[task]) for task in self.tasks}

    def _rest(self, task: Task) -> list[list[Input]]:
        """What no commit covers yet, for each source."""
        done = {(each.topic, each.offset) for own in self.intervals[task] for each in own}
        return [[each for each in own if (each.topic, each.offset) not in done] for own in self._sorted_inputs[task]]

    def left_to_read(self) -> dict[Place, int]:
        """{source partition: committed records that no commit covers yet}."""
        return {
            place: len(rest) for task in self.tasks for place, rest in zip(task.sources, self._rest(task), strict=True)
        }

    @cached_property
    def ahead(self) -> dict[Hashable, list[Expected]]:
        """{content: effects} of the inputs that no commit covers yet: what is visible of them is torn off."""
        found: dict[Hashable, list[Expected]] = {}
        for task in self.tasks:
            # What is in flight has its order from the commit that is to come, the rest from nobody yet.
            coming, rest = list[Input](), self._rest(task)
            if self.in_flight[task]:
                known = [*self.commits[task], *self.in_flight[task]]
                coming = [each for own in list(self._intervals(task, known))[len(self.commits[task]) :] for each in own]
                rest = [[each for each in own if each not in coming] for own in rest]
            for expected in play(task, [*coming, *task.stage.order(rest)], dict(self.runs[task][1]), None):
                found.setdefault(expected.content, []).append(expected)
        return found

    @cached_property
    def expected(self) -> list[Expected]:
        """The effects of everything that is committed, of all tasks."""
        return [each for task in self.tasks for each in self.runs[task][0]]

    @cached_property
    def visible(self) -> list[Seen]:
        """Every committed record of the output and dead-letter topics, in offset order."""
        return sorted(self._seen(Fate.COMMITTED), key=lambda seen: (seen.place, seen.data.offset))

    @cached_property
    def hidden(self) -> dict[Hashable, list[Seen]]:
        """{content: records of aborted and open transactions in these topics}."""
        found: dict[Hashable, list[Seen]] = {}
        for seen in self._seen(Fate.ABORTED, Fate.OPEN):
            found.setdefault(seen.content, []).append(seen)
        return found

    def _seen(self, *fates: Fate) -> Iterator[Seen]:
        controls = {topic: stage.is_control for stage in self.model.stages for topic in stage.outputs}
        for topic in self.output_topics:
            is_control = controls.get(topic)
            for place in self.history.places(topic):
                for part in self.parts[place]:
                    if part.fate in fates:
                        for data in part.entries:
                            if is_control is None or not is_control(data.record):
                                yield Seen(place, data, part, self._content(topic, data.record))

    def _content(self, topic: str, record: StoredRecord) -> Hashable:
        if topic in self.dead_letter_topics and (origin := origin_of(record.headers)) is not None:
            return (topic, *origin)
        return (topic, record.key, record.value)

    def covering(self, expected: Expected) -> TaskCommit | None:
        """The commit of the transaction that dealt with the input; None = there is none yet, or a cleaner took it."""
        commit = None if expected.commit is None else self.commits[expected.task][expected.commit]
        return commit if commit is not None and commit.is_exact else None

    def committed(self, expected: Expected) -> TaskCommit:
        """The first commit that is left behind the input, whichever transaction it belongs to."""
        place = Place(expected.input.topic, expected.input.partition)
        return next(c for c in self.commits[expected.task] if c.next_offsets.get(place, 0) > expected.input.offset)

    def is_settled(self, task: Task) -> bool:
        """Whether nothing of the task is in flight, so that its changelog and its offsets speak of the same."""
        changelog = [] if task.changelog is None else self.parts[task.changelog]
        return not self.in_flight[task] and not any(part.fate is Fate.OPEN for part in changelog)

    def noted(self, task: Task) -> list[tuple[TaskCommit, Note]]:
        """The task's commits that have a note of ours."""
        return [(commit, commit.note) for commit in self.commits[task] if commit.note is not None]

    def changelogs(self) -> list[tuple[Task, Place]]:
        """The tasks that have one."""
        return [(task, task.changelog) for task in self.tasks if task.changelog is not None]

    def is_committed_by(self, expected: Expected, writer: Writer) -> bool:
        """Whether this writer has, in any transaction, moved the group behind the input; or is about to."""
        place = Place(expected.input.topic, expected.input.partition)
        return any(
            commit.writer == writer and commit.next_offsets.get(place, 0) > expected.input.offset
            for commit in (*self.commits[expected.task], *self.in_flight[expected.task])
        )


def as_input(place: Place, record: StoredRecord) -> Input:
    """A stored record as the model is given it."""
    return Input(
        place.topic, place.partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
    )


def input_witness(record: Input, note: str = "") -> Witness:
    """An input as a witness."""
    stored = StoredRecord(record.offset, record.timestamp_ms, record.key, record.value, record.headers)
    return Witness("input", Place(record.topic, record.partition), record.offset, note, stored)

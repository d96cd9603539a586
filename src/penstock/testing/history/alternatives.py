"""Runs that one single fault would have made: what state has to do with it is found by trying.

A task with state that goes wrong once gives other values from there on. Which fault it was cannot be told from one
record, but each fault predicts the rest of the run: the state of an earlier commit after a takeover, an input twice, an
input of an aborted transaction, inputs left out. `likely` gives the scripts of these runs, the nearest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from penstock.testing.history.evidence import Evidence, TaskCommit, input_witness
from penstock.testing.history.log import Place
from penstock.testing.history.model import Input
from penstock.testing.history.notes import COMMIT_RECORD, commit_of
from penstock.testing.history.run import Expected, Task, fold, play
from penstock.testing.history.verdict import Kind, Verdict, Witness
from penstock.testing.segments import Fate

_NEAR = 50
"""How many records a fault is looked for at."""
_BACK = 30
"""How many commits, likewise."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of an alternative run.

    Attributes:
        commit: which of the task's commits it belongs to.
        records: in their order.
        is_shown: whether its outputs became visible.
        state: what the task's state is before it; None = as the run left it.
    """

    commit: int
    records: Sequence[Input]
    is_shown: bool = True
    state: dict[Any, Any] | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """A fault that may have been.

    Attributes:
        verdict: what it would be called.
        scenes: the run that it would have made.
        inputs: those that it is about.
    """

    verdict: Verdict
    scenes: list[Scene]
    inputs: Sequence[Input] = field(default_factory=list[Input])

    def play(self, task: Task) -> tuple[list[Expected], dict[Any, Any]]:
        """What would be visible, and the state in the end."""
        state: dict[Any, Any] = {}
        found: list[Expected] = []
        for scene in self.scenes:
            if scene.state is not None:
                state = dict(scene.state)
            effects = play(task, scene.records, state, scene.commit)
            if scene.is_shown:
                found += effects
        return found, state


def likely(evidence: Evidence, task: Task, seed: Input | None) -> Iterator[Alternative]:
    """The faults that may have come before this input's first wrong result; None = before the end."""
    intervals = evidence.intervals[task]
    if not intervals:
        return
    position = {(each.topic, each.offset): n for n, own in enumerate(intervals) for each in own}
    at = len(intervals) - 1 if seed is None else position[seed.topic, seed.offset]
    yield from _stale(evidence, task, at)
    yield from _aborted(evidence, task)
    yield from _twice(evidence, task, at)
    if seed is not None:
        yield from _left_out(evidence, task, seed)


def _scenes(intervals: Sequence[Sequence[Input]]) -> list[Scene]:
    return [Scene(n, own) for n, own in enumerate(intervals)]


def _stale(evidence: Evidence, task: Task, at: int) -> Iterator[Alternative]:
    """A new owner begins with the state of an earlier commit, or with a part of the last one."""
    commits, intervals = evidence.commits[task], evidence.intervals[task]
    takeovers = [n for n in range(min(at, len(commits) - 1), 0, -1) if _is_takeover(commits[n - 1], commits[n])]
    for takeover in takeovers[:3]:
        states = list(_states(task, intervals[: takeover - 1]))
        for name, state in chain(
            reversed(states[-_BACK:]), _partial(evidence, task, commits[takeover]), [("nothing", {})]
        ):
            scenes = _scenes(intervals)
            scenes[takeover] = Scene(takeover, intervals[takeover], state=state)
            yield Alternative(_stale_verdict(task, commits, takeover, name), scenes)


def _is_takeover(before: TaskCommit, after: TaskCommit) -> bool:
    """Whether somebody has claimed the task; where that is not noted, whether another producer goes on."""
    if before.note is None or after.note is None:
        return before.writer != after.writer
    return before.note.owner_epoch != after.note.owner_epoch


def _states(task: Task, intervals: Sequence[Sequence[Input]]) -> Iterator[tuple[str, dict[Any, Any]]]:
    state: dict[Any, Any] = {}
    for commit, own in enumerate(intervals):
        play(task, own, state, commit)
        yield f"that of commit {commit}", dict(state)


def _partial(evidence: Evidence, task: Task, taken: TaskCommit) -> Iterator[tuple[str, dict[Any, Any]]]:
    """The changelog up to each of the last records in front of the new owner's first."""
    if task.changelog is None or taken.note is None:
        return
    state: dict[Any, Any] = {}
    found: list[tuple[str, dict[Any, Any]]] = []
    for part in evidence.parts[task.changelog]:
        if part.fate is not Fate.COMMITTED:
            continue
        record = commit_of(part.entries[-1].record.value)
        if record is not None and record.note.sequence >= taken.note.sequence:
            break
        for entry in part.entries:
            if entry.record.key != COMMIT_RECORD:
                fold(task.stage, state, entry.record.key or b"", entry.record.value)
                found.append((f"the changelog up to offset {entry.offset}", dict(state)))
    yield from reversed(found[-_NEAR:])


def _stale_verdict(task: Task, commits: Sequence[TaskCommit], takeover: int, name: str) -> Verdict:
    source = next(place for place in task.sources if place in commits[takeover].next_offsets)
    before, after = commits[takeover - 1], commits[takeover]
    witnesses = [each.witness(source) for each in (before, after) if source in each.next_offsets]
    return Verdict(
        Kind.STALE_RESTORE,
        source,
        after.next_offsets[source],
        f"the new owner of {task} went on from {name}, not from the state that was committed last",
        tuple(witnesses),
    )


def _aborted(evidence: Evidence, task: Task) -> Iterator[Alternative]:
    """Records of transactions that were not committed, among the others."""
    intervals = evidence.intervals[task]
    strays = [part for place in task.sources for part in evidence.inputs(task, place, Fate.ABORTED, Fate.OPEN) if part]
    single = [[record] for part in strays for record in part]
    everything = [[record for part in strays for record in part]] if len(strays) > 1 else []
    for group in (*everything, *strays, *islice(single, _NEAR)):
        yield Alternative(aborted_verdict(task, group[0]), _scenes(_with(task, intervals, group)), group)


def _with(task: Task, intervals: Sequence[Sequence[Input]], strays: Sequence[Input]) -> list[list[Input]]:
    """Each stray in the commit that was the first to go beyond it, among the records of its partition."""
    found = [list(own) for own in intervals]
    for stray in strays:
        behind = (own for own in found if any(each.topic == stray.topic and each.offset > stray.offset for each in own))
        next(behind, found[-1]).append(stray)
    topics = task.stage.sources
    return [
        task.stage.order([sorted((e for e in own if e.topic == t), key=lambda e: e.offset) for t in topics])
        for own in found
    ]


def aborted_verdict(task: Task, record: Input, *shown: Witness) -> Verdict:
    """The name of it."""
    place = shown[0].place if shown else Place(record.topic, record.partition)
    return Verdict(
        Kind.ABORTED_READ,
        place,
        shown[0].offset if shown else record.offset,
        f"{task} has processed {record}, which was never committed",
        (input_witness(record, "not committed"), *shown),
    )


def _twice(evidence: Evidence, task: Task, at: int) -> Iterator[Alternative]:
    """Inputs that were applied, and once more: the first time without becoming visible, or both times visibly."""
    intervals = evidence.intervals[task]
    flat = [record for own in intervals for record in own]
    starts = [0]
    for own in intervals:
        starts.append(starts[-1] + len(own))
    for first in range(at, max(at - 3, -1), -1):
        begin = starts[first]
        for end in range(begin + 1, min(begin + _NEAR, len(flat)) + 1):
            scenes = _scenes(intervals)
            scenes.insert(first, Scene(first, flat[begin:end], is_shown=False))
            yield Alternative(_twice_verdict(task, flat[begin]), scenes, flat[begin:end])
    for last in range(min(at + 1, len(intervals)), max(at - 3, 0), -1):
        end = starts[last]
        begins = {*range(max(end - _NEAR, 0), end), *starts[max(last - _BACK, 0) : last]}
        for begin in sorted((each for each in begins if each < end), reverse=True):
            scenes = _scenes(intervals)
            scenes.insert(last, Scene(last, flat[begin:end]))
            yield Alternative(_twice_verdict(task, flat[begin]), scenes, flat[begin:end])


def _twice_verdict(task: Task, record: Input) -> Verdict:
    return Verdict(
        Kind.DUPLICATE,
        Place(record.topic, record.partition),
        record.offset,
        f"{task} has applied {record} twice to its state",
        (input_witness(record),),
    )


def _left_out(evidence: Evidence, task: Task, seed: Input) -> Iterator[Alternative]:
    """Inputs that were stepped over."""
    intervals = evidence.intervals[task]
    flat = [record for own in intervals for record in own]
    begin = next(n for n, each in enumerate(flat) if (each.topic, each.offset) == (seed.topic, seed.offset))
    for end in range(begin + 1, min(begin + _NEAR, len(flat)) + 1):
        gone = {(each.topic, each.offset) for each in flat[begin:end]}
        kept = [[each for each in own if (each.topic, each.offset) not in gone] for own in intervals]
        yield Alternative(lost_verdict(evidence, task, seed), _scenes(kept), flat[begin:end])


def lost_verdict(evidence: Evidence, task: Task, record: Input, *shown: Witness) -> Verdict:
    """The name of it: the input, and the commit that says that it is done."""
    place = Place(record.topic, record.partition)
    commit = next(each for each in evidence.commits[task] if each.next_offsets.get(place, 0) > record.offset)
    return Verdict(
        Kind.LOST,
        place,
        record.offset,
        f"{task} has committed it as done, and what should have come of it is not there",
        (input_witness(record), commit.witness(place), *shown),
    )

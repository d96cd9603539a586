"""One fault for many wrong values: the alternative run that fits what a task with state has left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from functools import partial
from typing import Any

from penstock.testing.history.alternatives import Alternative, likely
from penstock.testing.history.case import Case
from penstock.testing.history.changelogs import final_state
from penstock.testing.history.evidence import Evidence, Seen
from penstock.testing.history.model import Input, Output
from penstock.testing.history.run import Expected, Task
from penstock.testing.history.verdict import Verdict

Group = tuple[str, bytes | None]
"""Topic and key: where results depend on each other. Dead letters are no part of it."""


def group_of_effect(expected: Expected) -> Group | None:
    """The group of an effect; None for a dead letter."""
    return (expected.effect.topic, expected.effect.key) if isinstance(expected.effect, Output) else None


def group_of_record(evidence: Evidence, seen: Seen) -> Group | None:
    """The group of a record; None for a dead letter."""
    return None if seen.place.topic in evidence.dead_letter_topics else (seen.place.topic, seen.record.key)


def explained(case: Case) -> Iterator[Verdict]:
    """The nearest single fault that makes wrong groups right and no right one wrong; none where nothing does.

    Only tasks with state are looked at: without, a record that is wrong says by itself what it is.
    """
    left, evidence = case.left, case.evidence
    if not (left.missing or left.surplus or left.torn or case.states_that_differ):
        return
    for task in evidence.tasks:
        found = None if task.changelog is None else _explanation(case, task)
        if found is None:
            continue
        alternative, groups = found
        left.take_missing(partial(_is_missing_of, groups))
        left.take_surplus(partial(_is_surplus_of, groups, evidence))
        left.judged.add(task)
        torn = left.torn.get(task, [])
        if not any(record in torn for record in alternative.inputs):  # else it follows from what was torn off
            yield alternative.verdict


def _is_missing_of(groups: set[Any], expected: Expected) -> bool:
    return group_of_effect(expected) in groups


def _is_surplus_of(groups: set[Any], evidence: Evidence, seen: Seen) -> bool:
    return group_of_record(evidence, seen) in groups


def _explanation(case: Case, task: Task) -> tuple[Alternative, set[Any]] | None:
    evidence, facts = case.evidence, Facts(case.evidence, task)
    wrong = facts.wrong(evidence.runs[task])
    concerned = {group_of_effect(each) for each in case.left.missing if each.task == task}
    concerned |= {group_of_record(evidence, each) for each in case.left.surplus}
    suspects = {group for group in wrong if group in concerned or group is _STATE}
    best: tuple[Alternative, set[Any]] | None = None
    for alternative in likely(evidence, task, _seed(case, task)) if suspects else ():
        still_wrong = facts.wrong(alternative.play(task))
        mended = suspects - still_wrong
        if still_wrong <= wrong and mended and (best is None or len(mended) > len(best[1])):
            best = (alternative, mended)
            if mended == suspects:
                break
    return best


_STATE: Any = object()
"""Stands for the task's state among the groups."""


class Facts:
    """What a task's groups and its changelog hold, beside which a run is put."""

    def __init__(self, evidence: Evidence, task: Task) -> None:
        self._topics = set(task.stage.outputs)
        self._there: dict[Hashable, Counter[Hashable]] = {}
        for seen in evidence.visible:
            group = group_of_record(evidence, seen)
            if group is not None and group[0] in self._topics:
                self._there.setdefault(group, Counter())[seen.content] += 1
        for expected in evidence.expected:
            if expected.task != task:  # what others have made of the same key is none of this task's
                self._take(self._there, expected, -1)
        self._state = final_state(evidence, task) if evidence.is_settled(task) else None
        self._key = task.stage.key

    @staticmethod
    def _take(into: dict[Hashable, Counter[Hashable]], expected: Expected, count: int) -> None:
        group = group_of_effect(expected)
        if group is not None:
            into.setdefault(group, Counter())[expected.content] += count

    def wrong(self, run: tuple[Iterable[Expected], dict[Any, Any]]) -> set[Any]:
        """The groups in which this run differs from what is there, `_STATE` among them."""
        effects, state = run
        made: dict[Hashable, Counter[Hashable]] = {}
        for each in effects:
            self._take(made, each, 1)
        nothing = Counter[Hashable]()
        found: set[Any] = {
            group
            for group in made.keys() | self._there.keys()
            if made.get(group, nothing) != self._there.get(group, nothing)
        }
        if self._state is not None and state != self._state:
            found.add(_STATE)
        return found


def _seed(case: Case, task: Task) -> Input | None:
    """The first input whose result is not there."""
    missing = {(each.input.topic, each.input.offset) for each in case.left.missing if each.task == task}
    missing |= {(each.topic, each.offset) for each in case.left.torn.get(task, [])}
    return next(
        (each for own in case.evidence.intervals[task] for each in own if (each.topic, each.offset) in missing), None
    )

"""What should be visible and is not: not visible yet, cleaned away, torn off, dropped without a word, lost."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial

from penstock.testing.history.alternatives import lost_verdict
from penstock.testing.history.case import Case
from penstock.testing.history.evidence import Seen, TaskCommit, input_witness
from penstock.testing.history.log import Place
from penstock.testing.history.model import DeadLetter, Output
from penstock.testing.history.run import Expected, content_of
from penstock.testing.history.verdict import Kind, Verdict
from penstock.testing.segments import Fate


def on_its_way(case: Case) -> Iterator[Verdict]:
    """One part of a transaction is committed, the marker of another is still to come: nothing is wrong with that."""
    evidence = case.evidence

    def is_output_awaited(expected: Expected) -> bool:
        commit = evidence.covering(expected)  # None where a cleaner took it: then any transaction may be the one
        return any(
            copy.part.fate is Fate.OPEN and (commit is None or copy.data.writer == commit.writer)
            for copy in evidence.hidden.get(expected.content, [])
        )

    def is_offset_awaited(seen: Seen) -> bool:
        return seen.data.is_transactional and any(
            evidence.is_committed_by(expected, seen.data.writer) for expected in evidence.ahead.get(seen.content, [])
        )

    case.left.excuse(is_output_awaited)
    case.left.awaited = case.left.take_surplus(is_offset_awaited)
    yield from ()


def cleaned(case: Case) -> Iterator[Verdict]:
    """A cleaner has taken it: nothing is wrong with that."""
    if case.left.missing:
        case.left.excuse(_Cleaner(case).has_taken)
    yield from ()


class _Cleaner:
    """What compaction may have taken: a record of a key with a later one behind it, or with a tombstone."""

    def __init__(self, case: Case) -> None:
        history = case.evidence.history
        self._topics = {
            topic
            for topic in history.compacted
            if any(not history.logs[place].is_whole for place in history.places(topic))
        }
        # What is visible already, and whose offset is on its way, is later than all that is committed.
        self._awaited = {(seen.place.topic, seen.record.key) for seen in case.left.awaited}
        self._order = {id(each): n for n, each in enumerate(case.evidence.expected)}
        there = {id(pair.expected) for pair in case.matching.pairs}
        self._later: dict[tuple[str, bytes | None], list[Expected]] = {}
        for each in case.evidence.expected:
            if isinstance(each.effect, Output) and (id(each) in there or each.effect.value is None):
                self._later.setdefault((each.effect.topic, each.effect.key), []).append(each)

    def has_taken(self, expected: Expected) -> bool:
        effect = expected.effect
        if not isinstance(effect, Output) or effect.topic not in self._topics:
            return False
        # Which of two tasks came first is not known, so that the other's record counts as later.
        group = (effect.topic, effect.key)
        return group in self._awaited or any(
            each.task != expected.task or self._order[id(each)] >= self._order[id(expected)]
            for each in self._later.get(group, [])
        )


def torn_off(case: Case) -> Iterator[Verdict]:
    """Aborted, while its offset was committed in the same transaction, or outside of any."""
    found = {id(each): _torn_copy(case, each) for each in case.left.missing}
    for each in case.left.take_missing(lambda expected: found[id(expected)] is not None):
        copy, commit = found[id(each)] or (None, None)
        if copy is not None and commit is not None:
            case.left.torn.setdefault(each.task, []).append(each.input)
            yield Verdict(
                Kind.TORN,
                copy.place,
                copy.data.offset,
                f"it was aborted, and the offset of {each.input}, of which it comes, was committed",
                (input_witness(each.input), copy.witness("aborted"), commit.witness(_source(each))),
            )


def _torn_copy(case: Case, expected: Expected) -> tuple[Seen, TaskCommit] | None:
    commit = case.evidence.covering(expected)
    if commit is None:
        return None
    for copy in case.evidence.hidden.get(expected.content, []):
        if copy.part.fate is Fate.ABORTED:
            if not commit.is_transactional:
                return copy, commit
            # Other results of this commit may stand here in another transaction: then this one was aborted rightly.
            is_another = any(
                pair.seen.place == copy.place and pair.seen.part is not copy.part
                for pair in case.matching.pairs
                if pair.expected.task == expected.task and pair.expected.commit == expected.commit
            )
            if copy.data.writer == commit.writer and not is_another:
                return copy, commit
    return None


def dropped(case: Case) -> Iterator[Verdict]:
    """A dead letter that is not there."""
    for each in case.left.take_missing(lambda expected: isinstance(expected.effect, DeadLetter)):
        commit = case.evidence.committed(each)
        yield Verdict(
            Kind.SILENT_DROP,
            _source(each),
            each.input.offset,
            f"{each.task} has committed it as done, it fails, and no dead letter in {each.topic} tells of it",
            (input_witness(each.input), commit.witness(_source(each))),
        )


def lost(case: Case) -> Iterator[Verdict]:
    """An output that is not there; a dead letter may stand in its place."""
    for each in case.left.take_missing(lambda expected: isinstance(expected.effect, Output)):
        letters: list[Seen] = []
        if each.input.topic in (each.task.stage.dead_letters or {}):
            content = content_of(each.task.stage, each.input, DeadLetter())
            letters = case.left.take_surplus(partial(_has_content, content))
        shown = [letter.witness("dead letter", "in its place") for letter in letters[:1]]
        yield lost_verdict(case.evidence, each.task, each.input, *shown)


def _has_content(content: Hashable, seen: Seen) -> bool:
    return seen.content == content


def _source(expected: Expected) -> Place:
    return Place(expected.input.topic, expected.input.partition)

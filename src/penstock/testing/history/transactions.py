"""The rules about what belongs together: outputs, state, dead letters and offsets of one piece of work."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.testing.history.case import Case
from penstock.testing.history.changelogs import ChangelogPart, changelog_parts
from penstock.testing.history.evidence import TaskCommit, input_witness
from penstock.testing.history.log import Place
from penstock.testing.history.matching import Pair
from penstock.testing.history.notes import Note
from penstock.testing.history.run import Task
from penstock.testing.history.verdict import Kind, Verdict, Witness
from penstock.testing.segments import Fate


def other_writer(case: Case) -> Iterator[Verdict]:
    """A result and its offset by two producers: they cannot have been one transaction."""
    for pair in case.matching.pairs:
        commit = case.evidence.covering(pair.expected)
        if commit is None or not pair.is_certain or _may_have_written(case, pair, commit):
            continue
        if pair.seen.data.is_transactional or commit.is_transactional:
            yield _torn(pair, commit, "its offset was committed by another producer")


def _may_have_written(case: Case, pair: Pair, commit: TaskCommit) -> bool:
    """Whether it was written by who committed its offset, or the task behind that if it may have been parked."""
    writer, task, at = pair.seen.data.writer, pair.expected.task, pair.expected.commit
    if writer == commit.writer or not task.stage.parks:
        return writer == commit.writer
    return any(each.writer == writer for each in case.evidence.commits[task][at:])


def other_transaction(case: Case) -> Iterator[Verdict]:
    """Results that one commit covers, in two transactions; or results of two commits in one."""
    first: dict[tuple[Task, Place, int], Pair] = {}
    owner: dict[tuple[Task, int], Pair] = {}
    for pair in case.matching.pairs:
        task, commit, part = pair.expected.task, pair.expected.commit, pair.seen.part
        covering = case.evidence.covering(pair.expected)
        if commit is None or covering is None or not pair.is_certain or not pair.seen.data.is_transactional:
            continue
        if task.stage.parks:
            continue
        one = first.setdefault((task, pair.seen.place, commit), pair)
        if one.seen.part is not part:
            yield _torn(pair, covering, "another result of the same commit is in another transaction", one)
        other = owner.setdefault((task, id(part)), pair)
        if other.expected.commit != commit:
            yield _torn(pair, covering, "its transaction has a result of another commit", other)


def _torn(pair: Pair, commit: TaskCommit, sentence: str, *others: Pair) -> Verdict:
    source = Place(pair.expected.input.topic, pair.expected.input.partition)
    return Verdict(
        Kind.TORN,
        pair.seen.place,
        pair.seen.data.offset,
        sentence,
        (
            input_witness(pair.expected.input),
            pair.seen.witness(),
            *(other.seen.witness() for other in others),
            commit.witness(source),
        ),
    )


def state_without_offsets(case: Case) -> Iterator[Verdict]:
    """A transaction's part of the changelog says one thing, the group's offsets another or nothing."""
    for task in case.evidence.tasks:
        commits = {commit.note: commit for commit in case.evidence.commits[task]}
        flying = {commit.note for commit in case.evidence.in_flight[task]}
        if None in commits:
            continue  # whoever commits without a note cannot be told apart
        for part in changelog_parts(case.evidence, task, Fate.COMMITTED):
            said = part.commit
            if said is None or said.note in flying or not case.evidence.history.offsets.is_whole:
                continue
            commit = commits.get(said.note)
            if commit is None:
                case.left.judged.add(task)
                yield _part(part, f"transaction {said.note.sequence} of {task} has no offsets")
            elif any(said.next_offsets.get(place.topic) != offset for place, offset in commit.next_offsets.items()):
                case.left.judged.add(task)
                source = next(iter(commit.next_offsets))
                yield _part(
                    part,
                    f"the offsets of transaction {said.note.sequence} of {task} are others than its commit record's",
                    commit.witness(source),
                )


def offsets_without_state(case: Case) -> Iterator[Verdict]:
    """The group has a transaction of a task whose part is not in the changelog."""
    for task, changelog in case.evidence.changelogs():
        if not case.evidence.history.logs[changelog].is_whole:
            continue
        there = {
            part.commit.note
            for part in changelog_parts(case.evidence, task, Fate.COMMITTED, Fate.OPEN)
            if part.commit is not None
        }
        for commit, note in case.evidence.noted(task):
            if note not in there:
                case.left.judged.add(task)
                source = next(iter(commit.next_offsets))
                yield Verdict(
                    Kind.TORN,
                    source,
                    commit.next_offsets[source],
                    f"transaction {note.sequence} of {task} has no part in {changelog}",
                    (commit.witness(source),),
                )


def state_without_commit_record(case: Case) -> Iterator[Verdict]:
    """A transaction's part of the changelog does not end with its commit record; a cleaner may have taken that."""
    for task, changelog in case.evidence.changelogs():
        if case.evidence.history.logs[changelog].is_whole:
            for part in changelog_parts(case.evidence, task, Fate.COMMITTED):
                if part.commit is None:
                    case.left.judged.add(task)
                    yield _part(part, "its transaction does not end with a commit record")


def sequences(case: Case) -> Iterator[Verdict]:
    """A task's transactions are counted without a hole, across owners."""
    if not case.evidence.history.offsets.is_whole:
        return
    for task in case.evidence.tasks:
        before = Note(0, "", 0)
        for commit, note in case.evidence.noted(task):
            has_new_owner = note.owner_epoch - before.owner_epoch
            if note.sequence != before.sequence + 1 and has_new_owner >= 0:  # else an owner that was replaced writes
                source = next(iter(commit.next_offsets))
                again = Kind.STALE_RESTORE if has_new_owner else Kind.OFFSET_REGRESSION
                case.left.judged.add(task)
                yield Verdict(
                    Kind.TORN if note.sequence > before.sequence else again,
                    source,
                    commit.next_offsets[source],
                    f"{task} goes on with transaction {note.sequence} behind {before.sequence}",
                    (commit.witness(source),),
                )
            before = note


def _part(part: ChangelogPart, sentence: str, *others: Witness) -> Verdict:
    record = next(entry.record for entry in part.part.entries if entry.offset == part.at)
    witness = Witness("changelog", part.place, part.at, str(part.part.writer), record)
    return Verdict(Kind.TORN, part.place, part.at, sentence, (witness, *others))

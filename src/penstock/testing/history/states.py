"""The rules about state: what a changelog holds is what the model holds, and what its commit records say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from penstock.testing.history.case import Case
from penstock.testing.history.changelogs import changelog_parts, committed_entries, final_state
from penstock.testing.history.evidence import TaskCommit
from penstock.testing.history.log import Data, Place
from penstock.testing.history.notes import COMMIT_RECORD, Digested, commit_of
from penstock.testing.history.run import Task, go_on
from penstock.testing.history.verdict import Kind, Verdict, Witness
from penstock.testing.segments import Fate


def values(case: Case) -> Iterator[Verdict]:
    """Each record of the changelog beside the model's state after the commit that it belongs to."""
    for task, changelog in case.evidence.changelogs():
        if task not in case.left.judged and not task.stage.parks:
            yield from _values(case, task, changelog)


def _values(case: Case, task: Task, changelog: Place) -> Iterator[Verdict]:
    evidence = case.evidence
    by_note = {
        part.commit.note: part for part in changelog_parts(evidence, task, Fate.COMMITTED) if part.commit is not None
    }
    state: dict[Any, Any] = {}
    for commit, records in zip(evidence.commits[task], evidence.intervals[task], strict=True):
        go_on(task, records, state)
        part = None if commit.note is None else by_note.get(commit.note)
        for entry in [] if part is None else part.part.entries:
            key = None if entry.record.key in {None, COMMIT_RECORD} else task.stage.key(entry.record.key or b"")
            if key is None:
                continue
            value, is_there = entry.record.value, key in state
            said = None if value is None else task.stage.value(entry.record.key or b"", value)
            if (value is not None) != is_there or (is_there and state[key] != said):
                case.left.judged.add(task)
                yield _wrong(changelog, entry, f"it is not the state of {task} after the commit it belongs to")


def outcome(case: Case) -> Iterator[Verdict]:
    """What a changelog adds up to, key by key, where nothing else was found about its task."""
    for task, changelog in case.evidence.changelogs():
        if task in case.left.judged or task not in case.states_that_differ:
            continue
        there, wanted = final_state(case.evidence, task), case.evidence.runs[task][1]
        last = {
            task.stage.key(entry.record.key or b""): entry
            for entry in committed_entries(case.evidence, task)
            if entry.record.key != COMMIT_RECORD
        }
        for key in wanted.keys() - there.keys():
            entry = last.get(key)
            if entry is not None:
                yield _wrong(changelog, entry, f"it deletes what {task} still holds")
        if wanted.keys() - there.keys() - last.keys():
            end = case.evidence.history.logs[changelog].next_offset
            yield Verdict(
                Kind.LOST,
                changelog,
                end,
                f"keys that {task} holds are not in its changelog: {len(wanted.keys() - last.keys())}",
                (Witness("changelog", changelog, end, "its end"),),
            )
        for key in there.keys() - wanted.keys():
            witness = Witness("changelog", changelog, last[key].offset, "", last[key].record)
            yield Verdict(Kind.PHANTOM, changelog, last[key].offset, f"{task} does not hold this key", (witness,))
        for key in there.keys() & wanted.keys():
            if there[key] != wanted[key]:
                yield _wrong(changelog, last[key], f"it is not what {task} holds in the end")


def digests(case: Case) -> Iterator[Verdict]:
    """A commit record's digest is that of the state before it; between a cleaner's gaps only the last can be told."""
    for task, changelog in case.evidence.changelogs():
        if task in case.left.judged:
            continue
        entries = committed_entries(case.evidence, task)
        last = max((n for n, entry in enumerate(entries) if entry.record.key == COMMIT_RECORD), default=-1)
        is_whole = case.evidence.history.logs[changelog].is_whole
        state = Digested()
        before: dict[bytes, int] = {}
        for at, entry in enumerate(entries):
            if entry.record.key != COMMIT_RECORD:
                before[state.digest] = entry.offset
                state.put(entry.record.key or b"", entry.record.value)
                continue
            said = commit_of(entry.record.value)
            if said is not None and said.digest != state.digest and (at == last or is_whole):
                commit = next((commit for commit, note in case.evidence.noted(task) if note == said.note), None)
                yield _digest(task, changelog, entry, before.get(said.digest), commit)


def _digest(task: Task, place: Place, entry: Data, stale_at: int | None, commit: TaskCommit | None) -> Verdict:
    witnesses = [Witness("changelog", place, entry.offset, str(entry.writer), entry.record)]
    witnesses += [] if commit is None else [commit.witness(next(iter(commit.next_offsets)))]
    if stale_at is None:
        sentence, kind = f"its digest is not that of the state of {task} before it", Kind.WRONG_VALUE
    else:
        sentence = f"its digest is that of the state of {task} before offset {stale_at}, not before it"
        kind = Kind.STALE_RESTORE
    return Verdict(kind, place, entry.offset, sentence, tuple(witnesses))


def _wrong(place: Place, entry: Data, sentence: str) -> Verdict:
    witness = Witness("changelog", place, entry.offset, str(entry.writer), entry.record)
    return Verdict(Kind.WRONG_VALUE, place, entry.offset, sentence, (witness,))

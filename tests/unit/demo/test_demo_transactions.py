"""What the coordinator's log tells of transactions, and the verdict on those that are torn."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from demo.atomicity import torn
from demo.coordinator_log import CoordinatorLog
from demo.fold import Entry, TaskLog
from demo.pipelines import PipelineInDemo
from tests.unit.testing.log_bytes import data

ONE, TWO, HEIR = (1, 0), (2, 0), (1, 1)
EMPTY, ONGOING, PREPARE_COMMIT, PREPARE_ABORT, COMPLETE_COMMIT, COMPLETE_ABORT = range(6)


def partitions(touched: Mapping[str, list[int]]) -> bytes:
    topics = b"".join(
        bytes([len(topic) + 1]) + topic.encode() + struct.pack(f">b{len(numbers)}i", len(numbers) + 1, *numbers) + b"\0"
        for topic, numbers in touched.items()
    )
    return bytes([len(touched) + 1]) + topics


def state(
    offset: int, name: str, life: tuple[int, int], status: int, touched: Mapping[str, list[int]] | None = None
) -> bytes:
    key = struct.pack(">hh", 0, len(name)) + name.encode()
    value = struct.pack(">hqhib", 1, *life, 60_000, status) + partitions(touched or {}) + b"\0" * 17
    return data(offset, (key, value))


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    (tmp_path / "__transaction_state-3").mkdir()
    return tmp_path / "__transaction_state-3" / f"{0:020d}.log"


def append(file: Path, *records: bytes) -> None:
    with file.open("ab") as log:
        log.write(b"".join(records))


def test_what_the_coordinator_cut_off_and_wrote_anew_is_counted_anew(tmp_path: Path, segment: Path) -> None:
    log = CoordinatorLog(tmp_path)
    kept = state(0, "worker", ONE, ONGOING)
    segment.write_bytes(kept + state(1, "worker", ONE, PREPARE_COMMIT) + state(2, "worker", ONE, COMPLETE_COMMIT))
    log.look()
    assert (log.of("worker").committed, log.of("worker").aborted) == (1, 0)
    segment.write_bytes(kept + state(1, "worker", HEIR, PREPARE_ABORT) + state(2, "worker", HEIR, COMPLETE_ABORT))
    log.look()
    assert (log.of("worker").committed, log.of("worker").aborted) == (0, 1)


def test_transactions_are_counted_by_their_id_and_open_until_they_are_decided(tmp_path: Path, segment: Path) -> None:
    log = CoordinatorLog(tmp_path)
    log.look()
    assert (log.of("worker").committed, log.of("worker").is_open) == (0, False)

    append(segment, state(0, "worker", ONE, EMPTY), state(1, "worker", ONE, ONGOING), state(2, "worker", ONE, ONGOING))
    append(segment, state(3, "other", TWO, ONGOING), state(4, "worker", ONE, PREPARE_COMMIT))
    log.look()
    assert (log.of("worker").committed, log.of("worker").is_open, log.of("other").is_open) == (0, False, True)

    append(segment, state(5, "worker", ONE, COMPLETE_COMMIT), state(6, "worker", ONE, ONGOING))
    # Its successor has it aborted, in an epoch that no data has.
    append(segment, state(7, "worker", HEIR, PREPARE_ABORT), state(8, "worker", HEIR, COMPLETE_ABORT))
    log.look()
    log.look()
    found = log.of("worker")
    assert (found.committed, found.aborted, found.life, found.is_open) == (1, 1, ONE, False)
    assert (log.of("other").committed, log.of("other").life) == (0, TWO)


def test_the_partitions_of_committed_transactions_are_told_and_no_others(tmp_path: Path, segment: Path) -> None:
    append(segment, state(0, "worker", ONE, ONGOING, {"out": [0]}))
    append(segment, state(1, "worker", ONE, PREPARE_COMMIT, {"out": [0, 7], "a" * 100: [300]}))
    append(segment, state(2, "worker", ONE, COMPLETE_COMMIT), state(3, "worker", ONE, PREPARE_ABORT, {"out": [1]}))
    append(segment, state(4, "worker", ONE, COMPLETE_ABORT), state(5, "worker", ONE, PREPARE_COMMIT))
    log = CoordinatorLog(tmp_path)
    log.look()
    assert log.of("worker").touched == [{("out", 0), ("out", 7), ("a" * 100, 300)}, frozenset()]


def test_a_record_in_another_form_is_refused(tmp_path: Path, segment: Path) -> None:
    append(segment, data(0, (struct.pack(">hh", 0, 1) + b"w", struct.pack(">hqhib", 2, *ONE, 60_000, ONGOING))))
    with pytest.raises(ValueError, match="version 2"):
        CoordinatorLog(tmp_path).look()


PIPELINE = PipelineInDemo("p", ("in",), ("out",))
WHOLE = frozenset({("p.in.changelog", 0), ("out", 0), ("__consumer_offsets", 3)})
CLAIM = WHOLE - {("out", 0)}


def logs(commits: int, parts: int) -> dict[int, TaskLog]:
    changelog = [Entry(offset, b"\0", b"") for offset in range(commits)]
    return {0: TaskLog(inputs={}, changelog=changelog, outputs={}, parts={"out": [1] * parts}, group={})}


def test_transactions_with_all_that_belongs_together_are_whole() -> None:
    assert list(torn(PIPELINE, [CLAIM, WHOLE, WHOLE], logs(commits=3, parts=2))) == []


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (frozenset({("out", 0)}), CLAIM, ["no offsets of the group", "outputs of [0] without their state"]),
        (WHOLE - {("__consumer_offsets", 3)}, CLAIM, ["no offsets of the group"]),
        (WHOLE - {("p.in.changelog", 0)}, CLAIM, ["outputs of [0] without their state"]),
        (frozenset({("out", 0), ("p.in.changelog", 1), ("__consumer_offsets", 3)}), CLAIM, ["outputs of [0] without"]),
    ],
)
def test_a_transaction_that_lacks_a_part_is_torn(
    first: frozenset[tuple[str, int]], second: frozenset[tuple[str, int]], told: list[str]
) -> None:
    """Even if the part is committed right behind it, in a transaction of its own."""
    commits = sum(("p.in.changelog", 0) in each for each in (first, second))
    problems = list(torn(PIPELINE, [first, second], logs(commits, parts=1)))
    assert len(problems) == len(told)
    assert all(text in problem for text, problem in zip(told, problems, strict=True)), problems


@pytest.mark.parametrize(("commits", "parts"), [(2, 1), (3, 2), (1, 1), (2, 3)])
def test_what_the_coordinator_does_not_know_of_or_cannot_be_found_is_told(commits: int, parts: int) -> None:
    problems = list(torn(PIPELINE, [WHOLE, WHOLE], logs(commits, parts)))
    assert len(problems) == (commits != 2) + (parts != 2)
    assert all("the coordinator knows of 2" in problem for problem in problems)

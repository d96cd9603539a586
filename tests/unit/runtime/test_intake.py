"""What is handed to a task is an unbroken chain; every way to break it ends in reading again, and in no loss."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.batch import SourceBatch
from penstock.errors import KafkaUnavailable
from penstock.kafka.polled import Partition, Polled
from penstock.runtime.intake import ChainBroken, Intake
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import Task
from tests.unit.runtime.in_memory import Cluster, InMemoryMember, running
from tests.unit.runtime.sums import ROWS, A, cluster, sums, totals
from tests.unit.runtime.test_task import LEFT, RIGHT, a_task, rows


def an_intake(*log: int) -> tuple[Intake, Task]:
    """A task at left 10 and right 20, started; the left partition holds these offsets."""
    task = a_task()
    member = running(Cluster({LEFT: [(offset, b"k", b"v", 0) for offset in log], RIGHT: []}), sums()).member
    assert isinstance(member, InMemoryMember)
    intake = Intake(member)
    intake.start({LEFT: 10, RIGHT: 20})
    return intake, task


def take(intake: Intake, task: Task | None, *batches: SourceBatch, end: int | None = None) -> bool:
    ends = {} if end is None else {LEFT: end}
    return intake.take(Polled(list(batches), ends), {} if task is None else {LEFT: task, RIGHT: task})


def test_records_behind_a_batch_that_was_dropped_are_refused_until_the_next_start() -> None:
    intake, task = an_intake(10, 11, 12)
    take(intake, None, rows("a"))
    with pytest.raises(ChainBroken, match="dropped"):
        take(intake, task, rows("b", offset=11))
    with pytest.raises(ChainBroken, match="dropped"):
        take(intake, task, end=12)
    intake.start({LEFT: 10})
    take(intake, task, rows("a", "b", "c"))
    assert task.buffer.buffered(LEFT) == 3


@pytest.mark.parametrize("offset", [0, 9])
def test_what_was_fetched_before_the_start_is_not_processed_again(offset: int) -> None:
    intake, task = an_intake(10)
    with pytest.raises(ChainBroken, match="10 comes next"):
        take(intake, task, rows("a", offset=offset))
    with pytest.raises(ChainBroken, match="10 comes next"):
        take(intake, task, end=offset)


def test_a_start_that_lands_behind_records_of_the_log_is_noticed() -> None:
    intake, task = an_intake(10, 11, 60)
    with pytest.raises(ChainBroken, match="has 10 before it"):
        take(intake, task, rows("a", offset=60))
    with pytest.raises(ChainBroken, match="has 10 before it"):
        take(intake, task, end=61)
    assert task.prepare().progress.next_offsets[LEFT] == 10


def test_a_jump_behind_the_first_batch_is_noticed() -> None:
    """The client fetched once where it was told to, and then somewhere else."""
    intake, task = an_intake(10, 11, 60)
    take(intake, task, rows("a", offset=10))
    with pytest.raises(ChainBroken, match="has 11 before it"):
        take(intake, task, rows("b", offset=60))
    assert task.buffer.buffered(LEFT) == 1


class SlowToAnswer:
    """A source whose first answer does not come; the log has a record at offset 10."""

    asked = 0

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Nothing is fetched."""

    def first_offset_from(self, partition: Partition, next_offset: int) -> int | None:
        """10, the second time."""
        self.asked += 1
        if self.asked == 1:
            raise KafkaUnavailable(f"{partition}: nothing from {next_offset} on")
        return 10


def test_an_answer_that_did_not_come_proves_nothing() -> None:
    intake, task = Intake(SlowToAnswer()), a_task()
    intake.start({LEFT: 10, RIGHT: 20})
    with pytest.raises(KafkaUnavailable):
        take(intake, task, rows("a", offset=60))
    with pytest.raises(ChainBroken, match="has 10 before it"):
        take(intake, task, rows("a", offset=60))


def test_each_start_is_proven_anew() -> None:
    intake, task = an_intake(10, 60)
    take(intake, task, rows("a", offset=10))
    take(intake, task, rows("b", offset=60))
    intake.start({LEFT: 10})
    with pytest.raises(ChainBroken, match="has 10 before it"):
        take(intake, task, rows("b", offset=60))


def test_offsets_that_the_log_does_not_have_may_be_missing() -> None:
    """Control records, aborted transactions, compaction: at the start, in between and at the end."""
    intake, task = an_intake(12, 15)
    take(intake, task, rows("a", offset=12))
    take(intake, task, rows("b", offset=15))
    take(intake, task, end=19)
    assert task.buffer.buffered(LEFT) == 2
    empty, other = an_intake()
    assert take(empty, other, end=14)
    assert other.prepare().progress.next_offsets[LEFT] == 14


def test_a_consumer_that_starts_too_far_on_loses_nothing() -> None:
    """The client skips records once, right behind the claim; the rest would be in order."""
    log = cluster()
    run = running(log, sums(), WorkerLimits(max_batch_records=4))
    run.member.skips[A] = 6
    run.until_idle()
    assert any(isinstance(error, ChainBroken) for error in run.hooks.aborts)
    assert log.values("out") == totals()


def test_an_end_behind_control_records_is_committed_without_a_record() -> None:
    log = cluster()
    log.ends[A] = 13
    run = running(log, sums(), WorkerLimits(max_batch_records=ROWS, commit_interval_s=0.0))
    while log.position_of(A) != ROWS:
        run.worker.step()
    run.until_idle()
    assert log.position_of(A) == 13
    assert log.values("out") == totals()

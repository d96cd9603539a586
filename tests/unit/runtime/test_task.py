"""What a task hands to a commit: offsets of every source, positions only where they are safe."""

from __future__ import annotations

import pytest

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.errors import BadRecord
from penstock.operators.operator import OpenTopic
from penstock.operators.repartition_records import decode_mark
from penstock.runtime.herald import Herald
from penstock.runtime.program import Program
from penstock.runtime.savepoint import RecordFailed, SavepointLogic
from penstock.runtime.task import Progress, Task, TaskId, TaskStatus
from penstock.schemas.topic import Topic
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.commit_record import decode
from penstock.state.offset_metadata import parse
from penstock.state.task_state import TaskState
from tests.unit.publishing.in_memory import ManualClock

LEFT, RIGHT = ("left", 0), ("right", 0)


def counting(value: str) -> int:
    if value == "bad":
        raise BadRecord("planted")
    return len(value)


def a_task(progress: Progress | None = None, herald: Herald | None = None) -> Task:
    """Two sources, one store."""
    made = Pipeline("p")
    left, right = Topic("left", key=str, value=str), Topic("right", key=str, value=str)
    lengths = made.stream(left).merge(made.stream(right)).map(counting, name="length")
    total = lengths.aggregate(int, lambda total, n: total + n, name="sum")
    total.to_stream().map(str, name="show").to(Topic("out", key=str, value=str))
    (group,) = made.topology().groups.values()
    opened = {topic.name: OpenTopic(topic.bind(None), 1) for topic in group.topics}
    state = TaskState()
    program = Program(group, opened, state, ManualClock(), 0)
    program.open()
    progress = progress or Progress({LEFT: 10, RIGHT: 20}, sequence=5, owner_epoch=2)
    logic = SavepointLogic(program, state)
    return Task(TaskId("left", 0), [LEFT, RIGHT], logic, state, progress, writer="p.0", topology="t", herald=herald)


def rows(*values: str, offset: int = 10, topic: str = "left") -> SourceBatch:
    count = len(values)
    places = list(range(offset, offset + count))
    return SourceBatch(topic, 0, places, [b"k"] * count, [v.encode() for v in values], places)


def feed(task: Task, batch: SourceBatch) -> None:
    task.buffer.add(batch)
    for partition in {LEFT, RIGHT} - {(batch.topic, batch.partition)}:
        task.buffer.mark_end(partition, 0)


def test_every_source_has_its_offset_unread_ones_too() -> None:
    task = a_task()
    feed(task, rows("a", "b"))
    task.run(100)
    prepared = task.prepare()
    assert {p: offset for p, (offset, _) in prepared.offsets.items()} == {LEFT: 12, RIGHT: 20}
    assert a_task().prepare().offsets.keys() == {LEFT, RIGHT}


def test_offsets_metadata_and_commit_record_say_the_same() -> None:
    task = a_task()
    feed(task, rows("a", "b"))
    task.run(100)
    task.reach_end(RIGHT, 23)
    prepared = task.prepare()
    assert prepared.keys[-1] == COMMIT_RECORD_KEY
    record = decode(prepared.values[-1] or b"", "here")
    assert record.next_offsets == {"left": 12, "right": 23}
    for _, text in prepared.offsets.values():
        metadata = parse(text)
        assert metadata is not None
        assert (metadata.sequence, metadata.writer, metadata.owner_epoch) == (6, "p.0", 2)
    assert (record.sequence, record.writer, record.owner_epoch) == (6, "p.0", 2)


def test_an_end_steps_over_control_records_behind_what_is_done() -> None:
    task = a_task()
    feed(task, rows("a"))
    task.run(100)
    assert task.reach_end(LEFT, 13)
    assert task.reach_end(RIGHT, 25)
    assert task.prepare().progress.next_offsets == {LEFT: 13, RIGHT: 25}


def test_an_end_is_no_progress_where_records_are_buffered() -> None:
    task = a_task()
    feed(task, rows("a", "b", "c"))
    assert not task.reach_end(LEFT, 13)
    task.run(1)
    assert task.prepare().progress.next_offsets[LEFT] == 11


def test_an_end_is_forgotten_when_records_come_behind_it() -> None:
    task = a_task()
    task.reach_end(LEFT, 30)
    feed(task, rows("a", "b", offset=30))
    task.run(1)
    assert task.prepare().progress.next_offsets[LEFT] == 31


def test_an_end_never_goes_back() -> None:
    task = a_task()
    assert not task.reach_end(LEFT, 3)
    assert task.prepare().progress.next_offsets[LEFT] == 10


def test_a_claim_takes_the_restored_offsets() -> None:
    prepared = a_task().prepare(claim=True)
    assert prepared.progress == Progress({LEFT: 10, RIGHT: 20}, sequence=6, owner_epoch=3)


def test_a_task_that_stopped_stays_in_front_of_its_record() -> None:
    """The rest of the batch is in no buffer any more, and the consumer stands behind it."""
    task = a_task()
    feed(task, rows("a", "bad", "c"))
    with pytest.raises(RecordFailed) as caught:
        task.run(100)
    task.stop()
    assert caught.value.staged.records == 1
    assert task.prepare().progress.next_offsets[LEFT] == 11
    task.apply()
    assert task.status is TaskStatus.STOPPED
    assert not len(task.buffer)


def test_a_discard_takes_back_state_offsets_and_the_stop() -> None:
    task = a_task()
    feed(task, rows("a", "bad"))
    with pytest.raises(RecordFailed):
        task.run(100)
    task.stop()
    task.prepare()
    assert task.discard() == {LEFT: 10, RIGHT: 20}
    assert task.status is TaskStatus.RUNNING
    prepared = task.prepare()
    assert prepared.keys == [COMMIT_RECORD_KEY], "no state of the discarded transaction"
    assert prepared.progress == Progress({LEFT: 10, RIGHT: 20}, sequence=6, owner_epoch=2)


def test_a_discard_forgets_what_is_buffered_since_it_is_read_again() -> None:
    task = a_task()
    feed(task, rows("a", "b", "c"))
    task.run(1)
    task.discard()
    assert not len(task.buffer)


def test_a_discard_does_not_wake_a_task_that_had_committed_before_it_stopped() -> None:
    task = a_task()
    feed(task, rows("bad"))
    with pytest.raises(RecordFailed):
        task.run(100)
    task.stop()
    task.discard()
    assert task.status is TaskStatus.STOPPED


def test_nothing_is_applied_that_was_not_prepared() -> None:
    task = a_task()
    with pytest.raises(RuntimeError, match="without being prepared"):
        task.apply()


def test_the_sequence_goes_up_by_one_per_commit_and_not_per_attempt() -> None:
    task = a_task()
    task.prepare()
    task.prepare()
    task.apply()
    assert task.committed.sequence == 6
    task.prepare()
    task.discard()
    task.prepare()
    task.apply()
    assert task.committed.sequence == 7


def test_its_time_is_told_when_it_has_moved_and_when_it_is_claimed() -> None:
    """Not when a transaction moves offsets alone, or brings a record that is older."""
    task = a_task(herald=Herald(0, 4, {"between": 2, "other": 1}))
    assert task.prepare(claim=True).marks == [], "it has no time yet"
    task.apply()
    feed(task, rows("a", "b"))
    task.run(100)
    marks = task.prepare().marks
    assert [(each.topic, each.partitions, each.timestamps_ms) for each in marks] == [
        ("between", [0, 1], [11, 11]),
        ("other", [0], [11]),
    ]
    mark = decode_mark(marks[0].values[0], "here")
    assert (mark.task, mark.tasks, mark.stream_time_ms) == (0, 4, 11)
    task.apply()
    assert task.reach_end(LEFT, 14)
    assert task.prepare().marks == []
    task.apply()
    older = rows("c", offset=14)
    older.timestamps_ms = [3]
    feed(task, older)
    task.run(100)
    assert task.prepare().marks == []
    task.apply()
    assert len(task.prepare(claim=True).marks) == 2

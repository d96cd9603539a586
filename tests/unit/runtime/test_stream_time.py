"""How far a task is in event time, in front of a repartition topic and behind it."""

from __future__ import annotations

from penstock.batch import SourceBatch
from penstock.operators.repartition_records import TimeMark
from penstock.runtime.stream_time import NO_TIME_YET, StreamTime, Timekeeping

BEHIND = Timekeeping(frozenset({"r"}))
MIXED = Timekeeping(frozenset({"r"}), frozenset({"direct"}))
DIRECT = Timekeeping(frozenset(), frozenset({"direct", "other"}))


def batch(topic: str, length: int) -> SourceBatch:
    column: list[bytes | None] = [b""] * length
    return SourceBatch(topic, 0, list(range(length)), column, column, [0] * length)


def marks(*told: tuple[int, int], tasks: int = 2) -> dict[int, TimeMark]:
    """Task and time, one mark at each place."""
    return {place: TimeMark(task=task, tasks=tasks, stream_time_ms=ms) for place, (task, ms) in enumerate(told)}


def after_marks(time: StreamTime, *told: tuple[int, int], tasks: int = 2, how: Timekeeping = BEHIND) -> StreamTime:
    return how.through(time, batch("r", len(told)), [], [], marks(*told, tasks=tasks))[1]


def test_in_front_it_is_the_latest_event_time_of_all_inputs() -> None:
    times_ms, time = DIRECT.through(StreamTime(), batch("direct", 3), [0, 1, 2], [5, 9, 7], {})
    assert (times_ms, time.now_ms) == ([5, 9, 9], 9)
    times_ms, time = DIRECT.through(time, batch("other", 3), [1], [8], {})
    assert (times_ms[1], time) == (9, StreamTime(9))


def test_behind_it_has_not_begun_until_every_upstream_task_was_heard() -> None:
    time = after_marks(StreamTime(), (0, 50), (0, 60), (2, 40), tasks=3)
    assert time.now_ms is None
    assert after_marks(time, (1, 45), tasks=3).now_ms == 40


def test_behind_it_is_the_earliest_of_the_upstream_tasks_at_each_record() -> None:
    told = {1: TimeMark(task=0, tasks=2, stream_time_ms=50), 3: TimeMark(task=1, tasks=2, stream_time_ms=30)}
    told[5] = TimeMark(task=1, tasks=2, stream_time_ms=70)
    times_ms, time = BEHIND.through(StreamTime(), batch("r", 7), [0, 2, 4, 6], [1, 2, 3, 4], told)
    assert [times_ms[place] for place in (0, 2, 4, 6)] == [NO_TIME_YET, NO_TIME_YET, 30, 50]
    assert time.now_ms == 50


def test_records_alone_do_not_move_it() -> None:
    """However late or early they are: only their own task can tell."""
    time = after_marks(StreamTime(), (0, 50), (1, 60))
    times_ms, same = BEHIND.through(time, batch("r", 2), [0, 1], [1_000, 2_000], {})
    assert (times_ms, same) == ([50, 50], time)


def test_a_task_that_begins_anew_and_says_less_takes_nothing_back() -> None:
    time = after_marks(StreamTime(), (0, 50), (1, 60), (0, 20))
    assert time == StreamTime(50, {"r": (50, 60)})


def test_upstream_tasks_that_are_added_hold_it_back_and_do_not_turn_it_back() -> None:
    """An input was given more partitions: whichever task says so first, from then on all are waited for."""
    time = after_marks(StreamTime(), (0, 50), (1, 60))
    time = after_marks(time, (1, 80), tasks=4)
    assert time == StreamTime(50, {"r": (50, 80, None, None)})
    time = after_marks(time, (2, 10), (3, 90), (0, 100), tasks=2 + 2)
    assert time.now_ms == 50
    assert after_marks(time, (2, 85), tasks=4).now_ms == 80
    # A worker that was not restarted knows less; it does not make the others forgotten.
    assert after_marks(time, (1, 95), tasks=2).clocks["r"] == (100, 95, 10, 90)


def test_a_stream_that_is_read_directly_is_one_more_clock() -> None:
    _, time = MIXED.through(StreamTime(), batch("direct", 2), [0, 1], [5, 90], {})
    assert time == StreamTime(None, {"direct": (90,)})
    time = after_marks(time, (0, 50), (1, 60), how=MIXED)
    assert time.now_ms == 50
    time = after_marks(time, (0, 200), (1, 100), how=MIXED)
    assert time.now_ms == 90
    times_ms, time = MIXED.through(time, batch("direct", 3), [0, 1, 2], [80, 95, 300], {})
    assert (times_ms, time.now_ms) == ([90, 95, 100], 100)


def test_a_table_beside_a_repartition_topic_moves_nothing() -> None:
    time = after_marks(StreamTime(), (0, 50), (1, 60))
    times_ms, same = BEHIND.through(time, batch("table", 2), [0, 1], [1_000, 2_000], {})
    assert (times_ms, same) == ([50, 50], time)

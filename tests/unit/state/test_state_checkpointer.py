from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from penstock.clock import SystemClock
from penstock.state.checkpoint_file import Checkpoint, CheckpointCancelled, CheckpointFile
from penstock.state.checkpoint_rules import load_checkpoint
from penstock.state.checkpointer import Checkpointer, CheckpointFailed, CheckpointWritten
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState
from tests.unit.state import checkpoint_writing as writing
from tests.unit.state.checkpoint_writing import EXPECTED, disk_full_at, load, write


class Later(Executor):
    """Runs what was submitted when told to."""

    def __init__(self) -> None:
        self.run: Any = None

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except OSError as err:
                future.set_exception(err)

        self.run = run
        return future


def task(file: CheckpointFile) -> tuple[TaskState, Store[str, int], Later, Checkpointer]:
    state = TaskState(unsaved={})
    store = Store(StoreSpec("sums", key=str, value=int), state)
    later = Later()
    return state, store, later, Checkpointer(file, state, later, SystemClock())


def commit(state: TaskState) -> None:
    state.accept_batch()
    state.prepare()
    state.apply()


def header_of(state: TaskState, sequence: int) -> Any:
    return writing.header(sequence, dict(state.committed))


def test_a_checkpoint_holds_the_state_of_when_it_was_begun(file: CheckpointFile) -> None:
    state, store, later, checkpointer = task(file)
    store.put("a", 1)
    commit(state)
    frozen = dict(state.committed)
    store.put("staged", 1)
    checkpointer.start(header_of(state, 1))
    assert checkpointer.outcome() is None
    store.put("a", 2)
    store.put("b", 2)
    commit(state)
    later.run()
    written = checkpointer.outcome()
    assert isinstance(written, CheckpointWritten)
    assert written.entries == 1
    assert written.size == file.path.stat().st_size
    assert load(file.path).entries == frozen
    assert checkpointer.outcome() is None

    checkpointer.start(header_of(state, 2))
    later.run()
    assert isinstance(checkpointer.outcome(), CheckpointWritten)
    assert load(file.path).entries == dict(state.committed)


def test_what_could_not_be_written_comes_with_the_next_checkpoint(file: CheckpointFile) -> None:
    state, store, later, checkpointer = task(file)
    for key in ("a", "b", "untouched"):
        store.put(key, 1)
    commit(state)
    checkpointer.start(header_of(state, 1))
    store.put("a", 2)
    store.delete("b")
    commit(state)
    with disk_full_at(10):
        later.run()
    failed = checkpointer.outcome()
    assert isinstance(failed, CheckpointFailed)
    assert not failed.is_lost
    checkpointer.start(header_of(state, 2))
    later.run()
    assert isinstance(checkpointer.outcome(), CheckpointWritten)
    assert isinstance(load_checkpoint(CheckpointFile(file.path), EXPECTED), Checkpoint)
    assert load(file.path).entries == dict(state.committed)


def test_a_lost_file_is_begun_anew_with_everything(file: CheckpointFile) -> None:
    state, store, later, checkpointer = task(file)
    for n in range(2):
        store.put(f"k{n}", n)
        commit(state)
        checkpointer.start(header_of(state, n))
        later.run()
        assert isinstance(checkpointer.outcome(), CheckpointWritten)
        file.path.write_bytes(b"")
        store.put("z", n)
        commit(state)
        checkpointer.start(header_of(state, n))
        later.run()
        failed = checkpointer.outcome()
        assert isinstance(failed, CheckpointFailed)
        assert failed.is_lost
    checkpointer.start(header_of(state, 9))
    later.run()
    assert isinstance(checkpointer.outcome(), CheckpointWritten)
    assert load(file.path).entries == dict(state.committed)


def test_the_file_is_compacted_when_it_has_doubled(file: CheckpointFile) -> None:
    state, store, later, checkpointer = task(file)
    for n in range(20):
        for key in range(100):
            store.put(f"k{key}", n)
        commit(state)
        checkpointer.start(header_of(state, n))
        later.run()
        written = checkpointer.outcome()
        assert isinstance(written, CheckpointWritten)
        assert written.size < 3 * 100 * 30 + 3_000
    assert load(file.path).entries == dict(state.committed)


def test_a_full_disk_during_compaction_is_told_but_the_checkpoint_counts(
    file: CheckpointFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, store, later, checkpointer = task(file)

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file, "compact", full)
    errors: list[OSError | None] = []
    for n in range(3):
        store.put("a", n)
        commit(state)
        checkpointer.start(header_of(state, n))
        later.run()
        written = checkpointer.outcome()
        assert isinstance(written, CheckpointWritten)
        errors.append(written.error)
    assert errors[-1] is not None
    assert load(file.path).entries == dict(state.committed)


def test_one_at_a_time(file: CheckpointFile) -> None:
    state, _, later, checkpointer = task(file)
    checkpointer.start(header_of(state, 1))
    assert checkpointer.is_busy
    with pytest.raises(RuntimeError, match="before the last one ended"):
        checkpointer.start(header_of(state, 2))
    later.run()
    assert checkpointer.is_busy
    checkpointer.outcome()
    assert not checkpointer.is_busy


def test_closing_gives_up_the_write_and_leaves_the_old_checkpoint(file: CheckpointFile) -> None:
    entries = write(file, 1, 2)
    state = TaskState(dict(entries), unsaved={b"\x04sums%d" % n: b"\x01\x01" for n in range(300_000)})
    with ThreadPoolExecutor(1) as pool:
        checkpointer = Checkpointer(file, state, pool, SystemClock())
        checkpointer.start(header_of(state, 3))
        checkpointer.close()
        outcome = checkpointer.outcome()
    assert isinstance(outcome, CheckpointFailed)
    assert isinstance(outcome.error, CheckpointCancelled)
    assert load(file.path).entries == entries

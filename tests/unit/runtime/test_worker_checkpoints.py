"""What a file on disk does for a worker, and what it can never do: make a wrong state, or stop a task."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide, Retriable
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.runtime.checkpoints import CheckpointHeld, Checkpoints, one_thread
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.task import TaskId
from penstock.schemas.topic import Topic
from penstock.state import digest as digests
from penstock.state.changelog import COMMIT_RECORD_KEY, store_prefix
from penstock.state.checkpoint_file import CheckpointFile
from penstock.state.checkpoint_rules import Rejected
from penstock.state.checkpointer import CheckpointFailed, CheckpointWritten
from penstock.state.offset_metadata import parse
from penstock.state.task_directory import TaskDirectory
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster, Disk, Running, running
from tests.unit.state.checkpoint_writing import disk_full_at

A = ("in", 0)
KEYS = 40
ROWS = 200


def sums() -> Pipeline:
    made = Pipeline("p")
    total = made.stream(Topic("in", key=str, value=str)).map(int).aggregate(int, lambda old, n: old + n, name="sum")
    total.to_stream().map(str).to(Topic("out", key=str, value=str))
    return made


def row(n: int) -> tuple[int, bytes, bytes, int]:
    return (n, b"k%d" % (n % KEYS), b"%d" % n, n)


def cluster(rows: int = ROWS) -> Cluster:
    return Cluster({A: [row(n) for n in range(rows)]})


def outputs(rows: int) -> list[bytes]:
    found: dict[int, int] = {}
    said: list[bytes] = []
    for n in range(rows):
        found[n % KEYS] = found.get(n % KEYS, 0) + n
        said.append(b"%d" % found[n % KEYS])
    return said


def work(log: Cluster, disk: Disk | None, *, gracefully: bool = True) -> Running:
    """Work until everything is done, then end."""
    run = running(log, sums(), WorkerLimits(max_batch_records=7), disk)
    run.until_idle()
    if gracefully:
        run.worker.close()
    else:
        run.worker.leave()
    return run


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path, topology=sums().topology().fingerprint)


def test_after_a_graceful_stop_the_next_start_reads_nothing_but_its_checkpoint(disk: Disk) -> None:
    log = cluster()
    disk.interval_s = 1_000
    assert isinstance(work(log, disk).hooks.checkpoints[-1], CheckpointWritten)
    log.inputs[A] += [row(n) for n in range(ROWS, ROWS + 50)]
    (restored,) = work(log, disk).hooks.restores
    assert (restored.rejected, restored.records) == (None, 0)
    assert restored.checkpoint_bytes > 0
    assert log.values("out") == outputs(ROWS + 50)


def test_after_a_crash_the_rest_comes_from_the_changelog(disk: Disk) -> None:
    """The last checkpoint is older than the last commit, and covers what was below the end when it was begun."""
    log = cluster()
    work(log, disk)
    log.inputs[A] += [row(n) for n in range(ROWS, ROWS + 50)]
    disk.interval_s = 1_000
    work(log, disk, gracefully=False)
    log.inputs[A] += [row(n) for n in range(ROWS + 50, ROWS + 60)]
    (restored,) = work(log, disk).hooks.restores
    assert restored.rejected is None
    assert 0 < restored.records < len(log.changelog("in.changelog", 0)) / 2
    assert log.values("out") == outputs(ROWS + 60)


def test_the_offset_metadata_tells_from_where_a_restart_would_replay(disk: Disk) -> None:
    log = cluster()
    disk.interval_s = 1_000  # what one in between covers depends on when the end of the changelog was asked for
    work(log, disk)
    work(log, disk)
    metadata = parse(log.offsets[A].metadata)
    assert metadata is not None
    claim = len(log.changelog("in.changelog", 0)) - 1
    assert metadata.checkpoint == claim, "the first run's checkpoint covers everything before the second one's claim"


def test_1000_flipped_bits_never_make_a_wrong_state_or_a_dead_worker(disk: Disk) -> None:
    """Each flip is noticed: an older checkpoint or none is used, and the rest comes from the changelog."""
    log = cluster()
    work(log, disk)
    whole = disk.file().read_bytes()
    random = Random(1)
    rejected = 0
    for _ in range(1_000):
        flipped = bytearray(whole)
        flipped[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        disk.file().write_bytes(flipped)
        copy = Cluster({A: list(log.inputs[A])}, offsets=dict(log.offsets), transactions=list(log.transactions))
        copy.inputs[A].append(row(ROWS))
        run = work(copy, disk, gracefully=False)
        assert copy.values("out") == outputs(ROWS + 1)
        (restored,) = run.hooks.restores
        rejected += restored.rejected is not None
        assert restored.records > 0, "nothing but the undamaged newest checkpoint covers everything"
    assert rejected >= 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"topic_ids": {"in": "A", "in.changelog": "C"}}, "topics"), ({"topology": "u"}, "topology")],
)
def test_a_checkpoint_of_something_else_is_wiped(disk: Disk, change: dict[str, object], reason: str) -> None:
    log = cluster()
    work(log, disk)
    for name, value in change.items():
        setattr(disk, name, value)
    (restored,) = work(log, disk).hooks.restores
    assert (restored.rejected, restored.checkpoint_bytes) == (reason, 0)
    assert restored.records == len(log.changelog("in.changelog", 0)) - 1, "everything but the claim that follows"


def rewrite(disk: Disk, **changed: object) -> None:
    """Give the checkpoint another header, as a writer might have that was wrong about the log; its seals hold."""
    found = CheckpointFile(disk.file()).load()
    assert found is not None
    disk.file().unlink()
    CheckpointFile(disk.file()).append(msgspec.structs.replace(found.header, **changed), found.entries)


def test_a_checkpoint_that_leaves_out_records_is_wiped_and_the_changelog_read_alone(disk: Disk) -> None:
    """Its content is whole, but it claims to cover more of the changelog than it does: the digest tells."""
    log = cluster(rows=100)
    work(log, disk)
    log.inputs[A] += [row(n) for n in range(100, ROWS)]
    disk.interval_s = 1_000
    work(log, disk, gracefully=False)
    rewrite(disk, changelog_next_offset=len(log.changelog("in.changelog", 0)) - 1)
    log.inputs[A].append(row(ROWS))
    (restored,) = work(log, disk).hooks.restores
    assert (restored.rejected, restored.checkpoint_bytes) == ("digest", 0)
    assert log.values("out") == outputs(ROWS + 1)


def test_a_wiped_checkpoint_leaves_nothing_in_the_one_that_is_written_next(disk: Disk) -> None:
    log = cluster(rows=100)
    work(log, disk)
    log.inputs[A] += [row(n) for n in range(100, ROWS)]
    work(log, None)
    found = CheckpointFile(disk.file()).load()
    assert found is not None
    stray = {**found.entries, store_prefix("sum") + b"stray": b"\x01"}
    digest = digests.to_bytes(digests.digest_of(stray))
    disk.file().unlink()
    CheckpointFile(disk.file()).append(
        msgspec.structs.replace(found.header, commit=msgspec.structs.replace(found.header.commit, digest=digest)), stray
    )
    (restored,) = work(log, disk).hooks.restores
    assert restored.rejected == "digest"
    (restored,) = work(log, disk).hooks.restores
    assert restored.rejected is None


def test_a_checkpoint_that_covers_what_another_owner_wrote_is_wiped(disk: Disk) -> None:
    """A worker that was replaced without knowing it asks for the end, and writes its own old state beside it."""
    log = cluster(rows=100)
    work(log, disk)
    log.inputs[A] += [row(n) for n in range(100, ROWS)]
    disk.interval_s = 1_000
    work(log, disk, gracefully=False)
    rewrite(disk, changelog_next_offset=len(log.changelog("in.changelog", 0)))
    log.inputs[A].append(row(ROWS))
    (restored,) = work(log, disk).hooks.restores
    assert (restored.rejected, restored.checkpoint_bytes) == ("digest", 0)
    assert log.values("out") == outputs(ROWS + 1)


def test_the_sequence_tells_an_owner_that_moved_no_offset(disk: Disk) -> None:
    """Offsets and digest agree; only the sequence says that a transaction is missing."""
    log = cluster()
    work(log, disk)
    work(log, None)  # on another machine: a claim, and nothing else
    rewrite(disk, changelog_next_offset=len(log.changelog("in.changelog", 0)))
    run = work(log, disk)
    (restored,) = run.hooks.restores
    assert (restored.rejected, restored.checkpoint_bytes) == ("digest", 0)
    (owner_epoch,) = (part for part in log.offsets[A].metadata.split(";") if part.startswith("oe="))
    assert owner_epoch == "oe=3"


def test_a_checkpoint_beyond_the_end_of_the_changelog_is_wiped(disk: Disk) -> None:
    log = cluster()
    work(log, disk)
    rewrite(disk, changelog_next_offset=10_000)
    (restored,) = work(log, disk).hooks.restores
    assert (restored.rejected, restored.checkpoint_bytes) == ("topics", 0)


def test_what_is_wrong_with_the_changelog_itself_is_not_blamed_on_the_file(disk: Disk) -> None:
    """Without its checkpoint the task still disagrees with the group, so an operator decides."""
    log = cluster()
    work(log, disk)
    for records, _ in log.transactions[2:]:
        records[:] = [w for w in records if w.topic != "in.changelog"]
    disk.file().unlink()
    with pytest.raises(OperatorMustDecide, match="its changelog at"):
        work(log, disk)


def test_a_full_disk_costs_nothing_but_the_checkpoint(disk: Disk) -> None:
    log = cluster()
    with disk_full_at(100):
        run = work(log, disk)
    assert run.hooks.checkpoints
    assert all(isinstance(outcome, CheckpointFailed) for outcome in run.hooks.checkpoints)
    assert log.values("out") == outputs(ROWS)
    log.inputs[A].append(row(ROWS))
    (restored,) = work(log, disk).hooks.restores
    assert restored.checkpoint_bytes == 0
    assert log.values("out") == outputs(ROWS + 1)


def test_the_directory_is_locked_while_the_task_runs_and_free_when_it_is_given_away(disk: Disk) -> None:
    run = running(cluster(), sums(), disk=disk)
    run.until_idle()
    with pytest.raises(Retriable, match="held by another process"), TaskDirectory(disk.folder, "p.in.0"):
        raise AssertionError("two have it")
    run.member.events.append(("revoked", [A]))
    run.worker.step()
    with TaskDirectory(disk.folder, "p.in.0") as mine:
        assert mine.path == disk.file().parent


class OnDemand(Executor):
    """Runs what was submitted when told to."""

    def __init__(self) -> None:
        self.run: Any = None

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.run = lambda: future.set_result(fn(*args, **kwargs))
        return future


def test_a_restore_that_is_given_away_touches_the_file_no_more(disk: Disk) -> None:
    """Its thread gets to the file when another process may have it already."""
    work(cluster(), disk)
    before = disk.file().read_bytes()
    disk.topology = "u"  # it would be wiped if it were looked at
    disk.executor = executor = OnDemand()
    stored = disk.open(TaskId("in", 0), lambda: 0, WorkerHooks())
    assert stored.load() is None
    stored.close()
    with TaskDirectory(disk.folder, "p.in.0"):
        executor.run()
        assert disk.file().read_bytes() == before
    assert isinstance(stored.load(), Rejected)


def test_no_commit_record_is_a_state_entry(disk: Disk) -> None:
    work(cluster(), disk)
    found = CheckpointFile(disk.file()).load()
    assert found is not None
    assert COMMIT_RECORD_KEY not in found.entries
    assert len(found.entries) == KEYS


def test_a_task_that_another_process_is_about_to_let_go_of_is_waited_for(tmp_path: Path) -> None:
    """An eager rebalance tells both owners at once. If the other keeps it, the task goes on without a checkpoint."""
    clock, changelog, task = ManualClock(), "p.in.changelog", TaskId("in", 0)

    def checkpoints(patience_s: float) -> Checkpoints:
        return Checkpoints(
            Admin(Connection("127.0.0.1:1")),
            one_thread(),
            state_directory=tmp_path,
            group="p",
            topology="t",
            interval_s=30,
            clock=clock,
            hooks=WorkerHooks(),
            patience_s=patience_s,
        )

    before, after, others, again = checkpoints(0), checkpoints(3), checkpoints(0), checkpoints(3)
    held = before.open(task, changelog, [A])
    assert held is not None
    assert others.open(task, changelog, [A]) is None
    with pytest.raises(CheckpointHeld):
        after.open(task, changelog, [A])
    clock.now_s += 2
    with pytest.raises(CheckpointHeld):
        after.open(task, changelog, [A])
    held.close()
    found = after.open(task, changelog, [A])
    assert found is not None
    with pytest.raises(CheckpointHeld):
        again.open(task, changelog, [A])
    clock.now_s += 3
    assert again.open(task, changelog, [A]) is None
    found.close()
    for each in (before, after, others, again):
        each.close()

"""A state of a million keys in one task: the loop's longest pause while it is written to disk, and what scans cost."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Contestant, Row, compare, cpu_s
from penstock.clock import SystemClock
from penstock.state.checkpoint_file import CheckpointFile, CheckpointHeader
from penstock.state.checkpointer import Checkpointer, CheckpointWritten
from penstock.state.commit_record import CommitRecord
from penstock.state.digest import to_bytes
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState

KEYS = 1_000_000
ROUNDS = 3
PUTS_PER_STEP = 10
PER_CUSTOMER = 100
SCANS = 1_000
SPEC = StoreSpec("totals", key=tuple[str, int], value=int)


def run() -> list[Row]:
    """Pauses, then scans."""
    return [*_pauses(), *_scans()]


def _filled() -> TaskState:
    """A million keys, in no order, none of them saved."""
    state = TaskState()
    store = Store(SPEC, state)
    numbers = list(range(KEYS))
    random.Random(3).shuffle(numbers)
    for number in numbers:
        store.put((f"customer-{number // PER_CUSTOMER:05d}", number), number)
    state.accept_batch()
    state.prepare()
    state.apply()
    state.everything_unsaved()
    return state


# ---------------------------------------------------------------- pauses


class Pauses(NamedTuple):
    """A stretch of the loop: its steps, what it took, and its longest step.

    That is told twice: by the clock, which counts what other processes of the machine took in between, and by the
    processor time of this process, all threads, which counts only what was waited for here.
    """

    steps: int
    wall_s: float
    cpu_s: float
    longest_s: float
    longest_cpu_s: float


def _pauses() -> list[Row]:
    found: dict[str, list[Pauses]] = {"loop alone": [], "loop while a checkpoint is written": []}
    for _ in range(ROUNDS):
        state = _filled()
        alone, meanwhile = _around_a_checkpoint(state)
        found["loop alone"].append(alone)
        found["loop while a checkpoint is written"].append(meanwhile)
    base = found["loop alone"]
    return [
        Row(
            job=f"checkpoint of {KEYS:,} keys, the loop's puts meanwhile",
            system=system,
            records_per_s=round(statistics.median(each.steps * PUTS_PER_STEP / each.wall_s for each in runs)),
            cpu_us_per_record=round(
                statistics.median(each.cpu_s / each.steps / PUTS_PER_STEP for each in runs) * 1e6, 2
            ),
            ratio_to_baseline=round(
                statistics.median(
                    own.steps / own.wall_s / other.steps * other.wall_s for own, other in zip(runs, base, strict=True)
                ),
                3,
            ),
            runs=len(runs),
            seconds=round(statistics.median(each.wall_s for each in runs), 2),
            longest_pause_ms=round(max(each.longest_s for each in runs) * 1e3, 1),
            longest_pause_cpu_ms=round(max(each.longest_cpu_s for each in runs) * 1e3, 1),
        )
        for system, runs in found.items()
    ]


def _around_a_checkpoint(state: TaskState) -> tuple[Pauses, Pauses]:
    """The loop while everything is written for the first time, and the same stretch of time without."""
    store = Store(SPEC, state)
    header = CheckpointHeader(
        commit=CommitRecord(
            next_offsets={}, sequence=1, writer="w", owner_epoch=1, stream_time_ms=None,
            digest=to_bytes(state.digest), topology="t",
        ),
        changelog_next_offset=0, topic_ids={}, written_ms=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        checkpointer = Checkpointer(CheckpointFile(Path(folder) / "checkpoint"), state, executor, SystemClock())
        checkpointer.start(header)
        outcomes: list[object] = []

        def is_written() -> bool:
            outcome = checkpointer.outcome()
            outcomes.extend([] if outcome is None else [outcome])
            return outcome is not None

        meanwhile = _loop(store, state, is_written)
        checkpointer.close()
    if not isinstance(outcomes[0], CheckpointWritten) or outcomes[0].entries != KEYS:
        raise AssertionError("the checkpoint was not written")
    until_s = time.perf_counter() + meanwhile.wall_s
    return _loop(store, state, lambda: time.perf_counter() > until_s), meanwhile


def _loop(store: Store[tuple[str, int], int], state: TaskState, is_over: Callable[[], bool]) -> Pauses:
    """Small steps, and after each a look at the clock: a few puts, accepted and committed."""
    steps, longest_s, longest_cpu_s = 0, 0.0, 0.0
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    before_s, before_cpu_s = began_s, began_cpu_s
    while not is_over():
        for number in range(PUTS_PER_STEP):
            store.put(("customer-00000", number), steps)
        state.accept_batch()
        state.prepare()
        state.apply()
        steps += 1
        now_s, now_cpu_s = time.perf_counter(), time.process_time()
        longest_s = max(longest_s, now_s - before_s)
        longest_cpu_s = max(longest_cpu_s, now_cpu_s - before_cpu_s)
        before_s, before_cpu_s = now_s, now_cpu_s
    return Pauses(steps, before_s - began_s, before_cpu_s - began_cpu_s, longest_s, longest_cpu_s)


# ---------------------------------------------------------------- scans


def _scans() -> list[Row]:
    """About a hundred keys of one customer each time, and a new key before each scan; counted in keys returned."""
    state = _filled()
    store = Store(SPEC, state)
    chance = random.Random(5)

    def scans(count: int) -> int:
        keys = 0
        for _ in range(count):
            customer = f"customer-{chance.randrange(KEYS // PER_CUSTOMER):05d}"
            store.put((customer, KEYS + chance.randrange(10**9)), 0)
            found = [key for key, _ in store.prefix((customer,))]
            if len(found) <= PER_CUSTOMER:
                raise AssertionError("a scan that does not see what was just put")
            keys += len(found)
        return keys

    def sorting() -> int:
        return len(sorted(state.committed)[:PER_CUSTOMER])

    began_s, used_s = time.perf_counter(), cpu_s()
    keys = scans(1)
    first_s, first_cpu_s = time.perf_counter() - began_s, cpu_s() - used_s
    job = f"scan of {PER_CUSTOMER} among {KEYS:,} keys"
    sorted_anew, later = compare(
        job,
        [
            Contestant("sorting them all for each scan", sorting),
            Contestant("penstock, every later scan", lambda: scans(SCANS)),
        ],
        rounds=ROUNDS,
    )
    first = Row(
        job=job,
        system="penstock, the first scan of a process",
        records_per_s=round(keys / first_s),
        cpu_us_per_record=round(first_cpu_s / keys * 1e6, 2),
        ratio_to_baseline=round(keys / first_s / sorted_anew["records_per_s"], 3),
        runs=1,
        seconds=round(first_s, 2),
    )
    return [sorted_anew, first, later]

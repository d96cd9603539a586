"""One, two and four workers of one pipeline: how fast they catch up, how long commits take, and how late results are.

They share the cores with the broker, so what more of them bring is bounded by the machine; what they cost is not.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import NamedTuple

from benchmarks import stage
from benchmarks.latency import MEASURED_S, RATE, WARM_UP_S, delays_of, pace, percentile
from benchmarks.measure import Row
from benchmarks.pipelines import RECORDS, WARM_UP
from benchmarks.stage import Stage
from benchmarks.window import Measured
from demo.watch import GroupWatch

WORKERS = (1, 2, 4)
ROUNDS = 3
_LOOK_EVERY_S = 0.02


class Turn(NamedTuple):
    """One run: records a second while catching up, delays at a steady rate, and what the workers tell of that."""

    rate: float
    catching_up: list[Measured]
    delays_ms: list[int]
    paced: list[Measured]


def run() -> list[Row]:
    """All of them, three times in turn."""
    turns: dict[int, list[Turn]] = {count: [] for count in WORKERS}
    with stage.stage() as on:
        stage.publish_bids(on, "bids", RECORDS)
        for number in range(ROUNDS):
            for count, found in turns.items():
                rate, catching_up = _catch_up(on, count)
                delays_ms, paced = _keep_up(on, count, f"paced-by-{count}-{number}")
                found.append(Turn(rate, catching_up, delays_ms, paced))
    return [_row(count, found, turns[WORKERS[0]]) for count, found in turns.items()]


def _row(count: int, turns: list[Turn], alone: list[Turn]) -> Row:
    commits_ms = [ms for turn in turns for each in turn.paced for ms in each.commits_ms]
    cpu_s = [sum(each.cpu_s for each in turn.catching_up) for turn in turns]
    records = [sum(each.records for each in turn.catching_up) for turn in turns]
    return Row(
        job="workers: filter and map",
        system=f"{count} worker{'s' if count > 1 else ''}",
        records_per_s=round(statistics.median(turn.rate for turn in turns)),
        cpu_us_per_record=round(statistics.median(s / n * 1e6 for s, n in zip(cpu_s, records, strict=True)), 2),
        ratio_to_baseline=round(
            statistics.median(turn.rate / one.rate for turn, one in zip(turns, alone, strict=True)), 3
        ),
        runs=len(turns),
        commit_ms_p50=round(statistics.median(commits_ms), 1),
        commit_ms_max=round(max(commits_ms), 1),
        latency_ms_p50=statistics.median(percentile(turn.delays_ms, 50) for turn in turns),
        latency_ms_p99=statistics.median(percentile(turn.delays_ms, 99) for turn in turns),
    )


def _catch_up(on: Stage, count: int) -> tuple[float, list[Measured]]:
    """Records a second between the moments at which the group has committed the warm-up, and everything."""
    task = on.task("penstock", "stateless", source="bids", auctions="", warm_up=0, records=0)
    group = GroupWatch(on.connection.bootstrap_servers, task.name, ["bids"])
    with stage.workers(task, count) as found:
        began_s = _when(group, WARM_UP * count)
        began_at = sum(group.committed().values())
        ended_s = _when(group, RECORDS)
    return (RECORDS - began_at) / (ended_s - began_s), found


def _when(group: GroupWatch, records: int) -> float:
    while sum(group.committed().values()) < records:
        time.sleep(_LOOK_EVERY_S)
    return time.perf_counter()


def _keep_up(on: Stage, count: int, topic: str) -> tuple[list[int], list[Measured]]:
    """Delays of results behind the warm-up, in milliseconds."""
    total = RATE * (WARM_UP_S + MEASURED_S)
    warm_up = RATE * WARM_UP_S // count
    task = on.task("penstock", "stateless", source=on.topic(topic), auctions="", warm_up=warm_up, records=0)
    is_over = Event()
    with ThreadPoolExecutor(1) as pool, stage.workers(task, count) as found:
        delays = pool.submit(delays_of, on, task.output, is_over)
        pace(on, topic, total)
        _when(GroupWatch(on.connection.bootstrap_servers, task.name, [topic]), total)
        is_over.set()
    return delays.result(), found

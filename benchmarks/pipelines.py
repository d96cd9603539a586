"""Three pipelines against the loop one would write by hand, each run a process of its own, on one broker.

The baseline of all is the bare loop with filter and map, the same guarded codec and the same transactions. The same
loop with naked fastavro stands beside it, and the other two jobs by hand. What the contestants of a job write is
compared, record by record, before anything is measured.

Records a second are measured in turn, each contestant alone with the broker. Records per second of processor time,
which is what a core does, are measured in pairs that run beside each other: the speed of a machine moves by a fifth
within a minute, and both of a pair meet the same one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from benchmarks import stage
from benchmarks.measure import Row
from benchmarks.stage import Stage
from benchmarks.window import Measured

RECORDS = 250_000
WARM_UP = 50_000
ROUNDS = 5


class System(NamedTuple):
    """A contestant: what it is called, how it works, and what it does."""

    label: str
    kind: str
    job: str


BARE = System("bare loop, guarded codec", "bare", "stateless")
SYSTEMS = (
    BARE,
    System("penstock", "penstock", "stateless"),
    System("bare loop, naked fastavro", "naked", "stateless"),
    System("penstock", "penstock", "aggregate"),
    System("bare loop, guarded codec", "bare", "aggregate"),
    System("penstock", "penstock", "join"),
    System("bare loop, guarded codec", "bare", "join"),
)
JOBS = {"stateless": "filter and map", "aggregate": "keyed aggregate with changelog", "join": "table join"}


def run() -> list[Row]:
    """All of them, five times in turn, and five times beside the baseline."""
    found: dict[System, list[Measured]] = {system: [] for system in SYSTEMS}
    per_core: dict[System, list[float]] = {system: [] for system in SYSTEMS if system is not BARE}
    with stage.stage() as on:
        stage.publish_auctions(on, "auctions")
        stage.publish_bids(on, "bids", RECORDS)
        _compare_outputs(on)
        for _ in range(ROUNDS):
            for system, measured in found.items():
                measured.append(_one(on, system)[0])
        for number in range(ROUNDS):
            for system, ratios in per_core.items():
                ratios.append(_beside(on, system, number))
    return [_row(system, runs, found, per_core.get(system, [1.0])) for system, runs in found.items()]


def _beside(on: Stage, system: System, number: int) -> float:
    """Records per second of processor time, as a ratio to those of the baseline, which runs at the same time."""
    order = (BARE, system) if number % 2 == 0 else (system, BARE)
    with ThreadPoolExecutor(2) as pool:
        pair = {each: pool.submit(_one, on, each) for each in order}
    return _cost_us(pair[BARE].result()[0]) / _cost_us(pair[system].result()[0])


def _one(on: Stage, system: System) -> tuple[Measured, str]:
    """What it took, and the topic it wrote."""
    task = on.task(system.kind, system.job, source="bids", auctions="auctions", warm_up=WARM_UP, records=RECORDS)
    return stage.run(task), task.output


def _compare_outputs(on: Stage) -> None:
    """What is compared must do the same work. Also the warm-up of the broker."""
    seen: dict[str, list[list[tuple[bytes | None, bytes | None, int]]]] = {}
    for system in SYSTEMS:
        written = on.written(_one(on, system)[1])
        if not any(written) or seen.setdefault(system.job, written) != written:
            raise AssertionError(f"{JOBS[system.job]}: {system.label} has written something else than the others")


def _row(system: System, runs: list[Measured], found: dict[System, list[Measured]], per_core: list[float]) -> Row:
    row = Row(
        job=f"pipeline: {JOBS[system.job]}",
        system=system.label,
        records_per_s=round(statistics.median(map(_rate, runs))),
        cpu_us_per_record=round(statistics.median(map(_cost_us, runs)), 2),
        ratio_to_baseline=_ratio(_rate, runs, found[BARE]),
        runs=len(runs),
        cpu_ratio_to_baseline=round(statistics.median(per_core), 3),
        cpu_ratio_lowest=round(min(per_core), 3),
        commit_ms_p50=round(statistics.median(ms for each in runs for ms in each.commits_ms), 1),
        commit_ms_max=round(max(ms for each in runs for ms in each.commits_ms), 1),
        peak_rss_mb=round(statistics.median(each.peak_rss_mb for each in runs)),
    )
    by_hand = next(other for other in SYSTEMS if other.job == system.job and other.kind == "bare")
    if by_hand is not BARE and by_hand is not system:
        row["ratio_to_same_job_by_hand"] = _ratio(_rate, runs, found[by_hand])
    return row


def _rate(measured: Measured) -> float:
    return measured.records / measured.wall_s


def _cost_us(measured: Measured) -> float:
    return measured.cpu_s / measured.records * 1e6


def _ratio(figure: Callable[[Measured], float], own: list[Measured], other: list[Measured]) -> float:
    """The median of the ratios of each round."""
    return round(statistics.median(figure(a) / figure(b) for a, b in zip(own, other, strict=True)), 3)

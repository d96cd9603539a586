"""Three pipelines against the loop one would write by hand, each run a process of its own, in turn on one broker.

The baseline of all is the bare loop with filter and map, the same guarded codec and the same transactions. The same
loop with naked fastavro stands beside it, and the other two jobs by hand. What the contestants of a job write is
compared, record by record, before anything is measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
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
    """All of them, five times in turn."""
    found: dict[System, list[Measured]] = {system: [] for system in SYSTEMS}
    with stage.stage() as on:
        stage.publish_auctions(on, "auctions")
        stage.publish_bids(on, "bids", RECORDS)
        _compare_outputs(on)
        for _ in range(ROUNDS):
            for system, measured in found.items():
                measured.append(_one(on, system)[0])
    return [_row(system, runs, found) for system, runs in found.items()]


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


def _row(system: System, runs: list[Measured], found: dict[System, list[Measured]]) -> Row:
    row = Row(
        job=f"pipeline: {JOBS[system.job]}",
        system=system.label,
        records_per_s=round(statistics.median(map(_rate, runs))),
        cpu_us_per_record=round(statistics.median(map(_cost_us, runs)), 2),
        ratio_to_baseline=_ratio(_rate, runs, found[BARE]),
        runs=len(runs),
        cpu_ratio_to_baseline=_ratio(_cost_us, found[BARE], runs),
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

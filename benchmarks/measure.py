"""One way to measure: CPU and wall time of this process, in interleaved rounds, medians and ratios within one run."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict


class Figures(TypedDict):
    """What every job tells."""

    job: str
    system: str
    records_per_s: float
    cpu_us_per_record: float
    ratio_to_baseline: float
    runs: int


class Row(Figures, total=False):
    """One line of `latest.json`.

    `ratio_to_baseline` compares records per second with the job's baseline, pair by pair, and is the median of those;
    above 1 is faster. `cpu_us_per_record` counts user and system time of the process, all threads. What else a job has
    to tell stands in fields of its own, their units in their names.
    """

    cpu_ratio_to_baseline: float
    cpu_ratio_lowest: float
    ratio_to_same_job_by_hand: float
    commit_ms_p50: float
    commit_ms_max: float
    peak_rss_mb: float
    latency_ms_p50: float
    latency_ms_p99: float
    cpu_more_percent: float
    cpu_more_percent_low: float
    cpu_more_percent_high: float
    seconds: float
    longest_pause_ms: float
    longest_pause_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Contestant:
    """One system at one job: `run` does it once and returns the number of records."""

    system: str
    run: Callable[[], int]


def compare(job: str, contestants: Sequence[Contestant], *, rounds: int) -> list[Row]:
    """Run the contestants in turn, `rounds` times, after one warm-up each; the first is the baseline."""
    for contestant in contestants:
        contestant.run()
    rates: dict[str, list[float]] = {c.system: [] for c in contestants}
    costs: dict[str, list[float]] = {c.system: [] for c in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            cpu, wall = cpu_s(), time.perf_counter()
            records = contestant.run()
            rates[contestant.system].append(records / (time.perf_counter() - wall))
            costs[contestant.system].append((cpu_s() - cpu) / records * 1e6)
    baseline = rates[contestants[0].system]
    return [
        Row(
            job=job,
            system=system,
            records_per_s=round(statistics.median(rates[system])),
            cpu_us_per_record=round(statistics.median(costs[system]), 2),
            ratio_to_baseline=round(
                statistics.median(own / other for own, other in zip(rates[system], baseline, strict=True)), 3
            ),
            runs=rounds,
        )
        for system in rates
    ]


def cpu_s() -> float:
    """User and system time of this process so far, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

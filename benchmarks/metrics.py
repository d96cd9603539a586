"""What being looked at costs a worker: the same run with metrics and without, in pairs, each a process of its own.

The two of a pair run beside each other, so that both meet the same machine: its speed moves by a fifth within a minute.

With metrics means all that `monitoring.port` turns on: hooks, statistics of the clients, the registry's answers, and a
server that is asked for everything as often as Prometheus does, and at least once. Which of a pair is started first
alternates. What is compared is CPU time per record; of the ratios of the pairs the geometric mean is told, with the
interval that holds it with 95 % confidence (Student's t of their logarithms).
"""

from __future__ import annotations

import contextlib
import math
import statistics
import threading
import time
import urllib.request
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from benchmarks import stage
from benchmarks.measure import Row
from benchmarks.stage import Stage
from benchmarks.window import Measured
from penstock.embedded.ports import free_ports

RECORDS: Final = 500_000
WARM_UP: Final = 50_000
PAIRS: Final = 10
SCRAPE_EVERY_S: Final = 5.0
JOBS: Final = {"stateless": "filter and map", "aggregate": "keyed aggregate with changelog"}
_T_95: Final = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""By degrees of freedom."""


def run(pairs: int = PAIRS, records: int = RECORDS) -> list[Row]:
    """Both jobs.

    Args:
        pairs: of runs; two at least.
        records: in each run, those of the warm-up included.
    """
    rows: list[Row] = []
    with stage.stage() as on:
        stage.publish_bids(on, "bids", records)
        for job in JOBS:
            without: list[Measured] = []
            watched: list[Measured] = []
            _one(on, job, records, is_watched=True)  # warms the broker up
            for number in range(pairs):
                order = (False, True) if number % 2 == 0 else (True, False)
                with ThreadPoolExecutor(2) as beside:
                    pair = {each: beside.submit(_one, on, job, records, is_watched=each) for each in order}
                without.append(pair[False].result())
                watched.append(pair[True].result())
            rows += _rows(job, without, watched)
    return rows


def _one(on: Stage, job: str, records: int, *, is_watched: bool) -> Measured:
    warm_up = min(WARM_UP, records // 5)
    task = on.task("penstock", job, source="bids", auctions="", warm_up=warm_up, records=records)
    if not is_watched:
        return stage.run(task)
    (port,) = free_ports(1)
    with _scraped(port) as scrapes:
        measured = stage.run(msgspec.structs.replace(task, port=port))
    if not scrapes:
        raise AssertionError("nobody could look at the worker, so what that costs was not measured")
    return measured


@contextlib.contextmanager
def _scraped(port: int) -> Generator[list[int]]:
    """Ask for the metrics again and again; the list gets the size of each answer."""
    found: list[int] = []
    is_over = threading.Event()

    def ask() -> None:
        due_s = 0.0
        while not is_over.wait(0.1):
            if time.monotonic() < due_s:
                continue
            with contextlib.suppress(OSError):  # it is not up yet, or has just gone
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    found.append(len(answer.read()))
                due_s = time.monotonic() + SCRAPE_EVERY_S

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        is_over.set()
        thread.join()


def _rows(job: str, without: Sequence[Measured], watched: Sequence[Measured]) -> list[Row]:
    low, middle, high = interval([_cost_us(b) / _cost_us(a) for a, b in zip(without, watched, strict=True)])
    name = f"cost of metrics: {JOBS[job]}"
    off, on = _row(name, "metrics off", without, without), _row(name, "metrics on", watched, without)
    on["cpu_more_percent"] = round((middle - 1) * 100, 2)
    on["cpu_more_percent_low"] = round((low - 1) * 100, 2)
    on["cpu_more_percent_high"] = round((high - 1) * 100, 2)
    return [off, on]


def _row(job: str, system: str, runs: Sequence[Measured], base: Sequence[Measured]) -> Row:
    rates = [each.records / each.wall_s for each in runs]
    return Row(
        job=job,
        system=system,
        records_per_s=round(statistics.median(rates)),
        cpu_us_per_record=round(statistics.median(map(_cost_us, runs)), 2),
        ratio_to_baseline=round(
            statistics.median(a / (b.records / b.wall_s) for a, b in zip(rates, base, strict=True)), 3
        ),
        runs=len(runs),
    )


def _cost_us(measured: Measured) -> float:
    return measured.cpu_s / measured.records * 1e6


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Lower bound, geometric mean and upper bound of ratios that were measured independently; 95 % confidence."""
    logs = [math.log(each) for each in ratios]
    middle = statistics.fmean(logs)
    reach = _T_95[len(logs) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle - reach), math.exp(middle), math.exp(middle + reach)

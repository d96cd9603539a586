"""Keys that fail and recover as they like, on the simulated cluster, with workers that die: each keeps its order.

And no key waits for another: what does not fail is through a moment after it came, whatever else is parked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import penstock as ps
from penstock.testing.driver import Driver, Run, Step

NUMBERS = ps.Topic("numbers", key=str, value=str)
LISTS = ps.Topic("lists", key=str, value=str)
KEYS = "abcdef"
LATEST_S, LONGEST_S = 30.0, 120.0
"""Outages begin at the latest then, and last so long at most."""
SECOND = timedelta(seconds=1)
A_MOMENT = timedelta(seconds=30)
"""A worker that was killed has its partitions back in less: its session has to end first."""

Outages = Mapping[str, list[tuple[float, float]]]
"""{key: when it fails: (from, to), seconds since the start}."""


def listing(driver_now_s: list[float], run_of: list[Run], outages: Outages, retry: ps.Retry) -> ps.Pipeline:
    """Per key the numbers so far, so that order shows."""

    def enrich(text: str) -> str:
        now_s = run_of[0].now.timestamp() - driver_now_s[0]
        if any(begin <= now_s < end for begin, end in outages.get(text[0], [])):
            raise ValueError
        return text[1:]

    made = ps.Pipeline("listing")
    numbers = made.stream(NUMBERS).map(enrich, name="enrich", on_error=retry)
    numbers.aggregate(str, lambda so_far, number: f"{so_far} {number}".strip(), name="list").to_stream().to(LISTS)
    return made


def lists(run: Run) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in run.read(LISTS):
        found.setdefault(record.key, []).append(record.value)
    return found


def as_if_nothing_failed(fed: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {key: [" ".join(numbers[: n + 1]) for n in range(len(numbers))] for key, numbers in fed.items()}


SPANS = st.tuples(st.floats(0, LATEST_S), st.floats(0.5, LONGEST_S)).map(lambda each: (each[0], each[0] + each[1]))
STEPS: list[Step] = ["process", "begin", "flush", "send offsets", "commit", "committed", "apply", "restore", "claim"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    outages=st.dictionaries(st.sampled_from(KEYS[:4]), st.lists(SPANS, min_size=1, max_size=3), min_size=1),
    arrivals=st.lists(st.tuples(st.sampled_from(KEYS), st.floats(0, 2)), min_size=5, max_size=40),
    crashes=st.dictionaries(st.integers(0, 39), st.sampled_from(STEPS), max_size=3),
    seed=st.integers(0, 9),
)
def test_each_key_keeps_its_order_and_no_other_key_waits(
    tmp_path: Path,
    outages: Outages,
    arrivals: list[tuple[str, float]],
    crashes: dict[int, Step],
    seed: int,
) -> None:
    started_s: list[float] = []
    runs: list[Run] = []
    retry = ps.Retry(keep="key", attempts=None, first=SECOND, longest=4 * SECOND)
    folder = next(tmp_path / str(number) for number in count() if not (tmp_path / str(number)).exists())
    with Driver(folder, seed=seed) as driver:
        run = driver.start(listing(started_s, runs, outages, retry), partitions=2)
        runs.append(run)
        started_s.append(run.now.timestamp())
        fed: dict[str, list[str]] = {}
        for number, (key, gap_s) in enumerate(arrivals):
            if number in crashes:
                run.crash(at=crashes[number])
            run.feed(NUMBERS, f"{key}{number}", key=key)
            fed.setdefault(key, []).append(str(number))
            run.advance(gap_s * SECOND)
            if number % 8 == 7:
                run.advance(A_MOMENT)
                found, due = lists(run), as_if_nothing_failed(fed)
                for good in fed.keys() - outages.keys():
                    assert found.get(good) == due[good], "it waits for others"
                for key_of_some, there in found.items():
                    assert there == due[key_of_some][: len(there)], "out of order"
        run.settle()
        run.advance(timedelta(seconds=LATEST_S + LONGEST_S))
        run.settle()
        assert lists(run) == as_if_nothing_failed(fed)
        assert run.dead_letters(NUMBERS) == []

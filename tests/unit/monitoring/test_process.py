"""What is told of any process of ours."""

from __future__ import annotations

import gc

from penstock.monitoring import process_catalogue as catalogue
from penstock.monitoring.process import process_families
from tests.unit.monitoring.parsing import scraped, value


class Circle:
    """Refers to itself, so that only the garbage collector frees it."""

    def __init__(self) -> None:
        self.own = self


def collections(generation: int, metric: object = catalogue.GC_RUNS) -> float:
    found = value(scraped(process_families()), str(metric), generation=str(generation))
    assert found is not None
    return found


def test_each_look_for_garbage_is_counted_by_its_generation() -> None:
    gc.disable()  # so that no other one comes in between
    try:
        before = [collections(generation) for generation in range(3)]
        gc.collect(2)
        gc.collect(0)
        gc.collect(0)
        assert [collections(generation) - before[generation] for generation in range(3)] == [2, 0, 1]
    finally:
        gc.enable()


def test_what_such_a_look_frees_is_counted_and_what_is_freed_without_it_is_not() -> None:
    gc.disable()
    try:
        gc.collect()
        before = collections(2, catalogue.GC_COLLECTED)
        for _ in range(100):
            [object() for _ in range(10)]
        gc.collect()
        of_others = collections(2, catalogue.GC_COLLECTED) - before
        for _ in range(100):
            Circle()
        gc.collect()
        freed = collections(2, catalogue.GC_COLLECTED) - before - of_others
        assert of_others < 100 <= freed
        assert collections(2, catalogue.GC_UNCOLLECTABLE) == gc.get_stats()[2]["uncollectable"]
    finally:
        gc.enable()


def test_the_metrics_of_a_process_are_those_of_its_catalogue() -> None:
    told = {series.name for series in scraped(process_families())}
    assert told == {metric.name for metric in catalogue.PROCESS}

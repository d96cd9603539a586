"""From a scenario that fails to a smaller one that fails in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from penstock.testing.simulation.scenario import Scenario
from penstock.testing.simulation.shape import Shape

MOST_TRIES: Final = 150


def shrunk(scenario: Scenario, fails: Callable[[Scenario], bool], most_tries: int = MOST_TRIES) -> Scenario:
    """A scenario that still fails with less in it: fewer faults first, then a simpler pipeline, then fewer records.

    Args:
        scenario: fails.
        fails: plays a scenario; whether it fails in the same way.
        most_tries: how many may be played.
    """
    tries = 0
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for candidate in _smaller(scenario):
            if tries == most_tries:
                return scenario
            tries += 1
            if fails(candidate):
                scenario, is_smaller = candidate, True
                break
    return scenario


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    faults = scenario.faults
    for place in range(len(faults)):
        yield replace(scenario, faults=faults[:place] + faults[place + 1 :])
    for shape in _simpler(scenario.shape):
        yield replace(scenario, shape=shape)
    if scenario.workers > 1 and all(fault.worker < scenario.workers - 1 for fault in faults):
        yield replace(scenario, workers=scenario.workers - 1)
    for records in (scenario.records // 2, scenario.records - 5, scenario.records - 1):
        if 0 < records < scenario.records:
            yield replace(scenario, records=records)
    if scenario.keys > 1:
        yield replace(scenario, keys=1)
    if scenario.protocol != "classic":
        yield replace(scenario, protocol="classic")
    if scenario.max_batch_records != 1_000:
        yield replace(scenario, max_batch_records=1_000)


def _simpler(shape: Shape) -> Iterator[Shape]:
    if shape.keys and (shape.folds or shape.writes_plain):
        yield replace(shape, keys=0, after=())
    if shape.hides:
        yield replace(shape, hides=0)
    if shape.joins:
        yield replace(shape, joins=False)
    if shape.folds and (shape.keys or shape.writes_plain):
        yield replace(shape, folds=False)
    if shape.writes_plain and (shape.keys or shape.folds):
        yield replace(shape, writes_plain=False)
    for place in range(len(shape.before)):
        yield replace(shape, before=shape.before[:place] + shape.before[place + 1 :])
    for place in range(len(shape.after)):
        yield replace(shape, after=shape.after[:place] + shape.after[place + 1 :])
    if shape.partitions > 1:
        yield replace(shape, partitions=shape.partitions - 1)
    if shape.keys and shape.tasks > 1:
        yield replace(shape, tasks=1)


def as_test(scenario: Scenario) -> str:
    """A test to paste into `tests/unit/simulation/test_found.py`."""
    text = repr(scenario).replace(", faults=", ",\n    faults=").replace(", shape=", ",\n    shape=")
    text = text.replace("Scenario(", "Scenario(\n    ", 1).replace("Fault(", "\n        Fault(")
    return (
        f"def test_seed_{scenario.seed}() -> None:\n    scenario = {text}\n    assert play(scenario).findings == []\n"
    )

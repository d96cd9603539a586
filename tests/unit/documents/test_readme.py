"""The README's pipeline is type-checked, and does what is said of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from penstock.testing.memory_registry import MemoryRegistry
from producers.flights import FLIGHTS
from schemas.flights import Flight
from tests.typing import readme
from tests.unit.operators.one_task import OneTask, Raw

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "README.md").read_text()
CODE = (ROOT / "tests" / "typing" / "readme.py").read_text()
NOON = datetime(2013, 6, 1, 12, tzinfo=UTC)


def flight(delay_min: int | None, *, cancelled: bool = False) -> Flight:
    return Flight(
        carrier="UA", flight_number=1, tail_number="N1", origin="JFK", destination="LAX", scheduled_departure_at=NOON,
        scheduled_arrival_at=NOON, arrival_delay_min=delay_min, distance_mi=2_475, cancelled=cancelled,
    )  # fmt: skip


def test_the_pipeline_is_code_that_the_type_checkers_see() -> None:
    section = TEXT.partition("## What a pipeline looks like")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert CODE.partition("from __future__ import annotations\n\n")[2] == block


def test_it_adds_up_and_sets_aside_what_nobody_knows() -> None:
    registry = MemoryRegistry()
    flights = FLIGHTS.bind(registry, auto_register=True)
    made = [flight(10), flight(None), flight(None, cancelled=True), flight(-3)]
    seen = OneTask(readme.pipeline, registry).feed(
        [Raw("flights", b"N1", value) for value in flights.encode_values(made)]
    )
    assert [int.from_bytes(value or b"", "big") for _, value, *_ in seen.written["lateness"]] == [10, 7]
    assert [(stage, operator, error) for _, _, stage, operator, error in seen.dead] == [
        ("process", "add-up", "BadRecord")
    ]
    assert seen.filtered == 1

"""Where the time of a batch goes, by a clock that only the code under observation moves."""

from __future__ import annotations

import pytest

from penstock.batch import SourceBatch
from penstock.dsl.pipeline import Pipeline
from penstock.monitoring import catalogue
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.serdes import ValueSerde
from penstock.schemas.topic import Topic
from tests.unit.monitoring.observed_worker import ROWS, Observed, cluster, sums
from tests.unit.publishing.in_memory import ManualClock

DECODE_S, MAP_S, FOLD_S, ENCODE_S = 0.5, 1.0, 0.25, 2.0
DURATION = catalogue.STAGE_DURATION


class Slow:
    """Each step of the way takes a time of its own for each record."""

    def __init__(self) -> None:
        self.clock: ManualClock | None = None

    def takes(self, seconds: float) -> None:
        assert self.clock is not None
        self.clock.now_s += seconds

    def load(self, data: bytes) -> str:
        self.takes(DECODE_S)
        return data.decode()

    def dump(self, text: str) -> bytes:
        self.takes(ENCODE_S)
        return text.encode()

    def parse(self, text: str) -> int:
        self.takes(MAP_S)
        return int(text)

    def add(self, total: int, number: int) -> int:
        self.takes(FOLD_S)
        return total + number


def observed(slow: Slow, *, has_state: bool, batch: int = 100) -> Observed:
    source = Topic("in", key=str, value=ValueSerde(str.encode, slow.load, "slow to read"))
    target = Topic("out", key=str, value=ValueSerde(slow.dump, bytes.decode, "slow to write"))
    made = Pipeline("p")
    numbers = made.stream(source).map(slow.parse, name="parse")
    if has_state:
        numbers = numbers.aggregate(int, slow.add, name="sum").to_stream()
    numbers.map(str, name="show").to(target)
    seen = Observed(cluster(), made, limits=WorkerLimits(max_batch_records=batch))
    slow.clock = seen.run.clock
    return seen


@pytest.mark.parametrize("batch", [3, 100])
@pytest.mark.parametrize("has_state", [False, True])
def test_the_time_of_a_batch_is_split_into_what_it_was_spent_on(has_state: bool, batch: int) -> None:
    seen = observed(Slow(), has_state=has_state, batch=batch)
    seen.run.until_idle()
    spent = {stage: seen.value(f"{DURATION}_sum", stage=stage) for stage in ("decode", "process", "state", "encode")}
    assert spent == {
        "decode": pytest.approx(ROWS * DECODE_S),
        "process": pytest.approx(ROWS * MAP_S),
        "state": pytest.approx(ROWS * FOLD_S) if has_state else None,
        "encode": pytest.approx(ROWS * ENCODE_S),
    }


def test_a_record_more_in_a_batch_is_no_look_at_the_clock_more() -> None:
    """What is measured must not be paid for by the record. The clock moves by a tick at each look."""
    seen = Observed(cluster(), sums())
    seen.run.until_idle()
    (task,), clock = seen.run.worker.tasks.values(), seen.run.clock
    looks: list[float] = []
    for rows in (10, 200):
        offsets, keys = list(range(ROWS, ROWS + rows)), [b"k0"] * rows
        task.buffer.add(SourceBatch("in", 0, offsets, [*keys], [b"1"] * rows, [990_000] * rows))
        began_s, clock.tick_s = clock.now_s, 1 / 1_024
        done = task.run(1_000)
        looks.append((clock.now_s - began_s) * 1_024)
        clock.tick_s = 0.0
        assert done is not None
        assert done[1].records == rows
    assert looks[0] == looks[1] > 0


def test_what_comes_behind_the_producing_of_a_batch_is_no_part_of_it() -> None:
    """A second passes behind each step of the worker, while its records are with the producer."""
    seen = observed(Slow(), has_state=True)
    seen.run.until_idle()
    assert seen.value(f"{DURATION}_count", stage="produce") == 1
    assert seen.value(f"{DURATION}_sum", stage="produce") == 0
    assert seen.value(f"{DURATION}_count", stage="changelog") == 2, "the claim's and the batch's"


def test_each_step_of_a_transaction_is_timed_once() -> None:
    """By a clock that moves a second at each look; the claim has the steps behind its changelog, too."""
    seen = observed(Slow(), has_state=True)
    seen.run.until_idle()
    counts = {stage: seen.value(f"{DURATION}_count", stage=stage) for stage in catalogue.STAGES}
    assert counts["produce"] == 1
    assert [counts[stage] for stage in ("changelog", "flush", "offsets", "commit")] == [2, 2, 2, 2]
    assert counts["decode"] == counts["state"] == counts["encode"] == counts["process"] == 1

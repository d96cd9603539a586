"""Whoever dies or stands still at a step, the other one takes over, and the result is that of one worker.

What the dead had begun never appears, also when it comes back to life in the middle of it; nobody waits for the
time-out of its transaction. Several cases run at once: most of a case is waiting for time-outs.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.runtime.survivor_cases import MATRIX, SHORT, Case, play

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

AT_ONCE = 3


@pytest.fixture(scope="module")
def plays(
    kafka: KafkaUnderTest, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Case, Future[None]]]:
    """All cases that were selected, begun in their order."""
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    root = tmp_path_factory.mktemp("survivors")
    here = [item for item in request.session.items if item.path == Path(__file__) and isinstance(item, pytest.Function)]
    cases = [item.callspec.params["case"] for item in here if hasattr(item, "callspec")]
    pool = ThreadPoolExecutor(AT_ONCE)
    yield {case: pool.submit(play, kafka, case, root / str(case)) for case in cases if isinstance(case, Case)}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=() if c in SHORT else pytest.mark.full, id=str(c)) for c in MATRIX]
)
def test_the_survivor_takes_over(plays: dict[Case, Future[None]], case: Case) -> None:
    plays[case].result()


def test_the_short_cases_are_part_of_the_matrix() -> None:
    assert set(MATRIX) >= SHORT

"""A worker that fails anywhere changes nothing in the result: outputs, state, dead letters, offsets.

Each case has a pipeline of its own over one shared input, so several run at once: most of a case is waiting for
time-outs. Each test waits for its own case only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.failpoint import STEPS as STEPS_FILE
from tests.broker.runtime import numbers_topic
from tests.broker.runtime.crash_cases import MATRIX, SHORT, STEPS, Case, Outcome, play

pytestmark = [pytest.mark.broker, pytest.mark.crashes]

AT_ONCE = 4
FIGURES = Path(__file__).parents[3] / "benchmarks" / "crashes.json"


@dataclass
class Plays:
    """Cases under way, and what came of those that are over."""

    futures: dict[Case | None, Future[Outcome]] = field(default_factory=dict[Case | None, Future[Outcome]])
    folders: dict[Case | None, Path] = field(default_factory=dict[Case | None, Path])


@pytest.fixture(scope="module")
def plays(
    kafka: KafkaUnderTest, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plays]:
    """All cases that were selected, begun in their order."""
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    numbers = numbers_topic.publish(kafka.bootstrap_servers)
    root = tmp_path_factory.mktemp("crashes")
    here = [item for item in request.session.items if item.path == Path(__file__) and isinstance(item, pytest.Function)]
    selected = [item.callspec.params["case"] for item in here if hasattr(item, "callspec")]
    wanted: list[Case | None] = [None, *(case for case in selected if isinstance(case, Case))]
    made = Plays()
    pool = ThreadPoolExecutor(AT_ONCE)
    for case in wanted:
        made.folders[case] = root / (str(case) if case else "none")
        made.futures[case] = pool.submit(play, kafka, numbers, case, made.folders[case])
    yield made
    pool.shutdown(cancel_futures=True)
    write_figures(made)


def write_figures(made: Plays) -> None:
    """Keep the figures of a run of the whole matrix."""
    over = [each for each in made.futures.values() if each.done() and not each.cancelled()]
    if set(MATRIX) <= set(made.futures):
        rows = [each.result().as_dict() for each in over if each.exception() is None]
        failed = [str(case) for case, each in made.futures.items() if each not in over or each.exception()]
        FIGURES.write_text(json.dumps({"passed": len(rows), "failed": failed, "cases": rows}, indent=1) + "\n")


def test_a_worker_that_is_left_alone_gives_the_result_by_every_step_that_is_tried(plays: Plays) -> None:
    """A step without a case would be a hole in the matrix: the steps that it reaches are those of the matrix."""
    outcome = plays.futures[None].result()
    assert outcome.aborted == 0
    assert set((plays.folders[None] / STEPS_FILE).read_text().split("\n")) == {step for step, _ in STEPS}


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=() if c in SHORT else pytest.mark.full, id=str(c)) for c in MATRIX]
)
def test_a_worker_that_fails_at_any_step_changes_nothing(plays: Plays, case: Case) -> None:
    plays.futures[case].result()

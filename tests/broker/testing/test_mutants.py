"""Broken engines on a real broker: the history checker calls them by name from its files, and passes the whole one.

The mutants are those of `tests/mutants` that are marked for it; what goes wrong beside them is the same for both. That
a doubt has to replace the producer is shown by `tests/broker/runtime/test_late_requests.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

import msgspec
import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import OperatorMustDecide, OutcomeUnknown, PenstockError, TransactionAborted
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.runtime.worker import Worker
from penstock.schemas.topic import Topic
from penstock.testing.history import Effect, History, Input, Model, Output, Stage, State, behind, check
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import until
from tests.broker.runtime.in_process import working
from tests.mutants.catalogue import mutants
from tests.mutants.mutant import Mutant

pytestmark = [pytest.mark.broker, pytest.mark.full]

ROWS: Final = 60
"""Before the worker's second life, and again as many behind it."""
LIMITS: Final = WorkerLimits(commit_interval_s=0.05, max_batch_records=10, max_transaction_records=10)
QUIET_STEPS: Final = 15
"""So often in a row a worker has nothing to do once it has done everything."""

MARKED: Final = {each.name: each for each in mutants() if each.is_for_brokers}
BY_LATE_REQUESTS: Final = {"no doubt rotation"}
ABORT, DOUBT = TransactionAborted("planned"), OutcomeUnknown("planned")
FAULTS: Final[Mapping[str, tuple[str, PenstockError]]] = {
    "unknown taken for committed": ("commit", DOUBT),
    "unknown taken for aborted": ("committed", DOUBT),
    "no transaction": ("commit", ABORT),
    "offsets outside": ("commit", ABORT),
    "overlay kept on abort": ("flush", ABORT),
    "no seek after abort": ("flush", ABORT),
}
"""{mutant: what goes wrong at which step of the fourth transaction}; none where none is needed."""


class Life(WorkerHooks):
    """One life of a worker, in which something goes wrong once, or nothing does.

    Attributes:
        records: how many it has read.
        left: so often its step has to come until it goes wrong.
    """

    def __init__(self, fault: tuple[str, PenstockError] | None) -> None:
        self.fault = fault
        self.records = 0
        self.left = 0 if fault is None else 4

    def on_step(self, step: str) -> None:
        if self.fault is not None and step == self.fault[0]:
            self.left -= 1
            if self.left == 0:
                raise self.fault[1]

    def on_poll(self, records: int, duration_s: float) -> None:
        del duration_s
        self.records += records


def chained(history: str, value: str) -> str:
    """A key's history with one more value, so that each value can be told from all others in it."""
    return f"{history} {value}".lstrip()


class Chaining:
    """Values in, the history of their key out, by two lives of one worker; the second comes without its disk."""

    def __init__(self, kafka: KafkaUnderTest, prefix: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.source, self.sink = f"{prefix}-in", f"{prefix}-out"
        create(kafka.bootstrap_servers, self.source)
        self.pipeline = Pipeline(prefix)
        grown = self.pipeline.stream(Topic(self.source, key=str, value=str)).aggregate(str, chained, name="history")
        grown.to(Topic(self.sink, key=str, value=str, partitions=1))
        changelog = f"{prefix}.{self.source}.changelog"
        self.model = Model(
            prefix, [Stage("in", [self.source], self._grow, [self.sink], changelog=changelog, key=_key, value=_value)]
        )

    def _grow(self, record: Input, state: State) -> Iterator[Effect]:
        key = (record.key or b"").decode()
        state[key] = chained(state.get(key, ""), (record.value or b"").decode())
        yield Output(self.sink, record.key, state[key].encode())

    def run(self, fault: tuple[str, PenstockError] | None, *, is_broken: bool) -> set[str]:
        """Both lives; returns the names of what is wrong in the broker's files."""
        for number, life in enumerate([Life(fault), Life(None)]):
            rows = [Row(b"k%d" % (n % 3), b"%d" % n) for n in range(number * ROWS, (number + 1) * ROWS)]
            publish(self.kafka.bootstrap_servers, self.source, rows)
            state = self.folder / f"{number}"
            with working(self.kafka, self.pipeline, state, limits=LIMITS, hooks=life, timeout_ms=10_000) as worker:
                try:
                    until_it_is_done(worker, life)
                    worker.close()
                except OperatorMustDecide:
                    if not is_broken:  # which is told by what it has left, and not by how it ends
                        raise
            assert life.left <= 0
        return self._judged()

    def _judged(self) -> set[str]:
        assert self.kafka.cluster is not None
        files = self.kafka.cluster.log_directory(1)

        def history() -> History:
            return History.read(files, group=self.model.group, topics=self.model.topics)

        until(lambda: not history().open_transactions(), timeout_s=60)
        found = {verdict.kind.value for verdict in check(history(), self.model)}
        return found | ({"left behind"} if behind(history(), self.model) else set())


def until_it_is_done(worker: Worker, life: Life) -> None:
    """It has read something, and nothing has come for a while; how far it believes itself to be is not asked."""
    quiet = 0

    def is_quiet() -> bool:
        nonlocal quiet
        worker.step()
        quiet = quiet + 1 if life.records and worker.is_idle else 0
        return quiet >= QUIET_STEPS

    until(is_quiet, timeout_s=60)


def _key(stored: bytes) -> str | None:
    """The commit record has the empty store's name."""
    return stored[stored[0] + 1 :].decode() if stored[0] else None


def _value(key: bytes, stored: bytes) -> str:
    """Behind a version, beside a time."""
    del key
    value, _time_ms = msgspec.msgpack.decode(stored[1:], type=tuple[str, int])
    return value


def test_each_marked_mutant_is_played() -> None:
    assert MARKED.keys() > FAULTS.keys() | BY_LATE_REQUESTS


@pytest.mark.parametrize("is_broken", [True, False], ids=["broken", "whole"])
@pytest.mark.parametrize("mutant", [each for each in MARKED.values() if each.name not in BY_LATE_REQUESTS], ids=str)
def test_it_is_called_by_name_and_the_engine_as_it_is_is_not(
    mutant: Mutant, is_broken: bool, kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path
) -> None:
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    planted: AbstractContextManager[None] = mutant.planted() if is_broken else nullcontext()
    with planted:
        found = Chaining(kafka, topic_prefix, tmp_path).run(FAULTS.get(mutant.name), is_broken=is_broken)
    if is_broken:
        assert found & mutant.verdicts
    else:
        assert found == set()

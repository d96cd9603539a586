"""A request that was sent twice arrives late, in the next transaction of the same producer: why doubt replaces it.

The proxy ends the connection behind one request of the third transaction and keeps that copy. The client sends it
again, and the transaction is committed. In the middle of the fourth the first copy arrives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.runtime.hooks import WorkerHooks
from penstock.runtime.limits import WorkerLimits
from penstock.schemas.topic import Topic
from penstock.testing.history import (
    Effect,
    History,
    Input,
    Kind,
    Model,
    Output,
    Place,
    Stage,
    State,
    Verdict,
    behind,
    check,
)
from penstock.testing.proxy import Api, HeldRequest, KafkaProxy
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.bare_reader import Isolation, read
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import until
from tests.broker.runtime.in_process import has_committed, step_until, working
from tests.mutants.catalogue import mutants

pytestmark = pytest.mark.broker

ROWS = 120
BATCH = 10
LIMITS = WorkerLimits(commit_interval_s=40.0, max_batch_records=BATCH, max_transaction_records=2 * BATCH)
"""Two batches a transaction, whatever the time."""

NO_ROTATION = next(mutant for mutant in mutants() if mutant.name == "no doubt rotation")
INVALID_PRODUCER_EPOCH = 47
LATE_REQUESTS = [(Api.END_TXN, "produce"), (Api.TXN_OFFSET_COMMIT, "commit")]
"""Which request, and at which step of the next transaction it arrives: with half of its records in the log, and behind
its own offsets."""


class Late(WorkerHooks):
    """Orders the request of the third transaction to be held, and lets it arrive at a step of the fourth."""

    def __init__(self, kafka: KafkaUnderTest, proxy: KafkaProxy, prefix: str, api: Api, step: str) -> None:
        self.kafka, self.proxy, self.prefix, self.api, self.step = kafka, proxy, prefix, api, step
        self.batches = 0
        self.held: HeldRequest | None = None
        self.error: int | None = None
        self.rotations: list[str] = []

    def on_rotation(self, reason: str) -> None:
        self.rotations.append(reason)

    def on_step(self, step: str) -> None:
        self.batches += step == "produce"
        if self.held is None and self.batches == 5:
            self.held = self.proxy.hold(self.api, client_id=f"{self.prefix}.0.0")
        elif self.held is not None and self.error is None and self.batches == 8 and step == self.step:
            until(lambda: written(self.kafka, f"{self.prefix}-out") >= 7 * BATCH)
            self.error = error_in(self.api, self.held.release())
            if self.error == 0 and self.api is Api.END_TXN:
                # Until its marker is written the partition takes the second half too, and nothing would be torn.
                until(lambda: written(self.kafka, f"{self.prefix}-out", "read_committed") >= 7 * BATCH)


def error_in(api: Api, answer: bytes) -> int:
    """Kafka's error code; of the one partition, where there is one for each."""
    # EndTxn 1: correlation id, throttle time, error. TxnOffsetCommit 3 ends with the partition's error and three counts
    # of tagged fields, which are 0.
    field = answer[8:10] if api is Api.END_TXN else answer[-5:-3]
    return int.from_bytes(field, "big", signed=True)


def written(kafka: KafkaUnderTest, topic: str, isolation: Isolation = "read_uncommitted") -> int:
    """Records in the log, as far as such a reader sees."""
    (records,) = read(kafka.bootstrap_servers, topic, isolation).values()
    return len(records)


class Outcome(NamedTuple):
    """What a run left behind."""

    verdicts: list[Verdict]
    left: dict[Place, int]
    late: Late


class Doubling:
    """Numbers in, their doubles out, by a worker whose requests go through a proxy."""

    def __init__(self, kafka: KafkaUnderTest, prefix: str, state: Path) -> None:
        self.kafka, self.prefix, self.state = kafka, prefix, state
        self.source, self.sink = f"{prefix}-in", f"{prefix}-out"
        create(kafka.bootstrap_servers, self.source)
        publish(kafka.bootstrap_servers, self.source, [Row(b"k", b"%d" % n) for n in range(ROWS)])
        self.pipeline = Pipeline(prefix)
        self.pipeline.stream(Topic(self.source, key=str, value=str)).map(lambda n: str(2 * int(n)), name="twice").to(
            Topic(self.sink, key=str, value=str, partitions=1)
        )

    def run(self, api: Api, step: str) -> Outcome:
        """To the end of the input, with one request held until a step of the next transaction."""
        with KafkaProxy(self.kafka.bootstrap_servers) as proxy:
            late = Late(self.kafka, proxy, self.prefix, api, step)
            through = KafkaUnderTest(proxy.bootstrap_servers, self.kafka.cluster)
            with working(through, self.pipeline, self.state, limits=LIMITS, hooks=late, timeout_ms=60_000) as worker:
                step_until(worker, lambda: has_committed(worker, {(self.source, 0): ROWS}))
        return Outcome(*self.judged(), late)

    def judged(self) -> tuple[list[Verdict], dict[Place, int]]:
        """What is wrong, and what is left to do: by the broker's files, and code that is none of the engine's."""
        assert self.kafka.cluster is not None
        files = self.kafka.cluster.log_directory(1)

        def double(record: Input, state: State) -> Iterator[Effect]:
            del state
            yield Output(self.sink, record.key, b"%d" % (2 * int(record.value or b"")))

        model = Model(self.prefix, [Stage("numbers", [self.source], double, [self.sink])])

        def history() -> History:
            return History.read(files, group=model.group, topics=model.topics)

        until(lambda: not history().open_transactions())
        return check(history(), model), behind(history(), model)


@pytest.fixture
def doubling(kafka: KafkaUnderTest, topic_prefix: str, tmp_path: Path) -> Doubling:
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    return Doubling(kafka, topic_prefix, tmp_path)


@pytest.mark.parametrize(("api", "step"), LATE_REQUESTS)
def test_a_request_that_arrives_in_the_next_transaction_is_refused(doubling: Doubling, api: Api, step: str) -> None:
    """The next transaction is another producer epoch's."""
    outcome = doubling.run(api, step)
    assert (outcome.verdicts, outcome.left) == ([], {})
    assert outcome.late.error == INVALID_PRODUCER_EPOCH
    assert len(outcome.late.rotations) == 1


def test_a_late_end_of_transaction_tears_the_next_one_where_the_producer_is_kept(doubling: Doubling) -> None:
    """It commits the first half of the next one, without its offsets; what is done again is there twice."""
    with NO_ROTATION.planted():
        outcome = doubling.run(Api.END_TXN, "produce")
    assert outcome.late.error == 0
    (verdict,) = outcome.verdicts
    assert (verdict.kind, verdict.more) == (Kind.TORN, BATCH - 1)
    assert verdict.sentence.startswith("it is the result of")
    assert verdict.sentence.endswith("in a transaction whose offsets were not committed")


def test_late_offsets_rewind_the_group_where_the_producer_is_kept(doubling: Doubling) -> None:
    """They are committed with the next transaction, in the place of its own, and no call fails."""
    with NO_ROTATION.planted():
        outcome = doubling.run(Api.TXN_OFFSET_COMMIT, "commit")
    assert outcome.late.error == 0
    assert {verdict.kind for verdict in outcome.verdicts} == {Kind.TORN, Kind.OFFSET_REGRESSION}
    assert [v.offset for v in outcome.verdicts if v.kind is Kind.OFFSET_REGRESSION] == [3 * 2 * BATCH]

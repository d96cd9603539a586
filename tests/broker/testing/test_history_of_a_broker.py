"""A real broker's files, judged: a careful loop is exactly-once, and careless ones are found out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from penstock.testing.history import (
    Effect,
    History,
    Input,
    Kind,
    Model,
    Output,
    Stage,
    State,
    assert_exactly_once,
    check,
)
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.harness.topics import Row, create, publish
from tests.broker.harness.victims import until

pytestmark = pytest.mark.broker

ROWS = 40


@pytest.fixture
def files(kafka: KafkaUnderTest) -> Path:
    if kafka.cluster is None:
        pytest.skip("the files of a cluster elsewhere cannot be read")
    return kafka.cluster.log_directory(1)


@pytest.fixture
def model(kafka: KafkaUnderTest, topic_prefix: str) -> Model:
    """Numbers in, their doubles out."""
    numbers, doubled = f"{topic_prefix}-numbers", f"{topic_prefix}-doubled"
    create(kafka.bootstrap_servers, numbers)
    create(kafka.bootstrap_servers, doubled)
    publish(kafka.bootstrap_servers, numbers, [Row(b"k%d" % (n % 3), b"%d" % n) for n in range(ROWS)])

    def double(record: Input, state: State) -> Iterator[Effect]:
        del state
        yield Output(doubled, record.key, b"%d" % (2 * int(record.value or b"")))

    return Model(topic_prefix, [Stage("numbers", [numbers], double, [doubled])])


class Loop:
    """Consume, transform, produce, with a bare client: what the engine does, and what can be done wrong."""

    def __init__(self, kafka: KafkaUnderTest, model: Model) -> None:
        (stage,) = model.stages
        self.source, self.sink, self.group = stage.sources[0], stage.outputs[0], model.group
        options = {"bootstrap.servers": kafka.bootstrap_servers}
        self.consumer = Consumer(
            {**options, "group.id": self.group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        )
        self.consumer.assign([TopicPartition(self.source, 0, 0)])
        self.producer = Producer({**options, "transactional.id": self.group})
        self.producer.init_transactions(30)

    def step(
        self, count: int, *, skip: int = 0, rewind: bool = False, abort: bool = False, outside: bool = False
    ) -> None:
        """One transaction over so many records."""
        messages = self.consumer.consume(count, 30)
        assert len(messages) == count
        self.producer.begin_transaction()
        for message in messages[skip:]:
            self.producer.produce(self.sink, b"%d" % (2 * int(message.value() or b"")), message.key())
        self.producer.flush(30)
        first, last = messages[0].offset() or 0, messages[-1].offset() or 0
        offsets = [TopicPartition(self.source, 0, last + 1)]
        if outside:
            self.consumer.commit(offsets=offsets, asynchronous=False)
        else:
            self.producer.send_offsets_to_transaction(offsets, self.consumer.consumer_group_metadata(), 30)
        self.producer.abort_transaction(30) if abort else self.producer.commit_transaction(30)
        if rewind:
            self.consumer.seek(TopicPartition(self.source, 0, first))

    def close(self) -> None:
        self.consumer.close()


@pytest.fixture
def loop(kafka: KafkaUnderTest, model: Model) -> Iterator[Loop]:
    made = Loop(kafka, model)
    yield made
    made.close()


PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "check-exactly-once.md"


def test_the_module_that_is_shown_judges_a_broker(kafka: KafkaUnderTest, files: Path, topic_prefix: str) -> None:
    code = PAGE.read_text().partition("```python\n")[2].partition("```")[0].replace('"billing"', f'"{topic_prefix}"')
    shown: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), shown)  # noqa: S102 - our own page
    model: Model = shown["MODEL"]
    for topic in model.topics:
        create(kafka.bootstrap_servers, topic)
    shown["judge"](files)
    publish(kafka.bootstrap_servers, shown["ORDERS"], [Row(b"k", b"3")])
    with pytest.raises(AssertionError, match=rf"has not dealt with 1 records of {topic_prefix}-orders\[0\]"):
        shown["judge"](files)
    publish(kafka.bootstrap_servers, shown["INVOICES"], [Row(b"k", b"750"), Row(b"k", b"751")])
    with pytest.raises(AssertionError, match=rf"torn: {topic_prefix}-invoices\[0\]@0"):
        shown["judge"](files)


def history(files: Path, model: Model) -> History:
    """When every marker is written, which is later than the commit is answered."""

    def read() -> History:
        return History.read(files, group=model.group, topics=model.topics)

    until(lambda: not read().open_transactions())
    return read()


def test_a_careful_loop_is_exactly_once_whatever_it_aborts(files: Path, model: Model, loop: Loop) -> None:
    loop.step(10)
    loop.step(10, abort=True, rewind=True)
    loop.step(10)
    loop.step(20)
    assert_exactly_once(history(files, model), model, drained=True)


def test_records_that_are_stepped_over_are_lost(files: Path, model: Model, loop: Loop) -> None:
    loop.step(10)
    loop.step(10, skip=3)
    (verdict,) = check(history(files, model), model)
    assert (verdict.kind, verdict.offset, verdict.more) == (Kind.LOST, 10, 2)


def test_an_abort_that_does_not_go_back_loses_what_it_had(files: Path, model: Model, loop: Loop) -> None:
    loop.step(10, abort=True)
    loop.step(10)
    (verdict,) = check(history(files, model), model)
    assert (verdict.kind, verdict.offset, verdict.more) == (Kind.LOST, 0, 9)


def test_a_commit_that_goes_back_gives_duplicates(files: Path, model: Model, loop: Loop) -> None:
    loop.step(10, rewind=True)
    loop.step(5)
    assert {verdict.kind for verdict in check(history(files, model), model)} == {Kind.DUPLICATE, Kind.OFFSET_REGRESSION}


def test_offsets_outside_of_the_transaction_are_torn(files: Path, model: Model, loop: Loop) -> None:
    loop.step(10, abort=True, outside=True)
    verdicts = check(history(files, model), model)
    assert {verdict.kind for verdict in verdicts} == {Kind.TORN}

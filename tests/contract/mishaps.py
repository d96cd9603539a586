"""Requests that get lost, are done twice or come late, on the simulated cluster and on a real broker behind a proxy.

Each scenario plays two transactions of one transactional id and gives what was observed, as plain data. As with
`scenarios.py`, `EXPECTED` is what a broker of today gives, seen through librdkafka; where the simulated cluster
differs, it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Literal, Protocol, get_args

from penstock.kafka.group_settings import GroupSettings
from penstock.protocols import TransactionalProducer
from tests.contract.stage import (
    Partition,
    Partitions,
    Stage,
    asked,
    error_of,
    read,
    settled,
    told,
    topic_of,
    until,
    write,
)

Request = Literal["init", "add partitions", "produce", "add offsets", "commit offsets", "end"]
"""By the names of the simulation, in the order of a transaction."""
Mishap = Literal["lost request", "lost answer", "late copy"]
"""As in `penstock.testing.cluster.process`; the client notices by its connection, or by the time, and sends again."""

Arrival = Literal["in front", "half written", "before the commit"]
"""How far the next transaction has come."""

REQUESTS: Final[tuple[Request, ...]] = get_args(Request)
BY_TIME: Final = frozenset({"add offsets", "commit offsets", "end"})
"""Requests of calls that are timed."""
TIMEOUT_MS: Final = 60_000


class TroubledStage(Stage, Protocol):
    """A stage with a network that can be told what to do."""

    def plan(self, request: Request, mishap: Mishap) -> Callable[[], None]:
        """Let this happen to the producer's next such request; what it returns lets a late copy arrive."""
        ...


class Transactions:
    """Two transactions with a record or two and an offset each."""

    def __init__(self, stage: TroubledStage) -> None:
        self.stage = stage
        self.topic = topic_of(stage)
        self.place: Partition = (self.topic, 0)
        self.group = stage.clients().member(f"{stage.name}-g", "m", Partitions([]), GroupSettings())
        self.errors: list[str] = []

    def open(self) -> TransactionalProducer:
        made = self.stage.clients().producer(f"{self.stage.name}-p", TIMEOUT_MS, max_batch_bytes=1_000_000)
        until(self.stage, lambda: error_of(lambda: made.init_transactions(5.0)) == "")
        return made

    def write(self, producer: TransactionalProducer, *values: str) -> None:
        self.note(lambda: write(producer, self.topic, *values))

    def write_more(self, producer: TransactionalProducer, value: str) -> None:
        def produce() -> None:
            producer.produce(self.topic, [b"k"], [value.encode()], partitions=[0])
            producer.flush(30.0)

        self.note(produce)

    def send_offsets(self, producer: TransactionalProducer, offset: int) -> None:
        offsets = {self.place: (offset, "")}
        self.note(lambda: producer.send_offsets(offsets, self.group.group_metadata(), 30.0))

    def commit(self, producer: TransactionalProducer) -> None:
        self.note(lambda: producer.commit_transaction(30.0))

    def note(self, call: Callable[[], object]) -> None:
        """Do it, unless something has failed: then a producer is only to be replaced."""
        if not any(self.errors):
            self.errors.append(error_of(call))

    def outcome(self, producer: TransactionalProducer) -> tuple[str, list[str], object]:
        """The first error, what is visible in the end, and the group's offset."""
        producer.close()
        self.open().close()
        settled(self.stage, self.topic)
        values = [value for _, value in read(self.stage.clients().reader("reads"), self.topic)][:-1]
        questions = self.stage.clients().group(f"{self.stage.name}-g", "asks")
        until(self.stage, lambda: asked(self.stage, lambda: questions.stable_offsets([self.place])) != "unstable")
        offsets = told(asked(self.stage, lambda: questions.stable_offsets([self.place])))
        questions.close()
        self.group.close()
        return next(filter(None, self.errors), ""), values, [offset for offset, _ in offsets]


def sent_again(stage: TroubledStage, request: Request, mishap: Mishap) -> object:
    """A request, or its answer, is lost: the client sends it again, and nothing is to be seen of it.

    Whether it leaves a doubt is part of what is observed where a late copy would do harm, and where the client's own
    waiting decides it. Of a lost connection alone librdkafka tells or not, by how many brokers there are.
    """
    plays = Transactions(stage)
    if request == "init":
        stage.plan(request, mishap)
    producer = plays.open()
    if request != "init":
        stage.plan(request, mishap)
    plays.write(producer, "a", "b")
    plays.send_offsets(producer, 2)
    plays.commit(producer)
    doubt = {request: producer.doubt() is not None} if request in BY_TIME else {}
    return doubt, *plays.outcome(producer)


def late(stage: TroubledStage, request: Request, arrival: Arrival, *, is_replaced: bool) -> object:
    """The first copy arrives when the next transaction has come so far."""
    plays = Transactions(stage)
    producer = plays.open()
    arrive = stage.plan(request, "late copy")
    plays.write(producer, "a")
    plays.send_offsets(producer, 1)
    plays.commit(producer)
    if is_replaced:
        producer.close()
        producer = plays.open()
    if arrival == "in front":
        settled(stage, plays.topic)
        arrive()
    plays.write(producer, "b")
    if arrival == "half written":
        arrive()
        if request == "end" and not is_replaced:
            # Until its marker is written the leader takes what comes, and the marker decides that too.
            settled(stage, plays.topic)
    plays.write_more(producer, "c")
    plays.send_offsets(producer, 2)
    if arrival == "before the commit":
        arrive()
    plays.commit(producer)
    return plays.outcome(producer)


def _scenarios() -> Iterator[tuple[str, Callable[[TroubledStage], object]]]:
    mishaps: tuple[Mishap, ...] = ("lost request", "lost answer")
    for mishap in mishaps:
        for request in REQUESTS:
            yield f"{mishap}: {request}", partial(sent_again, request=request, mishap=mishap)
    arrivals: tuple[Arrival, ...] = get_args(Arrival)
    for request in REQUESTS[1:]:
        for arrival in arrivals:
            yield (
                f"late, {arrival}: {request}",
                partial(late, request=request, arrival=arrival, is_replaced=False),
            )
        yield (
            f"late, replaced: {request}",
            partial(late, request=request, arrival="half written", is_replaced=True),
        )


SCENARIOS: Final[dict[str, Callable[[TroubledStage], object]]] = dict(_scenarios())
_UNHARMED: Final = ("", ["a", "b", "c"], [2])
EXPECTED: Final[dict[str, object]] = {
    **{name: _UNHARMED for name in SCENARIOS if name.startswith("late")},
    # Its sequence number is an old one's, and comes in front of a transaction: the next one's are out of order then.
    "late, in front: produce": ("TransactionAborted OUT_OF_ORDER_SEQUENCE_NUMBER", ["a"], [1]),
    # The group has gone back, and no call has failed.
    "late, before the commit: commit offsets": ("", ["a", "b", "c"], [1]),
    # Half of the transaction is visible, without its offset.
    "late, half written: end": ("TransactionAborted INVALID_TXN_STATE", ["a", "b"], [1]),
    **{
        f"{mishap}: {request}": ({request: request != "add offsets"} if request in BY_TIME else {}, "", ["a", "b"], [2])
        for mishap in ("lost request", "lost answer")
        for request in REQUESTS
    },
}

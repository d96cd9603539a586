"""A producer of the numbers 0, 1, 2 ..., on a log in memory: what the tests of a run have in common."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from penstock.errors import BadRow
from penstock.protocols import TransactionHooks
from penstock.publishing.batch import Stager
from penstock.publishing.cursor import CursorRecord
from penstock.publishing.feed import PublishingLimits
from penstock.publishing.run import Destination, ProducerRun
from penstock.publishing.spec import ProducerSpec
from penstock.record import Record
from penstock.schemas.topic import Topic
from penstock.transactions.session import TransactionSession
from tests.unit.publishing.in_memory import InMemoryProducer, Log, ManualClock, Seen

TOPIC: Topic[str, str] = Topic("numbers", key=str, value=str, partitions=3)
LIMITS = PublishingLimits(max_batch_records=4, max_transaction_records=8)


def record(row: int) -> Record[str, str]:
    """What a row becomes."""
    return Record(key=f"key-{row % 3}", value=str(row))


@dataclass
class Numbers:
    """The pieces of a run; each may be replaced before `process` puts them together."""

    rows: int = 20
    bad: Collection[int] = ()
    log: Log = field(default_factory=Log)
    clock: ManualClock = field(default_factory=ManualClock)
    limits: PublishingLimits = LIMITS
    fingerprint: str = "as it was"
    convert: Callable[[Any], Any] | None = None
    source: Callable[[Any], Iterator[tuple[Any, Any] | None]] | None = None
    partition: Callable[[Record[str, str], int], int] | None = None
    max_record_bytes: int = 2_000
    read_cursor: Callable[[], CursorRecord | None] | None = None

    def process(
        self, hooks: TransactionHooks | None = None, *, fingerprint: Callable[[], str] | None = None
    ) -> ProducerRun[str, str]:
        """A run in a process of its own: nothing is shared with others but the log and the clock."""
        hooks = hooks or Seen()
        spec: ProducerSpec[str, str] = ProducerSpec(
            name="numbers",
            topic=TOPIC,
            source=self.source or self._numbers,
            convert=self.convert or self._record,
            fingerprint=fingerprint or (lambda: self.fingerprint),
            partition=self.partition,
        )
        return ProducerRun(
            spec,
            stager=Stager(spec, TOPIC.bind(None), 3, self.max_record_bytes),
            session=TransactionSession(lambda: InMemoryProducer(self.log), clock=self.clock, hooks=hooks),
            read_cursor=self.read_cursor or self.log.read_cursor,
            destination=Destination("numbers", "cursors", 0, "dlq.numbers", 20_000),
            limits=self.limits,
            clock=self.clock,
            hooks=hooks,
            version="0",
        )

    def _numbers(self, cursor: int | None) -> Iterator[tuple[int, int]]:
        for row in range(0 if cursor is None else cursor + 1, self.rows):
            yield row, row

    def _record(self, row: int) -> Record[str, str]:
        if row in self.bad:
            raise BadRow("planted", reason="planted")
        return record(row)

    @property
    def published(self) -> list[int]:
        return [int(value or b"-1") for value in self.log.values("numbers")]

    @property
    def dead(self) -> list[int]:
        return [int(value or b"-1") for value in self.log.values("dlq.numbers")]

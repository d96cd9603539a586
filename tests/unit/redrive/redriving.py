"""A redrive on a log in memory: what the tests of a run have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.deadletter.dead_letter import DeadLetter
from penstock.protocols import TransactionHooks
from penstock.record import Headers, Record
from penstock.redrive.ledger import Action, Ledger, Run
from penstock.redrive.original import Route, TargetTopic
from penstock.redrive.run import RedriveRun
from penstock.redrive.selection import Condition, Selection
from penstock.redrive.staged import RedriveLimits
from penstock.transactions.session import TransactionSession
from tests.unit.publishing.in_memory import InMemoryProducer, Log, ManualClock, Seen
from tests.unit.redrive.letters import dead_letter

LIMITS = RedriveLimits(max_transaction_records=5)
TOPIC, LEDGER = "dlq.p.in", "p.redrives"


class StampedProducer(InMemoryProducer):
    """One whose records have times of their own; they are not looked at here."""

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        *,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
        timestamps_ms: Sequence[int] | None = None,
    ) -> None:
        del timestamps_ms
        super().produce(topic, keys, values, partitions=partitions, headers=headers)


@dataclass
class Redriving:
    """The pieces of a run; each may be replaced before `process` puts them together.

    Letter n stands in partition n % 2 at offset n, and holds the value n.
    """

    letters: list[DeadLetter] = field(default_factory=lambda: [dead_letter(n, n % 2) for n in range(23)])
    log: Log = field(default_factory=Log)
    clock: ManualClock = field(default_factory=ManualClock)
    limits: RedriveLimits = LIMITS
    edit: Callable[[Any], Any] | None = None
    starts: list[dict[int, int]] = field(default_factory=list[dict[int, int]])
    lives: int = 0

    def process(
        self,
        hooks: TransactionHooks | None = None,
        *,
        action: Action = "redrive",
        where: Sequence[str] = (),
        run_id: str | None = None,
    ) -> RedriveRun:
        """A run in a process of its own: nothing is shared with others but the log and the clock."""
        run_id, self.lives = run_id or f"r{self.lives}", self.lives + 1
        hooks, selection = hooks or Seen(), Selection(tuple(map(Condition.of, where)))
        route = Route({"in": TargetTopic(2, None)}, run_id, edit=self.edit)
        return RedriveRun(
            Run(id=run_id, action=action, topic=TOPIC, topic_id="id", selection=str(selection), who="somebody"),
            selection=selection,
            readable=lambda data: None if data is None else data.decode(),
            route=route if action == "redrive" else None,
            letters=self.read,
            read_ledger=self.read_ledger,
            ledger_topic=LEDGER,
            session=TransactionSession(lambda: StampedProducer(self.log), clock=self.clock, hooks=hooks),
            limits=self.limits,
            clock=self.clock,
            hooks=hooks,
        )

    def read(self, starts: Mapping[int, int]) -> Iterator[list[DeadLetter]]:
        self.starts.append(dict(starts))
        left = [letter for letter in self.letters if letter.offset >= starts.get(letter.partition, 0)]
        yield []
        for at in range(0, len(left), 3):
            yield left[at : at + 3]

    def read_ledger(self) -> Ledger:
        """What the log has, which waits for open transactions that nobody ends here."""
        assert not self.log.staged, "reading the ledger would wait for an open transaction"
        self.log.fault("read cursor")
        return self.ledger()

    def ledger(self, log: Log | None = None) -> Ledger:
        """As it stands there now."""
        written = (log or self.log).committed(LEDGER)
        return Ledger.of(TOPIC, "id", [Record(key=each.key, value=each.value) for each in written])

    @property
    def redriven(self) -> list[int]:
        """Values written, in the order of the log."""
        return [int(value or b"-1") for value in self.log.values("in")]

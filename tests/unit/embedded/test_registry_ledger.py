"""Writers of the schema log that stand still, die and wake up: whoever reads it, no id stands for two schemas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from penstock.embedded.registry.layout import NOOP, Claim, SchemaValue, decode_key, decode_schema
from penstock.embedded.registry.ledger import Ledger

Row = tuple[bytes, bytes, str]
"""Key, value, writer."""


@dataclass
class Writer:
    """A process: it decides on the log up to its end, has one record under way, and reads that back before the next."""

    log: list[Row]
    name: str
    ledger: Ledger = field(default_factory=Ledger)
    under_way: Row | None = None
    is_over: bool = False
    written: int = 0
    _position: int = 0

    def read_to_end(self) -> None:
        for row in self.log[self._position :]:
            self.ledger.take(*row)
        self._position = len(self.log)

    def claim(self, name: str) -> None:
        """Say who writes from now on, under a name that was never used."""
        self.read_to_end()
        self.name = name
        claim = Claim(name, self.ledger.lineage.holder, self.ledger.contents.highest_id)
        self.under_way = (NOOP.encode(), claim.encode(), name)

    def decide(self) -> None:
        """Register the next schema, unless somebody else writes now."""
        self.read_to_end()
        if self.ledger.lineage.holder != self.name:
            self.is_over = True
            return
        self.written += 1
        subject = f"{self.name}-{self.written}"
        schema = SchemaValue(subject=subject, version=1, id=self.ledger.contents.highest_id + 1, text=subject)
        self.under_way = (schema.key.encode(), schema.encode(), self.name)

    def append(self) -> None:
        assert self.under_way is not None
        self.log.append(self.under_way)
        self.under_way = None


class World:
    """A log and its writers; each step is one that the schedule picks among those that can happen."""

    def __init__(self) -> None:
        self.log: list[Row] = []
        self.writers: list[Writer] = []
        self.late: list[Row] = []
        self.names = 0

    def steps(self) -> list[Callable[[], object]]:
        found: list[Callable[[], object]] = [self.join]
        for writer in self.writers:
            if writer.under_way is not None:
                found += [writer.append, partial(self.doubt, writer)]
            elif not writer.is_over:
                found += [writer.decide, writer.decide]
        found += [partial(self.arrive, row) for row in self.late]
        return found

    def new_name(self) -> str:
        self.names += 1
        return f"w{self.names}"

    def join(self) -> None:
        """The group has chosen another leader; the former one may know nothing of it yet."""
        writer = Writer(self.log, "")
        writer.claim(self.new_name())
        self.writers.append(writer)

    def doubt(self, writer: Writer) -> None:
        """An append was not answered: it may arrive later, or never. The writer claims anew, under another name."""
        assert writer.under_way is not None
        self.late.append(writer.under_way)
        writer.claim(self.new_name())

    def arrive(self, row: Row) -> None:
        self.late.remove(row)
        self.log.append(row)

    def texts_by_id(self) -> dict[int, set[str]]:
        """What a reader makes of it that counts every record."""
        found: dict[int, set[str]] = {}
        for key, value, _ in self.log:
            if decode_key(key) != NOOP:
                schema = decode_schema(value)
                found.setdefault(schema.id, set()).add(schema.text)
        return found


@settings(max_examples=400, deadline=None)
@given(st.lists(st.integers(0, 2**16), min_size=5, max_size=60))
def test_no_id_stands_for_two_schemas_whoever_wakes_up_when(schedule: list[int]) -> None:
    world = World()
    for choice in schedule:
        steps = world.steps()
        steps[choice % len(steps)]()
    event(f"{min(len(world.texts_by_id()), 5)}+ ids")
    assert {number: texts for number, texts in world.texts_by_id().items() if len(texts) > 1} == {}


def test_a_record_under_way_when_its_writer_is_superseded_keeps_its_id_to_itself() -> None:
    world = World()
    world.join()
    old = world.writers[0]
    old.append()
    old.decide()
    old.append()
    world.join()
    old.decide()  # id 2 or higher, not appended yet: here the process stands still
    new = world.writers[1]
    new.append()
    new.decide()
    new.append()
    old.append()
    old.decide()
    assert old.is_over
    new.read_to_end()
    assert sorted(world.texts_by_id()) == [1, 2, 3]
    assert [schema.text for schema in new.ledger.contents.every()] == ["w1-1", "w2-1"]
    assert len(new.ledger.disputed) == 1


@pytest.mark.parametrize("takeovers", [1, 3])
def test_each_takeover_uses_one_id_up(takeovers: int) -> None:
    world = World()
    for _ in range(1 + takeovers):
        world.join()
        world.writers[-1].append()
    world.writers[-1].read_to_end()
    assert world.writers[-1].ledger.contents.highest_id == takeovers


def test_the_highest_id_stands_in_the_claim_when_the_schema_that_had_it_is_deleted_and_compacted_away() -> None:
    """What is left of such a log is the claim; the next schema must not get the id that some record may still bear."""
    ledger = Ledger()
    ledger.take(NOOP.encode(), Claim("a", "a", highest_id=7).encode(), "a")
    assert ledger.contents.highest_id == 7
    ledger.take(NOOP.encode(), Claim("a", "a", highest_id=3).encode(), "a")
    assert ledger.contents.highest_id == 7


def test_a_claim_that_does_not_count_tells_its_highest_id_all_the_same() -> None:
    """Its writer gave that id away before it was superseded."""
    ledger = Ledger()
    ledger.take(NOOP.encode(), Claim("a").encode(), "a")
    ledger.take(NOOP.encode(), Claim("b", "a", highest_id=1).encode(), "b")
    ledger.take(NOOP.encode(), Claim("a", "a", highest_id=9).encode(), "a")
    assert ledger.lineage.holder == "b"
    assert ledger.contents.highest_id == 9


def test_the_id_of_a_record_that_does_not_count_is_never_given_again() -> None:
    """Whoever reads the log without its claims has seen it under that id."""
    ledger = Ledger()
    ledger.take(NOOP.encode(), Claim("a").encode(), "a")
    ledger.take(NOOP.encode(), Claim("b", "a").encode(), "b")
    late = SchemaValue(subject="s", version=1, id=40, text='"int"')
    ledger.take(late.key.encode(), late.encode(), "a")
    assert list(ledger.contents.every()) == []
    assert ledger.contents.highest_id == 40

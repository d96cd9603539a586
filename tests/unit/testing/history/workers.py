"""The workers of random histories: right, but for the one fault that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from penstock.record import Headers
from penstock.testing.history import DeadLetter, Effect, Input, Output, Place, Writer
from penstock.testing.history.log import parts
from penstock.testing.history.notes import COMMIT_RECORD, digest
from penstock.testing.history.run import Task
from tests.unit.testing.history.brokers import as_input, dead_letter_headers, works
from tests.unit.testing.history.topologies import PARTITIONS

if TYPE_CHECKING:
    from tests.unit.testing.history.miniature import Play

Steps = Iterator[None]


@dataclass
class Owned:
    """A task, where it is: committed positions and state, and who has it."""

    task: Task
    positions: dict[Place, int]
    state: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    sequence: int = 0
    owner_epoch: int = 0
    owner: Worker | None = None
    committed: list[Input] = field(default_factory=list[Input])


Done = tuple[Owned, dict[Place, int], dict[bytes, bytes], list[Input]]
"""A task, its positions and state after the transaction, and the inputs of that."""


class Worker:
    """One worker: a producer, and the tasks that it has."""

    def __init__(self, play: Play, number: int) -> None:
        self.play, self.name = play, f"p.w.{number}"
        self.writer = Writer(100 + number, 0)
        self.touched: list[Place | None] = []
        self.outputs: list[tuple[Place, int]] = []

    def live(self) -> Steps:
        """Take over what nobody has, then one transaction after the other."""
        while not self.play.is_over:
            yield
            for owned in self.play.tasks:
                if owned.owner is None:
                    owned.owner = self
                    yield from self.claim(owned)
                    break
            mine = [owned for owned in self.play.tasks if owned.owner is self and owned.owner_epoch]
            if mine:
                yield from self.transaction(self.play.random.sample(mine, self.play.random.randint(1, len(mine))))

    def claim(self, owned: Owned) -> Steps:
        """Restore the task from its changelog, and own it."""
        faults, is_stale = self.play.faults, False
        if owned.task.changelog is not None:
            owned.state, is_stale = self.restored(owned)
        goes_back = owned.committed and faults.strikes("offset regression")
        owned.owner_epoch += 1
        self.touched = []
        positions = dict(owned.positions)
        if goes_back:
            back = owned.committed[-1]
            source = Place(back.topic, back.partition)
            positions[source] = back.offset
            faults.note(self.name, source, back.offset)
        yield from self.stage_commit(owned, positions, {}, owned.state)
        if is_stale:
            source = owned.task.sources[0]
            faults.note(self.name, source, positions[source])
        yield from self.end(is_commit=True)
        owned.sequence += 1

    def restored(self, owned: Owned) -> tuple[dict[bytes, bytes], bool]:
        place = owned.task.changelog
        assert place is not None
        states: list[dict[bytes, bytes]] = [{}]
        for record in self.play.brokers.readable(place, 0):
            state = dict(states[-1])
            if record.key != COMMIT_RECORD:
                state.pop(record.key or b"", None)
                if record.value is not None:
                    state[record.key or b""] = record.value
            states.append(state)
        stale = [state for state in states[-8:] if state != states[-1]]
        if stale and self.play.faults.strikes("stale restore"):
            return self.play.random.choice(stale), True
        return states[-1], False

    def transaction(self, touched: list[Owned]) -> Steps:
        """Some records of some tasks, in one transaction."""
        random, faults = self.play.random, self.play.faults
        done: list[Done] = []
        self.touched, self.outputs = [], []
        for owned in touched:
            positions, state = dict(owned.positions), dict(owned.state)
            batch = self.taken(owned, positions)
            if not batch:
                continue
            yield from self.process(owned, batch, state)
            done.append((owned, positions, state, batch))
        if not done:
            return
        if random.random() < 0.15:  # it dies here, with everything but the offsets
            yield from self.die()
            return
        is_torn = bool(self.outputs) and faults.strikes("torn, no offsets")
        for owned, positions, state, _ in done:
            dirty = {
                key: state.get(key)
                for key in owned.state.keys() | state.keys()
                if owned.state.get(key) != state.get(key)
            }
            staged = self.stage_state if is_torn else self.stage_commit
            yield from staged(owned, positions, dirty, state)
        if not is_torn and random.random() < 0.1:
            yield from self.die()
            return
        yield from self.end(is_commit=True)
        if is_torn:
            faults.planted.append(self.outputs[0])
            self.writer = Writer(self.writer.producer_id, self.writer.producer_epoch + 1)
            return
        self.committed(touched, done)

    def committed(self, touched: list[Owned], done: list[Done]) -> None:
        """In memory, too; now and then a task is given away."""
        for owned, positions, state, batch in done:
            owned.positions, owned.state = positions, state
            owned.sequence += 1
            owned.committed += batch
        if self.play.random.random() < 0.25:
            owned = self.play.random.choice(touched)
            owned.owner = None
            if self.play.faults.strikes("dual writer"):
                self.play.zombies.append((self, owned, owned.owner_epoch, dict(owned.positions), owned.sequence))

    def taken(self, owned: Owned, positions: dict[Place, int]) -> list[Input]:
        """The next inputs, in the order of their timestamps, those of one transaction of the sources as a rule."""
        faults, found = self.play.faults, list[list[Input]]()
        for source in owned.task.sources:
            size = self.play.random.randint(0, 6)
            records = self.play.brokers.readable(source, positions[source])[:size]
            if records:
                end = records[-1].offset + 1
                everything = self.play.brokers.readable(source, positions[source], aborted=True)
                strays = [r for r in everything if r not in records and r.offset < end and works(r)]
                if strays and faults.strikes("aborted read"):
                    faults.note(self.name, source, strays[0].offset)
                    records = sorted([*records, strays[0]], key=lambda record: record.offset)
                positions[source] = end
            found.append([as_input(source, record) for record in records])
        batch = owned.task.stage.order(found)
        shown = [record for record in batch if works(record)]
        if shown and len(batch) > 1 and faults.strikes("lost"):
            gone = self.play.random.choice(shown)
            faults.note(self.name, Place(gone.topic, gone.partition), gone.offset)
            batch.remove(gone)
        again = owned.committed[-self.play.random.randint(1, 4) :]
        if batch and again and works(again[0]) and faults.strikes("duplicate"):
            faults.note(self.name, Place(again[0].topic, again[0].partition), again[0].offset)
            batch[:0] = again
        return batch

    def process(self, owned: Owned, batch: list[Input], state: dict[bytes, bytes]) -> Steps:
        """What comes of the records, in their order."""
        made = [(record, effect) for record in batch for effect in owned.task.stage.process(record, state)]
        swapped = next((n for n in range(len(made) - 1) if are_of_one_chain(made[n], made[n + 1])), -1)
        if swapped >= 0 and self.play.faults.strikes("reordered"):
            made[swapped : swapped + 2] = reversed(made[swapped : swapped + 2])
        else:
            swapped = -1
        for n, (record, effect) in enumerate(made):
            yield
            if isinstance(effect, Output):
                self.output(effect, is_noted=n == swapped)
            else:
                self.letter(owned, record, effect)

    def output(self, effect: Output, *, is_noted: bool) -> None:
        faults = self.play.faults
        is_wrong = faults.strikes("wrong value")
        place, offset = self.put(effect, b"999983" if is_wrong else effect.value)
        if is_wrong or is_noted:
            faults.note(self.name, place, offset)
        if faults.strikes("phantom"):
            faults.note(self.name, *self.put(effect, b"424242", key=b"nobody"))

    def letter(self, owned: Owned, record: Input, effect: DeadLetter) -> None:
        faults, source = self.play.faults, Place(record.topic, record.partition)
        for output in effect.instead_of:
            if faults.strikes("output and dead letter both"):
                faults.note(self.name, source, record.offset)
                self.put(output, output.value)
        if faults.strikes("silent drop"):
            faults.note(self.name, source, record.offset)
            return
        letters = Place((owned.task.stage.dead_letters or {})[record.topic], record.partition)
        self.write(letters, record.key, record.value, dead_letter_headers(record), record.timestamp_ms)

    def put(self, effect: Output, value: bytes | None, key: bytes | None = None) -> tuple[Place, int]:
        key = effect.key if key is None else key
        place = Place(effect.topic, sum(key or b"") % PARTITIONS[effect.topic])
        self.outputs.append((place, self.write(place, key, value, effect.headers or (), effect.timestamp_ms or 0)))
        return self.outputs[-1]

    def write(
        self, place: Place, key: bytes | None, value: bytes | None, headers: Headers = (), time_ms: int = 0
    ) -> int:
        if place not in self.touched:
            self.touched.append(place)
        return self.play.brokers.append(place, key, value, self.writer, headers, time_ms)

    def stage_state(
        self, owned: Owned, positions: dict[Place, int], dirty: dict[bytes, bytes | None], state: dict[bytes, bytes]
    ) -> Steps:
        """Changes and commit record of a task that has a changelog."""
        changelog = owned.task.changelog
        if changelog is not None:
            for key, value in dirty.items():
                yield
                self.write(changelog, key, value)
            yield
            record = {
                "format": 1,
                "next_offsets": {place.topic: offset for place, offset in positions.items()},
                "sequence": owned.sequence + 1,
                "writer": self.name,
                "owner_epoch": owned.owner_epoch,
                "digest": digest(state),
            }
            self.write(changelog, COMMIT_RECORD, msgspec.msgpack.encode(record))

    def stage_commit(
        self,
        owned: Owned,
        positions: dict[Place, int],
        dirty: dict[bytes, bytes | None],
        state: dict[bytes, bytes],
    ) -> Steps:
        """State, commit record and offsets of a task."""
        yield from self.stage_state(owned, positions, dirty, state)
        if None not in self.touched:
            self.touched.append(None)
        metadata = f"p1;s={owned.sequence + 1};w={self.name};oe={owned.owner_epoch};ts="
        for source, next_offset in positions.items():
            yield
            self.play.brokers.commit(source, next_offset, metadata, self.writer)

    def end(self, *, is_commit: bool, writer: Writer | None = None) -> Steps:
        """The markers, one log at a time, in any order."""
        faults = self.play.faults
        self.play.random.shuffle(self.touched)
        outputs = [place for place in self.touched if place is not None and place.topic in {"out", "mid"}]
        torn = (
            outputs[0] if is_commit and None in self.touched and outputs and faults.strikes("torn, no output") else None
        )
        for place in list(self.touched):
            yield
            self.play.brokers.mark(
                place, writer or self.writer, is_commit=is_commit and (torn is None or place != torn)
            )
        if torn is not None:
            part = next(p for p in reversed(parts(self.play.brokers.history.logs[torn])) if p.writer == self.writer)
            faults.note(self.name, torn, part.entries[0].offset)
        self.touched = []
        faults.end(self.name, is_commit=is_commit)

    def die(self) -> Steps:
        """And come back in the next epoch, whose first deed is to abort what was open."""
        yield
        self.writer = Writer(self.writer.producer_id, self.writer.producer_epoch + 1)
        yield from self.end(is_commit=False)

    def haunt(self, owned: Owned, owner_epoch: int, positions: dict[Place, int], sequence: int) -> Steps:
        """Commit for a task that somebody else has claimed meanwhile."""
        mine = Owned(owned.task, positions, dict(owned.state), sequence, owner_epoch)
        source = owned.task.sources[0]
        yield from self.stage_commit(mine, positions, {}, mine.state)
        self.play.faults.note(self.name, source, positions[source])
        yield from self.end(is_commit=True)


def are_of_one_chain(one: tuple[Input, Effect], two: tuple[Input, Effect]) -> bool:
    """Whether these are different outputs, of two inputs, whose order is promised, in one place."""
    first, second = one[1], two[1]
    if not (isinstance(first, Output) and isinstance(second, Output)) or one[0] == two[0]:
        return False
    chains = [(output.key, record.topic, record.key) for output, record in ((first, one[0]), (second, two[0]))]
    return chains[0] == chains[1] and first.value != second.value

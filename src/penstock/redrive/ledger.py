"""The ledger: what became of each dead letter, and who did it. Written in the transaction that does it.

One compacted topic a project, `<project>.redrives`, with two kinds of records, both MessagePack maps with a version:

* a **block**, under `block <topic id> <partition> <number>`: two bits for each of 4,096 offsets of a dead-letter
  partition, redriven and dropped. A topic that is made anew has another id, and so nothing of it is taken for done.
* a **run**, under `run <id>`: one redrive, drop or reopening: who, when, what was selected, how many.

A letter that is marked is passed over by whatever command comes next. That is what makes redriving exactly-once across
crashes and overlapping selections: there is no position to resume from, and none to lose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeVar

import msgspec

from penstock.errors import OperatorMustDecide
from penstock.kafka.admin import TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.reader import RawRecord, read_to_end

T = TypeVar("T")

FORMAT: Final = 1
BLOCK: Final = 4_096
"""Offsets in one block."""

Fate = Literal["open", "redriven", "dropped"]
Action = Literal["redrive", "drop", "reopen"]
FATE_OF: Final[dict[Action, Fate]] = {"redrive": "redriven", "drop": "dropped", "reopen": "open"}


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """The fates of 4,096 letters that follow each other.

    Attributes:
        format: of this map; a newer one is refused.
        topic: the dead-letter topic's name, for people.
        redriven: a bit per offset, the lowest of the first byte for the block's first.
        dropped: likewise.
    """

    format: int = FORMAT
    topic: str
    redriven: bytes
    dropped: bytes


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One redrive, drop or reopening, as far as it has come.

    Attributes:
        format: of this map; a newer one is refused.
        id: of the run.
        action: what was done.
        topic: the dead-letter topic.
        topic_id: Kafka's id of it.
        selection: as it was asked for; empty for all.
        to: where to, if not where they came from.
        edit: the function that changed them.
        reason: as whoever dropped them gave it.
        who: user and host.
        started_ms: milliseconds since 1970 UTC.
        written_ms: likewise, of this record.
        transactions: committed so far, the one that this record stands in included.
        letters: dealt with so far.
        targets: {topic: records written}.
        held: {why: letters that were left as they are}.
        next_offsets: {partition of the dead-letter topic: offset} in front of which nothing is left of the selection.
        is_finished: whether it came to its end; one that did not was stopped or died, and whoever comes next goes on.
    """

    format: int = FORMAT
    id: str
    action: Action
    topic: str
    topic_id: str = ""
    selection: str = ""
    to: str = ""
    edit: str = ""
    reason: str = ""
    who: str = ""
    started_ms: int = 0
    written_ms: int = 0
    transactions: int = 0
    letters: int = 0
    targets: dict[str, int] = msgspec.field(default_factory=dict)
    held: dict[str, int] = msgspec.field(default_factory=dict)
    next_offsets: dict[int, int] = msgspec.field(default_factory=dict)
    is_finished: bool = False


def resumed_at(account: Run, runs: Iterable[Run]) -> dict[int, int]:
    """{partition: offset} at which a run may begin, for one like it was stopped or died behind that; empty = nowhere.

    Only what is known to be dealt with is passed over. So a run that came to its end is no reason: it is given again
    for what was held back, or could not be decoded. Nor is anything in front of a reopening.

    Args:
        account: of the run that begins.
        runs: of the ledger, the one that was written last behind the others.
    """
    if account.action == "reopen":
        return {}
    for before in reversed([run for run in runs if run.topic_id == account.topic_id]):
        if before.action == "reopen":
            return {}
        if (before.action, before.selection) == (account.action, account.selection):
            return {} if before.is_finished else dict(before.next_offsets)
    return {}


class _Version(msgspec.Struct):
    format: int


def ledger_topic(project: str, prefix: str = "") -> TopicSettings:
    """The topic of a project's ledger. One partition, read whole at each start; small segments, so it is compacted."""
    return TopicSettings(
        f"{prefix}{project}.redrives",
        partitions=1,
        config={"cleanup.policy": "compact", "segment.bytes": "16777216", "segment.ms": "3600000"},
    )


@dataclass(slots=True)
class _Bits:
    redriven: int = 0
    dropped: int = 0

    def fate(self, bit: int) -> Fate:
        if self.redriven >> bit & 1:
            return "redriven"
        return "dropped" if self.dropped >> bit & 1 else "open"

    def set(self, bit: int, fate: Fate) -> None:
        self.redriven &= ~(1 << bit)
        self.dropped &= ~(1 << bit)
        if fate == "redriven":
            self.redriven |= 1 << bit
        elif fate == "dropped":
            self.dropped |= 1 << bit


@dataclass(slots=True)
class Ledger:
    """The fates of one dead-letter topic's letters, and the runs of all.

    What is marked is staged until `settle`; after a crash or an abort the ledger is read anew.

    Attributes:
        topic: the dead-letter topic's name.
        topic_id: Kafka's id of it.
        runs: {id: run}, in the order in which they were written last.
    """

    topic: str
    topic_id: str
    runs: dict[str, Run] = field(default_factory=dict[str, Run])
    _blocks: dict[tuple[int, int], _Bits] = field(default_factory=dict[tuple[int, int], _Bits])
    _changed: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    @staticmethod
    def of(topic: str, topic_id: str, records: Iterable[RawRecord]) -> Ledger:
        """What these records of the ledger's topic say, oldest first.

        Raises:
            OperatorMustDecide: one was written by a newer release, or by something else.
        """
        ledger = Ledger(topic, topic_id)
        for record in records:
            ledger._take(record)
        return ledger

    def fate(self, partition: int, offset: int) -> Fate:
        """What became of the letter at this place."""
        bits = self._blocks.get((partition, offset // BLOCK))
        return "open" if bits is None else bits.fate(offset % BLOCK)

    @property
    def redriven(self) -> int:
        """Letters of the topic that were, and were not reopened."""
        return sum(bits.redriven.bit_count() for bits in self._blocks.values())

    @property
    def dropped(self) -> int:
        """Likewise."""
        return sum(bits.dropped.bit_count() for bits in self._blocks.values())

    def mark(self, partition: int, offset: int, fate: Fate) -> None:
        """Something becomes of it, with the transaction in hand."""
        place = (partition, offset // BLOCK)
        self._blocks.setdefault(place, _Bits()).set(offset % BLOCK, fate)
        self._changed.add(place)

    def staged(self) -> tuple[list[bytes | None], list[bytes | None]]:
        """Keys and values of the blocks that were changed since `settle`."""
        places = sorted(self._changed)
        return [self._key(*place) for place in places], [self._value(self._blocks[place]) for place in places]

    def settle(self) -> None:
        """What was staged is committed."""
        self._changed.clear()

    def _key(self, partition: int, number: int) -> bytes:
        return f"block {self.topic_id} {partition} {number}".encode()

    def _value(self, bits: _Bits) -> bytes:
        return msgspec.msgpack.encode(
            Block(topic=self.topic, redriven=_bytes_of(bits.redriven), dropped=_bytes_of(bits.dropped))
        )

    def _take(self, record: RawRecord) -> None:
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        kind, *rest = (record.key or b"").decode(errors="replace").split(" ")
        if record.value is None:
            return
        if kind == "run" and len(rest) == 1:
            self.runs.pop(rest[0], None)
            self.runs[rest[0]] = _decoded(record.value, Run, where)
        elif kind == "block" and len(rest) == 3 and rest[1].isdecimal() and rest[2].isdecimal():
            if rest[0] == self.topic_id:
                block = _decoded(record.value, Block, where)
                bits = _Bits(int.from_bytes(block.redriven, "little"), int.from_bytes(block.dropped, "little"))
                self._blocks[int(rest[1]), int(rest[2])] = bits
        else:
            raise OperatorMustDecide(f"{where}: no record of a ledger; find out what else writes to this topic")


def run_record(run: Run) -> tuple[bytes, bytes]:
    """Key and value of a run's record."""
    return f"run {run.id}".encode(), msgspec.msgpack.encode(run)


def read_ledger(connection: Connection, ledger: str, topic: str, topic_id: str) -> Ledger:
    """The ledger as it is committed; before a redrive to be called after `init_transactions`, or it is not the last.

    Args:
        connection: the cluster.
        ledger: the ledger's topic, which exists.
        topic: a dead-letter topic.
        topic_id: Kafka's id of it.

    Raises:
        ServerUnreachable: the partition stood still for too long.
        OperatorMustDecide: what stands there is no ledger that this release reads.
    """
    return Ledger.of(topic, topic_id, read_to_end(connection, ledger, 0, client_id="penstock-dlq.ledger"))


def _decoded(value: bytes, kind: type[T], where: str) -> T:
    try:
        version = msgspec.msgpack.decode(value, type=_Version).format
        if version > FORMAT:
            raise OperatorMustDecide(
                f"{where}: ledger format {version} is newer than this release reads ({FORMAT}); run the newer release"
            )
        return msgspec.msgpack.decode(value, type=kind)
    except msgspec.DecodeError as exc:
        raise OperatorMustDecide(
            f"{where}: no record of a ledger; find out what else writes to this topic. Nothing was redriven"
        ) from exc


def _bytes_of(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")

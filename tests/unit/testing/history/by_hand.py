"""Small histories written by hand: one partition of each topic, records appended one after the other."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock.record import Headers
from penstock.testing.history import NOBODY, History, Log, Model, OffsetCommit, Place, Writer
from penstock.testing.history.notes import COMMIT_RECORD, digest
from tests.unit.testing.history.brokers import Brokers

A, B = Writer(1, 0), Writer(2, 0)
IN, OUT, DEAD, STATE = Place("in", 0), Place("out", 0), Place("dlq.p.in", 0), Place("in.changelog", 0)


class ByHand(Brokers):
    """Brokers with a pen: values are text."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.history = History({Place(topic, 0): Log() for topic in model.topics}, Log[OffsetCommit]())

    def inputs(self, *numbers: int, key: bytes = b"k") -> None:
        """Committed numbers under one key."""
        for number in numbers:
            self.append(IN, key, b"%d" % number, NOBODY)

    def put(
        self,
        value: str,
        writer: Writer = A,
        *,
        place: Place = OUT,
        key: bytes = b"k",
        headers: Headers = (),
        time_ms: int = 0,
    ) -> int:
        """An output, not committed yet."""
        return self.append(place, key, value.encode(), writer, headers, time_ms)

    def letter(self, offset: int, value: str, writer: Writer = A, *, time_ms: int = 0) -> int:
        """A dead letter of the input at this offset."""
        told = {"topic": "in", "partition": "0", "offset": str(offset)}
        headers = tuple((f"__dlq.errors.{name}", text.encode()) for name, text in told.items())
        return self.put(value, writer, place=DEAD, headers=headers, time_ms=time_ms)

    def state(
        self,
        changes: Mapping[str, str | None],
        next_offset: int,
        sequence: int,
        writer: Writer = A,
        *,
        whole: Mapping[str, str] | None = None,
        owner: tuple[str, int] = ("a", 1),
    ) -> None:
        """Changed sums, and the commit record behind them; `whole` is the state that its digest speaks of."""
        for key, value in changes.items():
            self.append(STATE, b"\x03sum" + key.encode(), None if value is None else value.encode(), writer)
        entries = {b"\x03sum" + key.encode(): value.encode() for key, value in (whole or {}).items()}
        said = {
            "next_offsets": {"in": next_offset},
            "sequence": sequence,
            "writer": owner[0],
            "owner_epoch": owner[1],
            "digest": digest(entries),
        }
        self.append(STATE, COMMIT_RECORD, msgspec.msgpack.encode(said), writer)

    def offsets(
        self, next_offset: int, sequence: int | None = None, writer: Writer = A, owner: tuple[str, int] = ("a", 1)
    ) -> None:
        """The group's place; without a sequence it is nobody's note."""
        note = "" if sequence is None else f"p1;s={sequence};w={owner[0]};oe={owner[1]};ts=;ev="
        self.commit(IN, next_offset, note, writer)

    def end(self, *places: Place | None, writer: Writer = A, is_commit: bool = True) -> None:
        """Markers; None = the group's."""
        for place in places:
            self.mark(place, writer, is_commit=is_commit)

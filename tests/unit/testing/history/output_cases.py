"""Cases about outputs and dead letters."""

from __future__ import annotations

from penstock.testing.history import Kind, Place
from tests.unit.testing.history.by_hand import DEAD, IN, OUT, ByHand
from tests.unit.testing.history.cases import ECHO, TIMED, case


@case("a dead letter in the place of an output", ECHO, Kind.LOST, at=(IN, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.letter(0, "1", time_ms=1_001)
    h.offsets(1)
    h.end(DEAD, None)


@case("a dead letter beside an output", ECHO, Kind.OUTPUT_AND_DEAD_LETTER, at=(IN, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.letter(0, "1", time_ms=1_001)
    h.offsets(1)
    h.end(OUT, DEAD, None)


@case(
    "an output that says itself that it comes of what was dead-lettered", ECHO, Kind.OUTPUT_AND_DEAD_LETTER, at=(IN, 0)
)
def _(h: ByHand) -> None:
    h.inputs(11)
    h.put("half", headers=(("penstock.origin", b"in[0]@0"),))
    h.letter(0, "11", time_ms=1_001)
    h.offsets(1)
    h.end(OUT, DEAD, None)


@case("a dead letter twice", ECHO, Kind.DUPLICATE, at=(DEAD, 2))
def _(h: ByHand) -> None:
    h.inputs(11, 11)
    h.letter(0, "11", time_ms=1_001)
    h.offsets(1)
    h.end(DEAD, None)
    h.letter(0, "11", time_ms=1_001)
    h.letter(1, "11", time_ms=1_002)
    h.offsets(2)
    h.end(DEAD, None)


@case("a dead letter that has changed on the way", ECHO, Kind.WRONG_VALUE, at=(DEAD, 0))
def _(h: ByHand) -> None:
    h.inputs(11)
    h.letter(0, "eleven", time_ms=1_001)
    h.offsets(1)
    h.end(DEAD, None)


@case("a dead letter with another timestamp", ECHO, Kind.WRONG_VALUE, at=(DEAD, 0))
def _(h: ByHand) -> None:
    h.inputs(11)
    h.letter(0, "11", time_ms=77)
    h.offsets(1)
    h.end(DEAD, None)


@case("a dead letter that names no input", ECHO, Kind.PHANTOM, at=(DEAD, 0))
def _(h: ByHand) -> None:
    h.put("11", place=DEAD)
    h.end(DEAD)


@case("other headers", TIMED, Kind.WRONG_VALUE, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1", headers=(("a", b"c"),), time_ms=5)
    h.offsets(1)
    h.end(OUT, None)


@case("another timestamp", TIMED, Kind.WRONG_VALUE, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1", headers=(("a", b"b"),), time_ms=6)
    h.offsets(1)
    h.end(OUT, None)


@case("another partition", TIMED, Kind.WRONG_VALUE, at=(Place("out", 1), 0))
def _(h: ByHand) -> None:
    h.history.logs[Place("out", 1)] = type(h.history.logs[OUT])()
    h.inputs(1)
    h.put("1", headers=(("a", b"b"),), time_ms=5, place=Place("out", 1))
    h.offsets(1)
    h.end(Place("out", 1), None)


@case("one key in two partitions", ECHO, Kind.REORDERED, at=(Place("out", 1), 0))
def _(h: ByHand) -> None:
    h.history.logs[Place("out", 1)] = type(h.history.logs[OUT])()
    h.inputs(1, 2)
    h.put("1")
    h.put("2", place=Place("out", 1))
    h.offsets(2)
    h.end(OUT, Place("out", 1), None)


@case("two results of one key, the later in front", ECHO, Kind.REORDERED, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    h.put("2")
    h.put("1")
    h.offsets(2)
    h.end(OUT, None)

"""Cases about transactions, offsets and writers."""

from __future__ import annotations

from penstock.testing.history import NOBODY, Kind, Writer
from tests.unit.testing.history.by_hand import DEAD, IN, OUT, A, B, ByHand
from tests.unit.testing.history.cases import ECHO, case


@case("two results of two transactions", ECHO)
def _(h: ByHand) -> None:
    h.inputs(1, 11, 2)
    h.put("1")
    h.letter(1, "11", time_ms=1_002)
    h.offsets(2, 1)
    h.end(OUT, DEAD, None)
    h.put("2")
    h.offsets(3, 2)
    h.end(OUT, None)


@case("an output and its offset by two producers", ECHO, Kind.TORN, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1", A)
    h.offsets(1, writer=B)
    h.end(OUT)
    h.end(None, writer=B)


@case("an output in a transaction, its offset outside", ECHO, Kind.TORN, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1", A)
    h.end(OUT)
    h.offsets(1, writer=NOBODY)


@case("one commit over two transactions", ECHO, Kind.TORN, at=(OUT, 2))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    h.put("1")
    h.end(OUT)
    h.put("2")
    h.offsets(2)
    h.end(OUT, None)


@case("two commits over one transaction", ECHO, Kind.TORN, at=(OUT, 1))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    h.put("1")
    h.offsets(1)
    h.end(None)
    h.put("2")
    h.offsets(2)
    h.end(OUT, None)


@case("aborted with its offset committed outside of a transaction", ECHO, Kind.TORN, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.end(OUT, is_commit=False)
    h.offsets(1, writer=NOBODY)


@case("aborted, and stepped over by the next transaction", ECHO, Kind.LOST, at=(IN, 0))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    h.put("1")
    h.end(OUT, is_commit=False)
    h.put("2")
    h.offsets(2)
    h.end(OUT, None)


@case("visible, and its offset never committed", ECHO, Kind.TORN, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.end(OUT)


@case("on its way: the marker of the output is still to come", ECHO)
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.offsets(1)
    h.end(None)


@case("on its way: the marker of the offsets is still to come", ECHO)
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.offsets(1)
    h.end(OUT)


@case("offsets of more than there is", ECHO, Kind.PHANTOM, at=(IN, 3))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.offsets(3)
    h.end(OUT, None)


@case("offsets that go back", ECHO, Kind.OFFSET_REGRESSION, at=(IN, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.offsets(1)
    h.end(OUT, None)
    h.offsets(0)
    h.end(None)


@case("an old commit that was sent again, late", ECHO, Kind.OFFSET_REGRESSION, at=(IN, 1))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.offsets(1, 1)
    h.end(OUT, None)
    h.offsets(1, 1)
    h.end(None)


@case("a transaction without offsets: the next one is one too far", ECHO, Kind.TORN, at=(IN, 2))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    h.put("1")
    h.offsets(1, 1)
    h.end(OUT, None)
    h.put("2")
    h.offsets(2, 3)
    h.end(OUT, None)


@case("a new owner that knew nothing of the last transaction", ECHO, Kind.STALE_RESTORE, at=(IN, 2))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    for offset in (1, 2):
        h.put(str(offset))
        h.offsets(offset, offset)
        h.end(OUT, None)
    h.offsets(2, 2, B, owner=("b", 2))
    h.end(None, writer=B)


@case("an owner that was replaced", ECHO, Kind.DUAL_WRITER, at=(IN, 1))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.offsets(1, 1)
    h.end(OUT, None)
    h.offsets(1, 2, B, owner=("b", 2))
    h.end(None, writer=B)
    h.offsets(1, 2)
    h.end(None)
    h.offsets(1, 3, B, owner=("b", 2))
    h.end(None, writer=B)


@case("two owners with one epoch", ECHO, Kind.DUAL_WRITER, at=(IN, 1))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.offsets(1, 1)
    h.end(OUT, None)
    h.offsets(1, 2, B, owner=("b", 1))
    h.end(None, writer=B)


@case("a fenced producer", ECHO, Kind.DUAL_WRITER, at=(OUT, 2))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    h.put("1", Writer(1, 1))
    h.offsets(1, writer=Writer(1, 1))
    h.end(OUT, None, writer=Writer(1, 1))
    h.put("2", A)
    h.offsets(2)
    h.end(OUT, None)


@case("a torn transaction with a value that depends on what it had read", ECHO, Kind.TORN, at=(OUT, 0))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    h.put("1")
    h.put("1 and something else")
    h.end(OUT)

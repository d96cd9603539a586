"""Cases about state: changelogs, commit records, digests."""

from __future__ import annotations

from penstock.testing.history import Kind
from tests.unit.testing.history.by_hand import IN, OUT, STATE, A, B, ByHand
from tests.unit.testing.history.cases import case
from tests.unit.testing.history.topologies import SUMS


@case("state and offsets, as they should be", SUMS)
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    for offset, total in ((1, 1), (2, 3)):
        h.put(str(total))
        h.state({"k": str(total)}, offset, offset, whole={"k": str(total)})
        h.offsets(offset, offset)
        h.end(OUT, STATE, None)


@case("state without offsets", SUMS, Kind.TORN, at=(STATE, 4))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.state({"k": "1"}, 1, 1, whole={"k": "1"})
    h.offsets(1, 1)
    h.end(OUT, STATE, None)
    h.state({"k": "3"}, 2, 2, whole={"k": "3"})
    h.end(STATE)


@case("state whose commit record says another offset", SUMS, Kind.TORN, at=(STATE, 1))
def _(h: ByHand) -> None:
    h.inputs(1, 0)
    h.put("1")
    h.state({"k": "1"}, 2, 1, whole={"k": "1"})
    h.offsets(1, 1)
    h.end(OUT, STATE, None)


@case("offsets without state", SUMS, Kind.TORN, at=(IN, 1))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.state({"k": "1"}, 1, 1, whole={"k": "1"})
    h.offsets(1, 1)
    h.end(OUT, None)
    h.end(STATE, is_commit=False)


@case("state without a commit record", SUMS, Kind.TORN, at=(STATE, 0))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.append(STATE, b"\x03sumk", b"1", A)
    h.offsets(1)
    h.end(OUT, STATE, None)


@case("two producers in one changelog at the same time", SUMS, Kind.DUAL_WRITER, at=(STATE, 1))
def _(h: ByHand) -> None:
    h.state({}, 0, 1)
    h.state({}, 0, 2, B, owner=("b", 2))
    h.offsets(0, 1)
    h.offsets(0, 2, B, owner=("b", 2))
    h.end(STATE, None)
    h.end(STATE, None, writer=B)


@case("a value of the state that is right again later", SUMS, Kind.WRONG_VALUE, at=(STATE, 0))
def _(h: ByHand) -> None:
    h.inputs(1, 2)
    for offset, total, said in ((1, 1, "7"), (2, 3, "3")):
        h.put(str(total))
        h.state({"k": said}, offset, offset, whole={"k": said})
        h.offsets(offset, offset)
        h.end(OUT, STATE, None)


@case("a key that is not in the changelog", SUMS, Kind.LOST, at=(STATE, 2))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.state({}, 1, 1)
    h.offsets(1, 1)
    h.end(OUT, STATE, None)


@case("a key that is deleted in the changelog only", SUMS, Kind.WRONG_VALUE, at=(STATE, 3))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.state({"k": "1"}, 1, 1, whole={"k": "1"})
    h.offsets(1)
    h.end(OUT, STATE, None)
    h.state({"k": None}, 1, 2)
    h.offsets(1)
    h.end(STATE, None)


@case("a key in the changelog that nobody has put", SUMS, Kind.PHANTOM, at=(STATE, 0))
def _(h: ByHand) -> None:
    h.append(STATE, b"\x03sumz", b"5", A)
    h.state({}, 0, 1, whole={"z": "5"})
    h.offsets(0)
    h.end(STATE, None)


@case("a digest of something else", SUMS, Kind.WRONG_VALUE, at=(STATE, 1))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.state({"k": "1"}, 1, 1, whole={"k": "2"})
    h.offsets(1, 1)
    h.end(OUT, STATE, None)


@case("a digest of the state before", SUMS, Kind.STALE_RESTORE, at=(STATE, 3))
def _(h: ByHand) -> None:
    h.inputs(1)
    h.put("1")
    h.state({"k": "1"}, 1, 1, whole={"k": "1"})
    h.offsets(1, 1)
    h.end(OUT, STATE, None)
    h.state({}, 1, 2, B, owner=("b", 2))
    h.offsets(1, 2, B, owner=("b", 2))
    h.end(STATE, None, writer=B)

"""Cases about stages that park records: what comes of them may stand in a later transaction, and in their order."""

from __future__ import annotations

from dataclasses import replace

from penstock.testing.history import Kind, Model
from tests.unit.testing.history.by_hand import IN, OUT, B, ByHand
from tests.unit.testing.history.cases import ECHO, case

PARKS = Model("p", [replace(ECHO.stages[0], parks=True)])


def one_key_is_parked(h: ByHand) -> None:
    """All three inputs are committed; what comes of the first two, which have one key, is not there yet."""
    h.inputs(1, 2)
    h.inputs(3, key=b"l")
    h.put("3", key=b"l")
    h.offsets(3, 1)
    h.end(OUT, None)


def it_comes_later(h: ByHand, *results: str) -> None:
    """In a second transaction of the same task."""
    one_key_is_parked(h)
    for result in results:
        h.put(result)
    h.offsets(3, 2)
    h.end(OUT, None)


@case("results of a parked key, later", PARKS)
def _(h: ByHand) -> None:
    it_comes_later(h, "1", "2")


@case("results that are later, where nothing is parked", ECHO, Kind.TORN, at=(OUT, 0))
def _(h: ByHand) -> None:
    it_comes_later(h, "1", "2")


@case("results of a parked key, the later in front", PARKS, Kind.REORDERED, at=(OUT, 2))
def _(h: ByHand) -> None:
    it_comes_later(h, "2", "1")


@case("results of a parked key by another task's owner", PARKS, Kind.TORN, at=(OUT, 2))
def _(h: ByHand) -> None:
    one_key_is_parked(h)
    h.put("1", B)
    h.put("2", B)
    h.end(OUT, writer=B)


@case("a parked key that never comes back", PARKS, Kind.LOST, at=(IN, 0))
def _(h: ByHand) -> None:
    one_key_is_parked(h)

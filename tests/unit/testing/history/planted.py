"""Random histories with one fault in them, made by the engine in miniature."""

from __future__ import annotations

from penstock.testing.history import Kind
from tests.unit.testing.history.cases import Planted
from tests.unit.testing.history.faults import Faults
from tests.unit.testing.history.miniature import Play
from tests.unit.testing.history.topologies import MODELS

FAULTS = {
    "lost": Kind.LOST,
    "duplicate": Kind.DUPLICATE,
    "phantom": Kind.PHANTOM,
    "aborted read": Kind.ABORTED_READ,
    "torn, no offsets": Kind.TORN,
    "torn, no output": Kind.TORN,
    "reordered": Kind.REORDERED,
    "wrong value": Kind.WRONG_VALUE,
    "offset regression": Kind.OFFSET_REGRESSION,
    "stale restore": Kind.STALE_RESTORE,
    "dual writer": Kind.DUAL_WRITER,
    "output and dead letter both": Kind.OUTPUT_AND_DEAD_LETTER,
    "silent drop": Kind.SILENT_DROP,
}
"""{fault: what it is to be called}."""

IMPOSSIBLE = {
    ("flat", "stale restore"),  # no state
    ("rekeyed", "output and dead letter both"),  # nothing is made before it fails
}


def plant(model: str, fault: str, seed: int) -> Planted | None:
    """A history with the fault; None where this seed gave it no opportunity, or its transaction was aborted."""
    faults = Faults(fault, nth=seed % 4)
    history = Play(MODELS[model], seed, faults).run(settles=True)
    if not faults.planted:
        return None
    return Planted(f"{model} {fault} {seed}", history, MODELS[model], frozenset({FAULTS[fault]}), faults.planted[0])


def plants(model: str, fault: str, count: int) -> list[Planted]:
    """So many of them."""
    found: list[Planted] = []
    for seed in range(100 * count):
        planted = plant(model, fault, seed)
        if planted is not None:
            found.append(planted)
        if len(found) == count:
            return found
    raise AssertionError(f"{model} gives '{fault}' too few opportunities: {len(found)}")

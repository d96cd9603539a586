"""Whatever goes wrong once in a random history is found under its right name, with the records that show it."""

from __future__ import annotations

import pytest

from penstock.testing.history import check
from tests.unit.testing.history.planted import FAULTS, IMPOSSIBLE, plants

MODELS = ["flat", "sums", "together", "rekeyed"]
MISNAMED = 35
"""Of a hundred of one fault, at most: see the figures in docs/reference/history-checker.md."""
PAIRS = [(model, fault) for model in MODELS for fault in FAULTS if (model, fault) not in IMPOSSIBLE]


def look(model: str, fault: str, count: int) -> None:
    for planted in plants(model, fault, count):
        verdicts = check(planted.history, planted.model)
        told = f"{planted.name} at {planted.at}: " + "\n".join(map(str, verdicts))
        assert {verdict.kind for verdict in verdicts} == planted.kinds, told
        assert any((w.place, w.offset) == planted.at for v in verdicts for w in v.witnesses), told
        assert all(len(verdict.witnesses) <= 4 for verdict in verdicts), told


@pytest.mark.parametrize(("model", "fault"), PAIRS)
def test_one_fault_gives_its_name_its_witness_and_no_other_name(model: str, fault: str) -> None:
    look(model, fault, 3)


@pytest.mark.full
@pytest.mark.parametrize(("model", "fault"), PAIRS)
def test_of_a_hundred_all_are_found_and_nearly_all_by_their_name_alone(model: str, fault: str) -> None:
    """What a fault leads to may look like another fault: a stale state that is restored once more, several sources."""
    found = [(p, frozenset(v.kind for v in check(p.history, p.model))) for p in plants(model, fault, 100)]
    assert [planted.name for planted, kinds in found if not kinds] == []
    wrong = [planted.name for planted, kinds in found if kinds != planted.kinds]
    assert len(wrong) <= MISNAMED, wrong

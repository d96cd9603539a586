"""What the rules say of small histories."""

from __future__ import annotations

import pytest

from penstock.testing.history import check
from tests.unit.testing.history.cases import Planted
from tests.unit.testing.history.corpus import by_hand

CASES = by_hand()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_planted_is_found_under_its_name_and_nothing_else(case: Planted) -> None:
    verdicts = check(case.history, case.model)
    assert {verdict.kind for verdict in verdicts} == case.kinds, "\n".join(map(str, verdicts))
    if case.at is not None:
        assert case.at in {(verdict.place, verdict.offset) for verdict in verdicts}

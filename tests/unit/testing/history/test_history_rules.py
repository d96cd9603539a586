"""The checker is checked: without any one of its rules something that is planted gets away, or gets a wrong name."""

from __future__ import annotations

from functools import cache

import pytest

from penstock.testing.history import RULES, check
from penstock.testing.history.case import Rule
from tests.unit.testing.history.cases import Planted
from tests.unit.testing.history.cleaning import clean
from tests.unit.testing.history.corpus import by_hand
from tests.unit.testing.history.planted import FAULTS, IMPOSSIBLE, plants
from tests.unit.testing.history.topologies import MODELS


@cache
def corpus() -> list[Planted]:
    """All that is written by hand, some of what is random, and clean ones after a cleaner."""
    random = [
        planted
        for model in ("flat", "sums", "together")
        for fault in FAULTS
        if (model, fault) not in IMPOSSIBLE
        for planted in plants(model, fault, 2)
    ]
    cleaned = [
        Planted(f"{name} {seed}", clean(model, seed), model, frozenset(), None)
        for name, model in MODELS.items()
        for seed in (0, 3, 6)
    ]
    return [*by_hand(), *random, *cleaned]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.__module__.rpartition('.')[2]}-{rule.__name__}")
def test_no_rule_can_be_done_without(rule: Rule) -> None:
    others = tuple(each for each in RULES if each is not rule)
    wrong = [
        planted.name
        for planted in corpus()
        if frozenset(v.kind for v in check(planted.history, planted.model, rules=others)) != planted.kinds
    ]
    assert wrong


def test_with_all_rules_all_of_these_have_their_right_names() -> None:
    for planted in corpus():
        found = {verdict.kind for verdict in check(planted.history, planted.model)}
        assert found == planted.kinds, planted.name

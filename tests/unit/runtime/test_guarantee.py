"""Which pipelines may run without transactions."""

from __future__ import annotations

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError
from penstock.runtime.guarantee import check_guarantee
from penstock.schemas.topic import Topic

IN = Topic("in", key=str, value=str)
OUT = Topic("out", key=str, value=str)


def plain() -> Pipeline:
    made = Pipeline("p")
    made.stream(IN).filter(bool, name="some").to(OUT)
    return made


def keeping() -> Pipeline:
    made = plain()
    made.stream(Topic("other", key=str, value=str)).count(name="seen")
    return made


def rekeyed() -> Pipeline:
    made = plain()
    made.stream(Topic("other", key=str, value=str)).key_by(str, name="by-text").to(OUT, name="again")
    return made


def test_one_without_state_may() -> None:
    check_guarantee(plain().topology(), "at_least_once")


@pytest.mark.parametrize(("made", "why"), [(keeping(), r"keeps state \('seen'\)"), (rekeyed(), "a topic of its own")])
def test_one_part_is_enough_to_refuse_all(made: Pipeline, why: str) -> None:
    check_guarantee(made.topology(), "exactly_once")
    with pytest.raises(ConfigurationError, match=why):
        check_guarantee(made.topology(), "at_least_once")

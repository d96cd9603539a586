"""No false alarm: what exactly-once processing leaves behind has no verdict, whatever happened on the way."""

from __future__ import annotations

from collections import Counter

import pytest

from penstock.testing.history import History, Model, behind, check
from penstock.testing.history.log import parts
from penstock.testing.history.notes import note_of
from penstock.testing.segments import Fate
from tests.unit.testing.history.cleaning import clean
from tests.unit.testing.history.topologies import MODELS, keyed

EACH_RUN = 40
"""Histories of each model; `full` looks at 2,000 of each, 10,000 together."""


def look(name: str, seeds: range) -> None:
    for seed in seeds:
        verdicts = check(clean(MODELS[name], seed), MODELS[name])
        assert not verdicts, f"{name}, seed {seed}: " + "\n".join(map(str, verdicts))


@pytest.mark.parametrize("name", MODELS)
def test_a_clean_history_has_no_verdict(name: str) -> None:
    look(name, range(EACH_RUN))


@pytest.mark.full
@pytest.mark.parametrize("first", range(0, 2_000, 200))
@pytest.mark.parametrize("name", MODELS)
def test_nor_has_one_of_ten_thousand(name: str, first: int) -> None:
    look(name, range(first, first + 200))


@pytest.mark.parametrize("name", ["sums", "rekeyed"])
def test_nor_has_one_whose_state_the_model_keeps_in_a_form_of_its_own(name: str) -> None:
    model = keyed(MODELS[name])
    for seed in range(10):
        assert not check(clean(MODELS[name], seed), model)


def happened(history: History, model: Model) -> Counter[str]:
    """What there is to stumble over."""
    found: Counter[str] = Counter()
    for place, log in history.logs.items():
        found["cleaned logs"] += log.has_gaps
        writers = {part.writer.producer_id for part in parts(log) if part.writer.producer_id >= 100}
        found["logs of several workers"] += len(writers) > 1
        for part in parts(log):
            found[f"{part.fate.value} {'input' if place.topic in {'in', 'beside'} else 'output'} parts"] += 1
            found["dead letters"] += len(part.entries) if place.topic.startswith("dlq.") else 0
    notes = [note_of(e.metadata) for p in parts(history.offsets) if p.fate is Fate.COMMITTED for e in p.entries]
    found["takeovers"] += sum(note is not None and note.owner_epoch > 1 for note in notes)
    found["commits"] += len(notes)
    found["cleaned offsets"] += history.offsets.has_gaps
    found["left to read"] += sum(behind(history, model).values())
    return found


@pytest.mark.parametrize("name", MODELS)
def test_clean_histories_are_not_dull(name: str) -> None:
    """Each of these happens often in what the tests above look at: a checker that never meets it proves nothing."""
    found: Counter[str] = Counter()
    for seed in range(EACH_RUN):
        found += happened(clean(MODELS[name], seed), MODELS[name])
    wanted = ["aborted input parts", "open input parts", "aborted output parts", "open output parts"]
    wanted += ["committed output parts", "logs of several workers", "takeovers", "commits", "left to read"]
    wanted += [] if name == "same" else ["dead letters"]
    wanted += ["cleaned logs"] + ([] if name == "together" else ["cleaned offsets"])
    assert {what: found[what] for what in wanted if found[what] < (1 if "open" in what else 10)} == {}

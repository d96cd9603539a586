"""What people are told: coordinates, and payloads only if they ask."""

from __future__ import annotations

import pytest

from penstock.errors import ConfigurationError
from penstock.testing.history import (
    NOBODY,
    History,
    Log,
    Model,
    Place,
    Stage,
    assert_exactly_once,
    behind,
    check,
    judged,
)
from tests.unit.testing.history.by_hand import IN, OUT, A, ByHand
from tests.unit.testing.history.cases import ECHO, echo
from tests.unit.testing.history.topologies import TOGETHER


def one_duplicate() -> History:
    h = ByHand(ECHO)
    h.inputs(4711)
    for _ in range(2):
        h.put("4711")
        h.offsets(1)
        h.end(OUT, None)
    return h.history


TOLD = """\
duplicate: out[0]@2: it is the result of in[0]@0 once more
  input         in[0]@0
  output        out[0]@0  (producer 1, epoch 0)
  output        out[0]@2  (producer 1, epoch 0)"""


def test_a_verdict_names_the_records_and_holds_no_payload() -> None:
    (verdict,) = check(one_duplicate(), ECHO)
    assert verdict.told() == str(verdict) == TOLD
    assert "4711" not in repr([verdict.told(), verdict.sentence])


def test_both_judgements_together_are_what_each_of_them_is() -> None:
    h = ByHand(ECHO)
    h.inputs(1, 2)
    for _ in range(2):
        h.put("1")
        h.offsets(1)
        h.end(OUT, None)
    verdicts, left = judged(h.history, ECHO)
    assert [verdict.kind.value for verdict in verdicts] == ["duplicate"]
    assert left == {IN: 1}
    assert (verdicts, left) == (check(h.history, ECHO), behind(h.history, ECHO))


def test_who_asks_is_shown_keys_and_values() -> None:
    (verdict,) = check(one_duplicate(), ECHO)
    assert verdict.told(payloads=True).count("b'k' = b'4711'") == 3


def test_a_long_payload_is_cut() -> None:
    h = ByHand(ECHO)
    h.put("x" * 300)
    h.end(OUT)
    (verdict,) = check(h.history, ECHO)
    assert "and 100 bytes more" in verdict.told(payloads=True)


def test_the_first_of_a_kind_stands_for_the_others_of_its_partition() -> None:
    h = ByHand(ECHO)
    h.inputs(1, 2, 3)
    h.offsets(3)
    h.end(None)
    (verdict,) = check(h.history, ECHO)
    assert (verdict.offset, verdict.more) == (0, 2)
    assert "(and 2 more in this partition)" in verdict.told()


def test_the_assertion_fails_with_what_was_found() -> None:
    with pytest.raises(AssertionError, match="'p' is not exactly-once") as failed:
        assert_exactly_once(one_duplicate(), ECHO)
    assert str(failed.value).endswith(TOLD)


def test_the_assertion_can_ask_for_everything_to_be_dealt_with() -> None:
    h = ByHand(ECHO)
    h.inputs(1, 2)
    h.put("1")
    h.offsets(1)
    h.end(OUT, None)
    assert_exactly_once(h.history, ECHO)
    assert behind(h.history, ECHO) == {IN: 1}
    with pytest.raises(AssertionError, match=r"has not dealt with 1 records of in\[0\]"):
        assert_exactly_once(h.history, ECHO, drained=True)


def test_what_was_there_before_the_group_began_is_not_judged() -> None:
    h = ByHand(ECHO)
    h.inputs(1, 2)
    h.put("2")
    h.offsets(2)
    h.end(OUT, None)
    assert check(h.history, ECHO)
    assert not check(h.history, Model("p", ECHO.stages, starts={IN: 1}))


def test_a_history_without_a_topic_of_the_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"speaks of dlq\.p\.in, out, and the history has no log of these"):
        check(History({IN: Log()}), ECHO)


@pytest.mark.parametrize("place", [IN, OUT])
def test_a_history_without_its_beginning_is_refused(place: Place) -> None:
    h = ByHand(ECHO)
    h.history.logs[place].start_offset = 7
    with pytest.raises(
        ConfigurationError, match=r"\[0\], which is (read|written), is not whole: it begins at offset 7"
    ):
        check(h.history, ECHO)


def test_an_order_that_nobody_knows_any_more_is_refused() -> None:
    h = ByHand(TOGETHER)
    h.history.offsets.has_gaps = True
    with pytest.raises(ConfigurationError, match="reads several topics"):
        check(h.history, TOGETHER)


def test_several_sources_are_read_in_the_order_of_their_timestamps() -> None:
    h = ByHand(model := Model("p", [Stage("in", ["in", "beside"], echo, ["out"])]))
    h.append(IN, b"k", b"2", NOBODY, time_ms=20)
    h.append(Place("beside", 0), b"k", b"1", NOBODY, time_ms=10)
    h.put("1")
    h.put("2")
    h.offsets(1)
    h.commit(Place("beside", 0), 1, "", A)
    h.end(OUT, None)
    assert not check(h.history, model)


def test_what_is_open_is_told_by_its_place() -> None:
    h = ByHand(ECHO)
    h.put("1")
    h.offsets(0)
    assert h.history.open_transactions() == ["out[0]@0", "offsets@0"]

"""When a record is tried again, and what kind of failure it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import BadRow, ConfigurationError, KafkaUnavailable
from penstock.topology.policy import FOR_EVER, Retry, last_resort, nature_of, schedule_of


def test_waits_grow_to_their_longest() -> None:
    retry = Retry(first=timedelta(seconds=1), factor=3, longest=timedelta(seconds=20), jitter=0)
    assert [retry.wait_s(n, "x") for n in (1, 2, 3, 4, 5, 10_000)] == [1, 3, 9, 20, 20, 20]


@given(failures=st.integers(1, 100_000), salt=st.text(), jitter=st.floats(0, 0.99))
def test_chance_takes_off_no_more_than_it_may(failures: int, salt: str, jitter: float) -> None:
    retry, still = Retry(jitter=jitter), Retry(jitter=0)
    whole_s = still.wait_s(failures, salt)
    assert whole_s * (1 - jitter) <= retry.wait_s(failures, salt) <= whole_s


def test_records_that_failed_together_do_not_come_back_together() -> None:
    waits = {Retry().wait_s(1, f"in[0]@{offset}") for offset in range(100)}
    assert len(waits) > 90
    assert max(waits) - min(waits) > 0.15


@pytest.mark.parametrize(
    ("failures", "age_s", "is_over"), [(2, 59, False), (3, 0, True), (1, 60, True), (1, 59.9, False)]
)
def test_whatever_comes_first_ends_it(failures: int, age_s: float, is_over: bool) -> None:
    assert Retry(attempts=3, max_age=timedelta(minutes=1)).is_over(failures, age_s) is is_over


def test_without_a_bound_it_goes_on_for_ever() -> None:
    assert not FOR_EVER.is_over(10**9, 10.0**9)
    assert schedule_of("block") is FOR_EVER
    assert schedule_of("fail") is schedule_of("dead_letter") is None


def test_what_is_left_in_the_end() -> None:
    retry = Retry(then="fail")
    assert [last_resort(each) for each in ("fail", "dead_letter", "block", Retry(), retry)] == [
        "fail",
        "dead_letter",
        "fail",
        "dead_letter",
        "fail",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"first": timedelta(0)},
        {"longest": timedelta(milliseconds=1)},
        {"factor": 0.5},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"max_age": timedelta(0)},
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="Retry"):
        Retry(**wrong)


@pytest.mark.parametrize(
    ("error", "nature"),
    [
        (ConnectionRefusedError(), "transient"),
        (TimeoutError(), "transient"),
        (KafkaUnavailable("x"), "transient"),
        (NameError(), "bug"),
        (NotImplementedError(), "bug"),
        (ConfigurationError("x"), "bug"),
        (BadRow("x"), "poison"),
        (ValueError(), "poison"),
        (KeyError(), "poison"),
    ],
)
def test_the_type_says_what_kind_of_failure_it_is(error: Exception, nature: str) -> None:
    assert nature_of(error) == nature


def test_a_users_classifier_is_asked_first() -> None:
    def classify(error: Exception) -> Any:
        return "transient" if isinstance(error, KeyError) else None

    assert nature_of(KeyError(), classify) == "transient"
    assert nature_of(ValueError(), classify) == "poison"
    with pytest.raises(ConfigurationError, match="classify= gave 'bad' for a ValueError"):
        nature_of(ValueError("secret"), lambda _: "bad")  # type: ignore[arg-type,return-value]

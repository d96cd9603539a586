"""The interval in which the benchmark says that the cost of metrics lies."""

from __future__ import annotations

import math

import pytest

from benchmarks.metrics import interval


def test_it_is_students_interval_of_the_logarithms() -> None:
    """Mean 0.02, standard deviation 0.01, three values: t with two degrees of freedom is 4.303."""
    low, middle, high = interval([math.exp(each) for each in (0.01, 0.02, 0.03)])
    reach = 4.303 * 0.01 / math.sqrt(3)
    assert (math.log(low), math.log(middle), math.log(high)) == pytest.approx((0.02 - reach, 0.02, 0.02 + reach))


def test_pairs_that_agree_leave_no_doubt_and_ten_that_do_not_leave_less_than_two() -> None:
    assert interval([1.02] * 10) == pytest.approx((1.02, 1.02, 1.02))
    few, many = interval([1.0, 1.1]), interval([1.0, 1.1] * 5)
    assert few[0] < many[0] < 1.0 * 1.1**0.5 < many[2] < few[2]

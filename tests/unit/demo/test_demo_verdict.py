"""The verdict names what is off; whoever trusts it must have seen it fail."""

from __future__ import annotations

import pytest

from demo.expected import Expected, ExpectedDeadLetter, ExpectedRecord
from demo.observed import Observed, ObservedDeadLetter, ObservedRecord
from demo.publish import random_moments
from demo.verdict import DataSet, compare

FIELDS = ("origin", "observed_at", "temperature_f")
RAW = {"origin": "EWR", "wind_speed": "1048"}


def expected() -> Expected:
    """Three hours at Newark, one at Kennedy; the third row of the file is impossible."""
    rows = [("EWR", 0, 39.0), ("JFK", 0, 40.0), ("EWR", 2, 41.0), ("EWR", 3, None)]
    records = {
        (origin, hour): ExpectedRecord(origin, (origin, hour, temperature), place)
        for place, (origin, hour, temperature) in zip((0, 1, 3, 4), rows, strict=True)
    }
    return Expected(FIELDS, records, {2: ExpectedDeadLetter("measurement", RAW)})


def observed() -> Observed:
    """Exactly that, in two partitions."""
    return Observed(
        [
            ObservedRecord(0, 0, "EWR", ("EWR", 0, 39.0)),
            ObservedRecord(0, 1, "EWR", ("EWR", 2, 41.0)),
            ObservedRecord(0, 2, "EWR", ("EWR", 3, None)),
            ObservedRecord(1, 0, "JFK", ("JFK", 0, 40.0)),
        ],
        [ObservedDeadLetter(0, 0, "measurement", "2", None, RAW)],
    )


def verdict(found: Observed) -> DataSet:
    """The verdict on what was found."""
    return compare("weather", expected(), found)


def test_everything_exactly_once_is_ok() -> None:
    found = verdict(observed())
    assert found.ok
    assert (found.rows, found.records, found.dead_letters) == (5, 4, 1)
    assert found.problems == []


def test_a_dead_letter_that_became_a_record_in_the_end_is_both_and_counts_once() -> None:
    due = expected()
    due.brought_back[0] = ExpectedDeadLetter("airline", RAW)
    assert not compare("weather", due, observed()).ok
    found = observed()
    found.dead_letters.append(ObservedDeadLetter(0, 1, "airline", "0", None, RAW))
    result = compare("weather", due, found)
    assert result.ok, result.problems
    assert (result.rows, result.records, result.dead_letters, result.brought_back) == (5, 4, 2, 1)
    del found.records[0]
    assert compare("weather", due, found).missing == 1


def test_a_record_twice_is_a_duplicate() -> None:
    found = observed()
    found.records.append(found.records[0]._replace(offset=9))
    assert (verdict(found).duplicates, verdict(found).wrong, verdict(found).ok) == (1, 0, False)
    assert verdict(found).problems == ["weather[0]@9 origin=EWR observed_at=0: a duplicate"]


def test_a_record_that_is_not_there_is_missing() -> None:
    found = observed()
    del found.records[1]
    assert (verdict(found).missing, verdict(found).ok) == (1, False)
    assert verdict(found).problems == ["weather: origin=EWR observed_at=2: not in the topic"]


def test_a_record_lost_and_another_one_twice_is_both() -> None:
    """The number of records is right, and that proves nothing."""
    found = observed()
    found.records[2] = found.records[0]._replace(offset=2)
    assert verdict(found).records == 4
    assert (verdict(found).duplicates, verdict(found).missing, verdict(found).ok) == (1, 1, False)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"values": ("EWR", 0, 39.5)}, "temperature_f is 39.5 instead of 39.0"),
        ({"values": ("EWR", 0, None)}, "temperature_f is None instead of 39.0"),
        ({"key": "JFK"}, "key 'JFK' instead of 'EWR'"),
        ({"key": None}, "key None instead of 'EWR'"),
        ({"values": None}, "cannot be decoded"),
        ({"values": ("LGA", 0, 39.0)}, "no row of the file says so"),
    ],
)
def test_another_content_or_key_is_wrong(changes: dict[str, object], told: str) -> None:
    found = observed()
    found.records[0] = found.records[0]._replace(**changes)  # type: ignore[arg-type] # the parameters are the fields
    assert (verdict(found).wrong, verdict(found).ok) == (1, False)
    assert told in verdict(found).problems[-1]


def test_a_key_in_two_partitions_is_wrong() -> None:
    found = observed()
    found.records[2] = found.records[2]._replace(partition=1)
    assert verdict(found).wrong == 1
    assert "its key is in partition 0 too" in verdict(found).problems[0]


def test_a_key_whose_rows_are_out_of_order_is_wrong() -> None:
    found = observed()
    found.records[0], found.records[1] = found.records[1], found.records[0]
    assert verdict(found).wrong == 1
    assert "behind a later row of its key" in verdict(found).problems[0]


def test_a_dead_letter_twice_is_a_duplicate() -> None:
    found = observed()
    found.dead_letters.append(found.dead_letters[0]._replace(offset=1))
    assert (verdict(found).duplicates, verdict(found).ok) == (1, False)


def test_a_dead_letter_that_is_not_there_is_missing() -> None:
    found = observed()
    found.dead_letters.clear()
    assert (verdict(found).missing, verdict(found).ok) == (1, False)


@pytest.mark.parametrize(
    "changes", [{"reason": "malformed"}, {"raw": RAW | {"wind_speed": "1047"}}, {"place": "1"}, {"place": "None"}]
)
def test_another_dead_letter_is_wrong(changes: dict[str, object]) -> None:
    found = observed()
    found.dead_letters[0] = found.dead_letters[0]._replace(**changes)  # type: ignore[arg-type] # as above
    assert (verdict(found).wrong, verdict(found).ok) == (1, False)


def test_keys_whose_order_was_looked_at_are_counted() -> None:
    assert verdict(observed()).keys == 2


def from_a_pipeline() -> Observed:
    """The third row was published at offset 7 of partition 1, and a pipeline set it aside."""
    found = observed()
    found.dead_letters[0] = found.dead_letters[0]._replace(place="7", source_partition=1)
    return found


def test_a_pipelines_dead_letter_is_found_by_where_its_record_was_read() -> None:
    found = compare("weather", expected(), from_a_pipeline(), {(1, 7): 2, (0, 7): 4})
    assert found.ok, found.problems


@pytest.mark.parametrize("places", [{}, {(1, 8): 2}, {(0, 7): 2}, {(1, 7): 3}])
def test_a_pipelines_dead_letter_of_another_record_is_wrong(places: dict[tuple[int, int], int]) -> None:
    found = compare("weather", expected(), from_a_pipeline(), places)
    assert (found.wrong, found.missing, found.ok) == (1, 1, False)
    assert "dead letter [0]@0 of [1]@7" in found.problems[-1]


def test_a_thousand_missing_rows_do_not_hide_the_one_that_is_wrong() -> None:
    due = expected()
    for hour in range(10, 1010):
        due.records["EWR", hour] = ExpectedRecord("EWR", ("EWR", hour, 1.0), hour)
    found = observed()
    found.records[0] = found.records[0]._replace(key=None)
    result = compare("weather", due, found)
    assert (result.missing, result.wrong) == (1000, 1)
    assert any("key None" in problem for problem in result.problems)
    assert len(result.problems) == 6


def test_the_seed_decides_the_moments_of_the_kills() -> None:
    moments = random_moments(7, 100_000, 3)
    assert moments == random_moments(7, 100_000, 3)
    assert moments != random_moments(8, 100_000, 3)
    assert moments == sorted(moments)
    assert all(0 < threshold < 100_000 and 0 <= delay_s < 1 for threshold, delay_s in moments)

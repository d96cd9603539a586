"""The verdict on dead letters that were brought back; whoever trusts it must have seen it fail."""

from __future__ import annotations

import urllib.request
from urllib.error import HTTPError

import pytest

from demo.directory import MISSING, Directory
from demo.expected import Expected, ExpectedDeadLetter, ExpectedRecord
from demo.observed import Observed, ObservedRecord
from demo.redrive import Redrive, judge_redrive

FIELDS = ("carrier", "flight_number", "origin", "scheduled_departure_at")
FLOWN = {("HA", 1, "JFK", 10): 0, ("UA", 2, "EWR", 20): 1, ("HA", 3, "JFK", 30): 2}
"""{flight: its place}; those of HA were dead letters."""


def flights() -> Expected:
    return Expected(FIELDS, {flight: ExpectedRecord("N1", flight, place) for flight, place in FLOWN.items()}, {})


def status() -> Expected:
    letter = ExpectedDeadLetter("airline", {})
    return Expected(
        FIELDS, flights().records, {}, {place: letter for flight, place in FLOWN.items() if flight[0] == "HA"}
    )


def observed() -> dict[str, Observed]:
    """All is well: both came back behind the others, in their key's partition."""
    records = [ObservedRecord(1, offset, "N1", flight) for offset, flight in enumerate(FLOWN)]
    again = [ObservedRecord(1, 7, "N1", ("HA", 1, "JFK", 10)), ObservedRecord(1, 8, "N1", ("HA", 3, "JFK", 30))]
    return {"flights": Observed(records, redriven=again), "flight-status": Observed(list(records))}


def verdict(found: dict[str, Observed]) -> Redrive:
    return judge_redrive(flights(), status(), found, kills=[7], turned_away=1)


def figures(found: Redrive) -> tuple[int, int, int, int]:
    return found.redriven, found.lost, found.duplicated, found.wrong


def test_each_letter_once_with_its_result_is_what_is_asked_for() -> None:
    found = verdict(observed())
    assert (found.letters, *figures(found)) == (2, 2, 0, 0, 0)
    assert list(found.failures()) == []


def test_a_letter_that_did_not_come_back_is_lost() -> None:
    """Though its result may be there by other means."""
    found = observed()
    del found["flights"].redriven[0]
    assert figures(verdict(found)) == (1, 1, 0, 0)
    assert list(verdict(found).failures()) == ["not every dead letter came back exactly once"]


def test_a_letter_that_came_back_without_its_result_is_lost() -> None:
    found = observed()
    del found["flight-status"].records[0]
    assert figures(verdict(found)) == (2, 1, 0, 0)


@pytest.mark.parametrize("topic", ["flights", "flight-status"])
def test_a_letter_that_came_back_twice_or_has_two_results_is_duplicated(topic: str) -> None:
    found = observed()
    records = found[topic].redriven if topic == "flights" else found[topic].records
    records.append(records[0]._replace(offset=9))
    result = verdict(found)
    assert (result.lost, result.duplicated, result.wrong) == (0, 1, 0)
    assert list(result.failures()) == ["not every dead letter came back exactly once"]


@pytest.mark.parametrize(
    "changes",
    [{"values": None}, {"values": ("UA", 2, "EWR", 20)}, {"key": "N2"}, {"partition": 0}],
)
def test_a_record_that_is_none_of_the_letters_or_not_as_it_was_is_wrong(changes: dict[str, object]) -> None:
    found = observed()
    again = found["flights"].redriven
    again[0] = again[0]._replace(**changes)  # type: ignore[arg-type] # the parameters are the fields
    assert verdict(found).wrong == 1


def test_a_directory_is_away_then_there_and_at_last_it_knows_all() -> None:
    with Directory({"UA": "United Air Lines Inc.", MISSING: "Hawaiian Airlines Inc."}, away_s=0.05) as directory:

        def ask(carrier: str) -> str | int:
            try:
                with urllib.request.urlopen(f"{directory.url}/{carrier}", timeout=10) as answer:  # noqa: S310 - ours
                    return str(answer.read().decode())
            except HTTPError as err:
                with err:
                    return err.code

        assert ask("UA") == 503
        while (answer := ask("UA")) == 503:
            pass
        assert answer == "United Air Lines Inc."
        assert directory.turned_away >= 1
        assert ask(MISSING) == ask("XX") == 404
        directory.mend()
        assert (ask(MISSING), ask("XX")) == ("Hawaiian Airlines Inc.", 404)

"""What an airline is called, as far as the directory knows it and answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import penstock as ps
from penstock.testing.driver import Driver
from processors.airline_directory import URL, AirlineDirectory
from processors.flight_status import STATUS, pipeline
from producers.flights import FLIGHTS
from tests.unit.processors.test_flight_status import FLIGHT


@dataclass
class Answers:
    """What a directory answers: (status, text) by path; each question is noted."""

    by_path: dict[str, tuple[int, str]]
    url: str = ""
    asked: list[str] = field(default_factory=list[str])


@pytest.fixture
def answers() -> Iterator[Answers]:
    """A directory that is up."""
    made = Answers({"/UA": (200, "United Air Lines Inc."), "/XX": (404, "no"), "/DL": (503, "away"), "/B6": (500, "")})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            status, text = made.by_path[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server names it
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


def test_each_airline_is_asked_for_once(answers: Answers) -> None:
    directory = AirlineDirectory(answers.url)
    assert [directory.name_of("UA") for _ in range(3)] == ["United Air Lines Inc."] * 3
    assert answers.asked == ["/UA"]


def test_one_that_the_directory_does_not_know_is_the_flights_fault_and_asked_for_again(answers: Answers) -> None:
    directory = AirlineDirectory(answers.url)
    with pytest.raises(ps.BadRecord) as refused:
        directory.name_of("XX")
    assert refused.value.reason == "airline"
    answers.by_path["/XX"] = (200, "Xanadu")
    assert directory.name_of("XX") == "Xanadu"


@pytest.mark.parametrize("carrier", ["DL", "B6"])
def test_a_directory_in_trouble_is_no_flights_fault(answers: Answers, carrier: str) -> None:
    with pytest.raises(ConnectionError, match="the airline directory answers 50"):
        AirlineDirectory(answers.url).name_of(carrier)


def test_a_directory_that_is_down_is_no_flights_fault(answers: Answers) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        nobody = f"http://127.0.0.1:{server.server_address[1]}"
    with pytest.raises(ConnectionError, match="does not answer"):
        AirlineDirectory(nobody).name_of("UA")
    assert answers.asked == []


def test_flights_wait_while_the_directory_is_away_and_none_is_set_aside(
    driver: Driver, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, answers.url)
    answers.by_path["/AA"] = (503, "away")
    run = driver.start(pipeline, workers=1)
    run.feed(FLIGHTS, FLIGHT, key="N378AA")
    run.advance(timedelta(seconds=5))
    assert len(answers.asked) > 1, "it was not tried again"
    assert (run.values(STATUS), run.dead_letters(FLIGHTS)) == ([], [])
    answers.by_path["/AA"] = (200, "American Airlines Inc.")
    run.settle()
    assert [each.airline for each in run.values(STATUS)] == ["American Airlines Inc."]
    assert run.dead_letters(FLIGHTS) == []


def test_a_flight_of_an_airline_that_the_directory_does_not_know_is_set_aside(
    driver: Driver, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, answers.url)
    answers.by_path["/AA"] = (404, "unknown")
    run = driver.start(pipeline, workers=1)
    run.feed(FLIGHTS, FLIGHT, key="N378AA")
    run.settle()
    assert run.values(STATUS) == []
    assert len(run.dead_letters(FLIGHTS)) == 1


def test_where_no_directory_is_set_nobody_is_asked(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL, raising=False)
    run = driver.start(pipeline, workers=1)
    run.feed(FLIGHTS, FLIGHT, key="N378AA")
    run.settle()
    assert [each.airline for each in run.values(STATUS)] == [None]

"""What an airline is called: asked of a directory over HTTP, which belongs to somebody else.

It may be away for a while. No flight is to blame for that, so `ConnectionError` is raised, and the task waits in front
of the flight for as long as it takes. And it may not know an airline: then the flight is a dead letter, to be redriven
when the directory knows better.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

import msgspec

import penstock as ps
from schemas.flights import FlightStatus

URL = "NYCFLIGHTS_AIRLINES_URL"
"""The environment variable that says where it is; `<it>/UA` answers with the name as text."""
ANSWERS_WITHIN_S = 5.0


class AirlineDirectory:
    """Asks for each airline once; what is not known yet is asked for again.

    Args:
        url: where it is.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._names: dict[str, str] = {}

    def name_of(self, carrier: str) -> str:
        """The name of the airline with this code.

        Raises:
            ps.BadRecord: the directory does not know it.
            ConnectionError: the directory does not answer.
        """
        name = self._names.get(carrier)
        if name is None:
            name = self._names[carrier] = self._ask(carrier)
        return name

    def _ask(self, carrier: str) -> str:
        try:
            with urlopen(f"{self._url}/{quote(carrier)}", timeout=ANSWERS_WITHIN_S) as answer:  # noqa: S310 - our own URL
                return str(answer.read().decode())
        except HTTPError as err:
            err.close()  # it is an answer, too, and holds its connection
            if err.code == 404:
                raise ps.BadRecord("the directory does not know the airline", reason="airline") from err
            raise ConnectionError(f"the airline directory answers {err.code}") from err
        except (OSError, HTTPException) as err:
            raise ConnectionError("the airline directory does not answer") from err


@ps.processor()
class NameAirline:
    """Puts the airline's name to a flight; where no directory is set, flights stay as they are."""

    _directory: AirlineDirectory | None = None

    def open(self, _: ps.Context) -> None:
        """Look where the directory is."""
        if url := os.environ.get(URL):
            self._directory = AirlineDirectory(url)

    def process(self, record: ps.Record[str, FlightStatus], _: ps.Context) -> Iterator[ps.Record[str, FlightStatus]]:
        """The flight with the name of its airline."""
        if self._directory is None:
            yield record
            return
        name = self._directory.name_of(record.value.carrier)
        yield record.with_value(msgspec.structs.replace(record.value, airline=name))

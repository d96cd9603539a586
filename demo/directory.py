"""The directory of airlines that `flight-status` asks: away at first, and without one airline until somebody mends it.

Not penstock's, and not started by it: a dependency as they are.
"""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Final, Self

MISSING: Final = "HA"
"""Hawaiian Airlines, one flight a day."""
AWAY_S: Final = 1.0


class Directory:
    """Serves the names of airlines while entered: `/UA` answers with the name of that airline.

    Args:
        names: {carrier: name}, all there are.
        away_s: so long behind the first question it is away.

    Attributes:
        turned_away: requests that came while it was away.
    """

    def __init__(self, names: Mapping[str, str], away_s: float = AWAY_S) -> None:
        self.turned_away = 0
        self._names = dict(names)
        self._left_out = {MISSING}
        self._away_s = away_s
        self._back_at_s: float | None = None
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def mend(self) -> None:
        """It knows all from now on."""
        self._left_out = set()

    def answer(self, carrier: str) -> tuple[int, str]:
        """(status, text); 503 for so long after the first question, 404 for an airline that it does not know."""
        with self._lock:
            now_s = time.monotonic()
            if self._back_at_s is None:
                self._back_at_s = now_s + self._away_s
            if now_s < self._back_at_s:
                self.turned_away += 1
                return 503, "away"
        if carrier in self._left_out or carrier not in self._names:
            return 404, "unknown"
        return 200, self._names[carrier]

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def names_in(folder: Path) -> dict[str, str]:
    """{carrier: name} by the file of the airlines."""
    with (folder / "airlines.csv").open(newline="") as file:
        return {row["carrier"]: row["name"] for row in csv.DictReader(file)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a worker that is killed leaves its connection behind

    def __init__(self, address: tuple[str, int], directory: Directory) -> None:
        self.directory = directory
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked may have been killed meanwhile."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer."""
        assert isinstance(self.server, _Server)  # noqa: S101 - it is the only one that makes handlers
        status, text = self.server.directory.answer(self.path.removeprefix("/"))
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server names it
        """Nobody reads it."""

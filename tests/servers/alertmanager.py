"""A real Alertmanager with the shipped routes, faster, and somebody at the other end who notes what he is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml  # type: ignore[import-untyped] # only tests read YAML; not worth a package of stubs

from penstock.embedded.ports import free_ports
from tests.servers.faster import faster_routes
from tests.servers.prometheus import serving

SHIPPED: Final = Path(__file__).parents[2] / "monitoring" / "alertmanager" / "alertmanager.yml"


class Notice(NamedTuple):
    """What a receiver was told: an alert `firing` or `resolved`."""

    receiver: str
    status: str
    labels: Mapping[str, str]


class Ear:
    """Listens for Alertmanager's webhooks, at `url`.

    Attributes:
        notices: in the order in which they came.
    """

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        notices = self.notices

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver = self.path.strip("/")
                notices.extend(Notice(receiver, each["status"], each["labels"]) for each in told["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that it has
                """Not a word."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def was_told(self, alert: str, status: str = "firing") -> set[str]:
        """Which receivers were told of it."""
        return {each.receiver for each in self.notices if each[1:2] == (status,) and each.labels["alertname"] == alert}

    @contextmanager
    def listening(self) -> Generator[None]:
        """For the time of the block."""
        thread = threading.Thread(target=self._server.serve_forever, name="ear")
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


@contextmanager
def alertmanager(program: str, folder: Path, url: str) -> Generator[str]:
    """Runs for the time of the block; where it answers, as `host:port`.

    Args:
        program: where it is.
        folder: for its configuration, its data and its log.
        url: of who is told.
    """
    own = f"127.0.0.1:{free_ports(1)[0]}"
    config = folder / "alertmanager.yml"
    config.write_text(yaml.safe_dump(faster_routes(yaml.safe_load(SHIPPED.read_text()), url)))
    options = [
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={own}",
        "--cluster.listen-address=",
    ]
    with serving([program, *options], folder / "alertmanager.log", f"http://{own}/-/ready"):
        yield own

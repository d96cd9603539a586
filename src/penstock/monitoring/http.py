"""A few pages over HTTP, from threads of their own: whoever asks waits, and the pipeline's loop never does.

Python's own server: what is served are finished bytes, and a worker should not load a web framework for that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import Final, NamedTuple, Self

from penstock.errors import ConfigurationError

LOGGER: Final = logging.getLogger("penstock.monitoring")
_SLOW_CLIENT_S: Final = 5.0
_OPENMETRICS: Final = "application/openmetrics-text"


class Page(NamedTuple):
    """What is answered."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: int = 200


Pages = Mapping[str, Callable[[], Page]]
"""{path: what makes its page}; called on a thread of the server."""


class PageServer:
    """Serves pages while entered.

    Args:
        host: the address to listen on.
        port: 0 = one that is free.
        pages: see there.
        openmetrics: of some of these paths, the page for whoever takes OpenMetrics, as Prometheus does.

    Raises:
        ConfigurationError: the port is taken, or the address is not one of this machine's.
    """

    def __init__(self, host: str, port: int, pages: Pages, openmetrics: Pages = MappingProxyType({})) -> None:
        try:
            self._server = _Server((host, port), pages, openmetrics)
        except OSError as err:
            raise ConfigurationError(
                f"monitoring: cannot listen on {host}:{port}: {err.strerror}; set monitoring.host and monitoring.port, "
                "port 0 takes one that is free"
            ) from err
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="penstock-http", daemon=True
        )

    @property
    def port(self) -> int:
        """The one it listens on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Serve no more; requests under way are left to their threads."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a client that hangs must not hold up the end of a worker

    def __init__(self, address: tuple[str, int], pages: Pages, openmetrics: Pages) -> None:
        self.pages, self.openmetrics = pages, openmetrics
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away in the middle of an answer; that is no news."""
        del request
        LOGGER.debug("request of %s", client_address, exc_info=True)  # noqa: LOG014 - it is called while one is handled


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "penstock"
    sys_version = ""
    timeout = _SLOW_CLIENT_S

    def do_GET(self) -> None:
        """Answer."""
        assert isinstance(self.server, _Server)  # noqa: S101 - it is the only one that makes handlers
        path = self.path.partition("?")[0]
        make = self.server.pages.get(path)
        if _OPENMETRICS in (self.headers.get("Accept") or ""):
            make = self.server.openmetrics.get(path, make)
        if make is None:
            told = "".join(f"{path}\n" for path in self.server.pages)
            self._answer(Page(told.encode(), status=404))
            return
        try:
            page = make()
        except Exception:
            LOGGER.exception("page %s could not be made", self.path)
            page = Page(b"this page could not be made; the log says why\n", status=500)
        self._answer(page)

    do_HEAD = do_GET  # noqa: N815 - as above

    def _answer(self, page: Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server names it
        """A line for each scrape would drown the log."""
        LOGGER.debug(format, *args)

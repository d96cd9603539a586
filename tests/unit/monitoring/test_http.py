"""Pages over a real socket: what is asked for is answered, and nobody who hangs holds anybody up."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError
from penstock.monitoring import http
from penstock.monitoring.http import Page, PageServer
from penstock.monitoring.whereabouts import FOLDER, Whereabouts, began, found, targets, told


def fails() -> Page:
    raise RuntimeError("planted")


@pytest.fixture
def server() -> Iterator[PageServer]:
    pages = {"/metrics": lambda: Page(b"up 1\n"), "/livez": lambda: Page(b"no\n", status=503), "/fails": fails}
    with PageServer("127.0.0.1", 0, pages, {"/metrics": lambda: Page(b"up 1\n# EOF\n")}) as serving:
        yield serving


def get(server: PageServer, path: str, method: str = "GET", accept: str | None = None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, headers={} if accept is None else {"Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_page_is_answered_with_its_status(server: PageServer) -> None:
    assert get(server, "/metrics") == (200, b"up 1\n")
    assert get(server, "/metrics?name[]=up") == (200, b"up 1\n")
    assert get(server, "/livez") == (503, b"no\n")
    assert get(server, "/metrics", "HEAD") == (200, b"")


def test_who_takes_openmetrics_gets_it_where_there_is_any(server: PageServer) -> None:
    prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    assert get(server, "/metrics", accept=prometheus) == (200, b"up 1\n# EOF\n")
    assert get(server, "/metrics", accept="text/plain, */*") == (200, b"up 1\n")
    assert get(server, "/livez", accept=prometheus) == (503, b"no\n")


def test_a_path_that_is_not_there_names_those_that_are(server: PageServer) -> None:
    assert get(server, "/") == (404, b"/metrics\n/livez\n/fails\n")


def test_a_page_that_cannot_be_made_is_an_error_and_the_next_is_answered(server: PageServer) -> None:
    assert get(server, "/fails")[0] == 500
    assert get(server, "/metrics")[0] == 200


def test_a_client_that_hangs_holds_nobody_up(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http._Handler, "timeout", None)  # it is not let go of, either
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as hanging:
        hanging.sendall(b"GET /metr")
        assert get(server, "/metrics") == (200, b"up 1\n")


def test_a_client_that_hangs_is_let_go_of(server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http._Handler, "timeout", 0.1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as hanging:
        hanging.sendall(b"GET /metr")
        assert hanging.recv(1) == b""


def test_a_port_that_is_taken_says_what_to_set(server: PageServer) -> None:
    with pytest.raises(ConfigurationError, match=r"monitoring\.port"):
        PageServer("127.0.0.1", server.port, {})


def test_a_worker_is_found_while_its_process_lives(tmp_path: Path) -> None:
    here = Whereabouts(worker="p.a.0", pipeline="p", address="127.0.0.1:9461", pid=os.getpid())
    with told(tmp_path, here):
        (tmp_path / FOLDER / "p.a.1.json").write_bytes(
            b'{"worker":"p.a.1","pipeline":"p","address":"x:1","pid":4194305}'
        )
        (tmp_path / FOLDER / "damaged.json").write_bytes(b"{")
        assert found(tmp_path) == [here], "one was killed and could not take its file away"
        assert targets(found(tmp_path)) == [
            {"targets": ["127.0.0.1:9461"], "labels": {"job": "penstock", "worker": "p.a.0"}}
        ]
    assert found(tmp_path) == []


@pytest.mark.skipif(began(os.getpid()) is None, reason="the system does not say when a process began")
def test_a_process_that_was_given_the_id_of_a_dead_worker_is_not_taken_for_it(tmp_path: Path) -> None:
    """In a container ids begin anew with each start, and the state directory does not."""
    pid = os.getpid()
    dead = Whereabouts(worker="p.a.0", pipeline="p", address="127.0.0.1:9461", pid=pid, began=(began(pid) or 0) - 1)
    alive = Whereabouts(worker="p.a.1", pipeline="p", address="127.0.0.1:9462", pid=pid, began=began(pid))
    with told(tmp_path, dead), told(tmp_path, alive):
        assert found(tmp_path) == [alive]

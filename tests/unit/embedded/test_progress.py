"""What is shown while it takes long."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from penstock.embedded.progress import byte_progress


def shown(out: io.StringIO, text: str) -> None:
    """Wait until the text is there."""
    deadline = time.monotonic() + 10
    while text not in out.getvalue():
        assert time.monotonic() < deadline, out.getvalue()
        time.sleep(0.01)


def test_elsewhere_than_on_a_terminal_a_line_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.embedded.progress.LINE_EVERY_S", 0.01)
    out = io.StringIO()

    with byte_progress("Kafka 9", 4_000_000, Console(file=out, width=200)) as progress:
        progress.describe("2 jars from mvn")
        progress.advance(1_000_000)
        shown(out, "Kafka 9: 2 jars from mvn, 1 of 4 MB after 0 s\n")

    assert "\x1b" not in out.getvalue()


def test_on_a_terminal_there_is_a_bar() -> None:
    out = io.StringIO()

    with byte_progress("Kafka 9", 4_000_000, Console(file=out, width=200, force_terminal=True)) as progress:
        progress.describe("2 jars from mvn")
        progress.advance(1_000_000)
        shown(out, "1.0/4.0 MB")

    assert "━" in out.getvalue()

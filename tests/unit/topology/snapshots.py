"""Descriptions of one pipeline in every form. Run as a script it writes them, for a person to review."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from penstock.topology.description import as_data, as_text
from penstock.topology.drawing import as_dot, as_mermaid
from tests.unit.topology.flights import build

SNAPSHOTS = Path(__file__).parent / "snapshot"


def as_json() -> str:
    return msgspec.json.format(msgspec.json.encode(as_data(build().topology())), indent=2).decode() + "\n"


FILES: dict[str, Callable[[], str]] = {
    "flight-status.txt": lambda: as_text(build().topology()),
    "flight-status.mermaid": lambda: as_mermaid(build().topology()),
    "flight-status.dot": lambda: as_dot(build().topology()),
    "flight-status.json": as_json,
}

if __name__ == "__main__":
    for name, describe in FILES.items():
        (SNAPSHOTS / name).write_text(describe())

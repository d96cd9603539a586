"""A cluster's id must pass as an argument of Kafka's storage tool."""

from __future__ import annotations

import uuid

import pytest

from penstock.embedded.cluster_directory import Identity


def test_a_cluster_id_never_begins_with_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    """0xfb begins with the base64 digit 62, which is written as a dash."""
    drawn = iter([uuid.UUID(bytes=b"\xfb" + bytes(15)), uuid.UUID(bytes=b"\x00" * 16)])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(drawn))
    assert Identity.new(()).cluster_id == "A" * 22

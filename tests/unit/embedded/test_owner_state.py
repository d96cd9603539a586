"""Who owns the project's cluster."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from penstock.embedded.owner_state import NodeState, OwnerState, StateFolder
from penstock.errors import UsageError

STATE = OwnerState(
    owner_pid=1,
    started_at=datetime(2030, 1, 1, tzinfo=UTC),
    bootstrap_servers="127.0.0.1:9092",
    cluster_id="x",
    nodes=(NodeState(1, 9092, 2),),
    registry_url=None,
    persist=None,
)


def test_the_state_is_there_while_its_owner_is(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    assert folder.read() is None

    with folder.owned():
        assert folder.read() is None  # starting
        folder.write(STATE)
        assert folder.read() == STATE
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())

    assert folder.read() is None


def test_a_second_owner_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.embedded.owner_state._LOCK_TRIES_S", 0.05)
    with StateFolder(tmp_path).owned():
        with pytest.raises(UsageError, match="up already"), StateFolder(tmp_path).owned():
            pass
        with pytest.raises(UsageError, match="up already"):
            StateFolder(tmp_path).require_no_owner()


def test_the_state_of_a_killed_owner_counts_for_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from penstock.embedded.owner_state import StateFolder\n"
        "with StateFolder(Path(sys.argv[1])).owned(): print('mine', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"mine\n"
        folder = StateFolder(tmp_path)
        folder.write(STATE)
        assert folder.read() == STATE
        owner.kill()

    assert not folder.has_owner
    assert folder.read() is None

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.state import checkpoint_file
from penstock.state.checkpoint_file import CheckpointFile


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CheckpointFile:
    """A new checkpoint file that is due for compaction as soon as it has doubled."""
    monkeypatch.setattr(checkpoint_file, "SLACK_BYTES", 0)
    return CheckpointFile(tmp_path / "checkpoint")

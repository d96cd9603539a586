"""`penstock kafka` where nothing is up."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.cli.app import app
from penstock.errors import ExitCode, UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is no project, as the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("status", ExitCode.FINDINGS, "Kafka is down; start it with `penstock kafka up`\n"),
        ("down", ExitCode.DONE, "Kafka was not up\n"),
    ],
)
def test_looking_leaves_nothing_behind(folder: Path, command: str, code: ExitCode, told: str) -> None:
    result = CliRunner().invoke(app, ["kafka", command])
    assert (result.exit_code, result.output) == (code, told)
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("folder")
def test_a_number_of_nodes_that_cannot_be_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["kafka", "up", "--nodes", "2"])
    assert isinstance(result.exception, UsageError)
    assert str(result.exception) == "--nodes 2: 1 or 3; two cannot outvote one"

import os
from collections.abc import Callable
from pathlib import Path

import pytest

WriteToml = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an environment without a variable of ours."""
    for name in [name for name in os.environ if name.upper().startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write_toml(folder: Path) -> WriteToml:
    """Writes penstock.toml into the current folder."""

    def write(text: str) -> Path:
        file = folder / "penstock.toml"
        file.write_text(text)
        return file

    return write

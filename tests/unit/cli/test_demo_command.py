"""`penstock demo` runs the project's own demo, and the engine knows nothing of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PENSTOCK = Path(sys.executable).with_name("penstock")


def penstock_demo(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a project."""
    (project / "penstock.toml").write_text('[project]\nname = "somebody"\n')
    command = [str(PENSTOCK), "demo", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_a_project_without_a_demo_is_told_so(tmp_path: Path) -> None:
    result = penstock_demo(tmp_path)
    assert result.returncode == 2
    assert "has no package `demo`" in result.stderr


def test_options_and_exit_code_pass_through(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "__main__.py").write_text("import sys\nprint(sys.argv[1:])\nsys.exit(1)\n")
    result = penstock_demo(tmp_path, "--json", "v.json", "--seed", "7", "--rate", "500")
    assert result.returncode == 1
    assert result.stdout == "['--json', 'v.json', '--seed', '7', '--rate', '500']\n"


def test_a_folder_that_is_not_there_is_told_before_anything_is_done() -> None:
    """Two minutes later would be too late."""
    command = [sys.executable, "-m", "demo", "--json", "no/such/folder/v.json"]
    result = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "there is no folder for no/such/folder/v.json" in result.stderr

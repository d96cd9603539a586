"""`penstock topology` on a small project."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

GOOD = """
import penstock as ps

pipeline = ps.Pipeline("counts")
pipeline.stream(ps.Topic("words", key=str, value=str)).count(name="by-word").to(
    ps.Topic("word-counts", key=str, value=ps.int64)
)
"""
BAD = """
import penstock as ps

pipeline = ps.Pipeline("half-done")
pipeline.stream(ps.Topic("words", key=str, value=str)).map(len)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "penstock.toml").write_text('[project]\nname = "test"\nprocessors = "steps"\n')
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "counts.py").write_text(GOOD)
    return tmp_path


def penstock(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from penstock.cli.app import main; main()", "topology", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_a_pipeline_is_shown_by_name_and_by_import_string(project: Path) -> None:
    by_name, by_string = penstock(project, "counts"), penstock(project, "steps.counts:pipeline")
    assert by_name.returncode == 0, by_name.stderr
    assert by_name.stdout.startswith("pipeline counts\nfingerprint ")
    assert "    by-word  count   from words  " in by_name.stdout.replace("         ", "  ")
    assert by_string.stdout == by_name.stdout


def test_each_format(project: Path) -> None:
    told = {form: penstock(project, "counts", "--format", form) for form in ("mermaid", "dot", "json")}
    assert {each.returncode for each in told.values()} == {0}
    assert told["mermaid"].stdout.startswith("flowchart LR\n")
    assert told["dot"].stdout.startswith('digraph "counts" {\n')
    assert json.loads(told["json"].stdout)["groups"][0]["stores"] == ["by-word"]


def test_the_list_names_those_that_cannot_work_and_showing_one_tells_why(project: Path) -> None:
    (project / "steps" / "half.py").write_text(BAD)

    listed = penstock(project, "--json")
    shown = penstock(project, "half-done")

    assert json.loads(listed.stdout) == [
        {"name": "counts", "reads": ["words"], "writes": ["word-counts"], "problems": None},
        {"name": "half-done", "reads": [], "writes": [], "problems": 1},
    ]
    assert shown.returncode == 3
    assert "'map-len' (map) goes nowhere" in shown.stderr
    assert penstock(project, "nothing").returncode == 2

"""The examples are what the documentation shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.cli.app import main

ROOT = Path(__file__).parents[3]
TUTORIALS = {"first-producer": "rivers", "first-processor": "reservoirs"}
"""{page: the folder of its project}."""
SHOWN = re.compile(r"^`([^`\n]+\.\w+)`\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = [
    (ROOT / "examples" / example / name, content)
    for page, example in TUTORIALS.items()
    for name, content in SHOWN.findall((ROOT / "docs" / "tutorial" / f"{page}.md").read_text())
]
GENERATED = {ROOT / "examples" / "rivers" / "schemas" / place for place in ("__init__.py", "rivers/__init__.py")}


@pytest.mark.parametrize(("file", "content"), FILES, ids=[str(file.relative_to(ROOT)) for file, _ in FILES])
def test_a_tutorials_project_is_an_example_file_by_file(file: Path, content: str) -> None:
    assert file.read_text() == content


def test_the_tutorials_show_all_of_their_files() -> None:
    there = {
        file
        for example in TUTORIALS.values()
        for file in (ROOT / "examples" / example).rglob("*.*")
        if file.is_file() and file.suffix != ".pyc" and ".penstock" not in file.parts
    }
    assert {file for file, _ in FILES} == there - GENERATED


def test_the_tutorials_are_all_there_are() -> None:
    assert {page.stem for page in (ROOT / "docs" / "tutorial").glob("*.md")} == TUTORIALS.keys()


def test_the_examples_generated_class_is_what_its_schema_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT / "examples" / "rivers")
    monkeypatch.setattr("sys.argv", ["penstock", "schemas", "codegen", "--check"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code in (0, None), capsys.readouterr().out


@pytest.mark.full
@pytest.mark.parametrize("example", sorted(TUTORIALS.values()))
def test_an_example_is_typed_strictly(example: str, tmp_path: Path) -> None:
    """Each is a project of its own, with a `producers` of its own, so the checkers of the whole cannot take them in."""
    options = ("--strict", "--explicit-package-bases", "--namespace-packages", "--cache-dir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "", *options, "."],
        cwd=ROOT / "examples" / example,
        env={**os.environ, "MYPYPATH": f"{ROOT / 'src'}:."},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""The examples are what the documentation shows."""

import re
from pathlib import Path

import pytest

from penstock.cli.app import main

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "tutorial" / "first-producer.md"
RIVERS = ROOT / "examples" / "rivers"
FILES = re.findall(r"^`([^`\n]+\.\w+)`\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("name", "content"), FILES, ids=[name for name, _ in FILES])
def test_the_tutorials_project_is_an_example_file_by_file(name: str, content: str) -> None:
    assert (RIVERS / name).read_text() == content


def test_the_tutorial_has_all_of_its_files() -> None:
    assert len(FILES) == 4


def test_the_examples_generated_class_is_what_its_schema_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(RIVERS)
    monkeypatch.setattr("sys.argv", ["penstock", "schemas", "codegen", "--check"])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code in (0, None), capsys.readouterr().out

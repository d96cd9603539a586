"""The page "Test a pipeline": the tests that it shows pass in a project of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from penstock.testing.driver import Run
from penstock.testing.outcome import Outcome
from penstock.testing.steps import STEPS

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "test-a-pipeline.md").read_text()


def test_what_it_shows_passes(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "penstock.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "test_balances.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "9 passed" in done.stdout, done.stdout + done.stderr


def test_its_table_names_what_there_is() -> None:
    shown = set(re.findall(r"`run\.(\w+)", PAGE))
    there = {name for name in (*vars(Run), *vars(Outcome)) if not name.startswith("_")}
    assert there - shown == {"begin", "close"}
    assert shown <= there


def test_its_steps_are_steps() -> None:
    (listed,) = re.findall(r"Steps are those of .*?: (.*?)\. A fault", PAGE, re.DOTALL)
    assert set(re.findall(r"`([a-z ]+)`", listed)) == set(STEPS)

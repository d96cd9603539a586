"""The code of the pages about the embedded servers, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.broker

PAGES = Path(__file__).parents[3] / "docs" / "how-to"


def python_of(page: str) -> str:
    """The only Python on a page."""
    (code,) = re.findall(r"^```python\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)
    return str(code)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_test_that_is_shown_passes_in_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "penstock.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "test_orders.py").write_text(python_of("test-on-a-real-kafka.md"))
    assert "1 passed" in run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@pytest.mark.full
def test_the_cluster_that_is_shown_survives_its_faults(tmp_path: Path) -> None:
    """Three brokers, one of them killed."""
    assert re.fullmatch(r"(127\.0\.0\.1:\d+,?){3} http://\S+\n", run(tmp_path, "-c", python_of("run-kafka-here.md")))

"""The tests of the page "Test a pipeline" on a real broker, by the switch that the page names."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.broker

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "test-a-pipeline.md").read_text()
DELAYED = """

def test_a_delay(driver: Driver) -> None:
    driver.start(balances(ps.Pipeline("balances"))).delay(1.0, at="commit")
"""


def test_the_same_tests_pass_there(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "penstock.toml").write_text('[project]\nname = "shop"\n')
    (tmp_path / "test_balances.py").write_text(code + DELAYED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--penstock-driver=kafka"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert "9 passed, 1 skipped" in done.stdout, done.stdout + done.stderr

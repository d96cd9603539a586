"""The plugin in a user's project, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = {
    "penstock.toml": '[project]\nname = "trial"\n',
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n",
    "word.py": "WORD = 'found'\n",
    "tests/test_trial.py": (
        "import sys\n"
        "from word import WORD\n"
        "def test_one(kafka):\n"
        "    assert (WORD, kafka.bootstrap_servers, kafka.cluster) == ('found', 'elsewhere:9', None)\n"
        "def test_two(topic_prefix):\n"
        "    assert topic_prefix.startswith('test-two-')\n"
        "    assert 'confluent_kafka' not in sys.modules\n"
    ),
}


def test_another_cluster_is_used_and_the_project_is_importable(tmp_path: Path) -> None:
    """No broker is started for it, and nothing heavy is imported for tests that do not ask."""
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--penstock-kafka=elsewhere:9"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_engine_does_not_need_pytest() -> None:
    script = "import sys; import penstock, penstock.testing, penstock.embedded; assert 'pytest' not in sys.modules"

    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)

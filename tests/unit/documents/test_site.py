"""The documentation site: every page is in the navigation, every link leads somewhere."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the documentation, fit for building."""
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("site"))
    return tmp_path


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    variables = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def in_navigation(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from in_navigation(each)


def test_the_navigation_lists_every_page_and_no_other() -> None:
    """Zensical looks at neither."""
    listed = list(in_navigation(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if DOCS / "site" not in page.parents}
    assert sorted(listed) == sorted(pages)


def test_the_site_builds_strictly(copy: Path) -> None:
    done = build(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copy / "docs" / "site" / "index.html").exists()


def test_a_broken_link_fails_the_build(copy: Path) -> None:
    with (copy / "docs" / "index.md").open("a") as page:
        page.write("\nSee [nothing](how-to/nothing.md).\n")
    done = build(copy)
    assert done.returncode != 0
    assert "page does not exist" in done.stdout + done.stderr


def test_nothing_is_loaded_from_another_host(copy: Path) -> None:
    assert build(copy).returncode == 0
    html = (copy / "docs" / "site" / "index.html").read_text()
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', html)
    assert loaded == []


def test_links_between_the_documents_at_the_root_lead_somewhere() -> None:
    """These are no part of the site, so the build does not look at them."""
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name}: {target}"

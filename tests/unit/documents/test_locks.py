"""The lock files: versions and hashes, and no host, so that any mirror of a registry serves them."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
RUN, DEVELOP = ROOT / "requirements" / "run.txt", ROOT / "requirements" / "dev.txt"
PINNED = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[^ ;\\]+)(?: ; [^\\]+)?")
HASHED = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def logical_lines(file: Path) -> list[str]:
    """One requirement each, with its hashes; comments are left out."""
    text = "\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def locked(file: Path) -> dict[str, str]:
    """{package: version}."""
    found: dict[str, str] = {}
    for line in logical_lines(file):
        requirement = PINNED.match(line)
        assert requirement is not None, line
        found[requirement["name"]] = requirement["version"]
    return found


def normal(requirement: Any) -> str:
    """The name in a requirement of pyproject.toml, as lock files spell it."""
    name = re.match(r"[A-Za-z0-9._-]+", str(requirement))
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize("file", [RUN, DEVELOP], ids=lambda file: file.name)
def test_every_line_is_a_version_with_its_hashes(file: Path) -> None:
    """Nothing else: no option names a host, and nothing comes from a folder or a repository."""
    for line in logical_lines(file):
        requirement, *hashes = re.split(r"\s+(?=--hash)", line.strip())
        assert PINNED.fullmatch(requirement.strip()), line
        assert hashes, line
        assert all(HASHED.fullmatch(each) for each in hashes), line
    assert "://" not in file.read_text()


def test_what_runs_is_developed_with_the_same_versions() -> None:
    run, develop = locked(RUN), locked(DEVELOP)
    assert {name: develop.get(name) for name in run} == run


def test_everything_that_the_package_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras, groups = project["project"]["optional-dependencies"], project["dependency-groups"]
    run = [*project["project"]["dependencies"], *extras["embedded"], *extras["demo"], *groups["build"]]
    develop = [each for each in groups["dev"] if isinstance(each, str)] + extras["testing"]
    assert [each for each in run if normal(each) not in locked(RUN)] == []
    assert [each for each in develop if normal(each) not in locked(DEVELOP)] == []

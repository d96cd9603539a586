"""The generated pages say what the code says, and the others leave nothing out."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from docs import generate
from penstock.config.options import refused_options
from penstock.errors import ExitCode

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(generate.pages()))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    """If this fails: `python -m docs.generate`."""
    assert (REFERENCE / name).read_text() == generate.pages()[name]


def test_every_dependency_has_its_reason() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted}
    page = (REFERENCE / "dependencies.md").read_text()
    listed = set(re.findall(r"^\|(?: `\w+` | )\|? ?`([a-z0-9-]+)` \|", page, re.MULTILINE))
    assert listed == names


def test_every_exit_code_is_explained() -> None:
    page = (REFERENCE / "exit-codes.md").read_text()
    explained = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert explained == {*ExitCode, 130, 137, 143}


def test_every_refused_option_is_explained() -> None:
    page = (ROOT / "docs" / "how-to" / "configure.md").read_text()
    legacy = {"metadata.broker.list", "auto.commit.enable", "request.required.acks", "enable.gapless.guarantee"}
    legacy |= {"auto.commit.interval.ms", "auto.commit.interval", "retry.backoff.max.ms"}
    assert {option for option in refused_options() if f"`{option}`" not in page} == legacy

"""Pipelines are found by their place, by import string and by entry point."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from penstock.dsl import discovery
from penstock.dsl.discovery import pipeline_named, pipelines
from penstock.errors import ConfigurationError, UsageError

MODULE = """
import penstock as ps

here = ps.Pipeline("{name}")
here.stream(ps.Topic("t", key=str, value=str)).to(ps.Topic("o", key=str, value=str))
same = here
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def package() -> str:
    """A name of its own for each test: modules are imported once in a process."""
    return f"processors_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def write(tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(file: str, text: str) -> Path:
        path = tmp_path / package / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return tmp_path

    yield write
    for name in [each for each in sys.modules if each.startswith(package)]:
        del sys.modules[name]


def test_pipelines_are_found_by_their_place_and_by_import_string(write: Write, package: str) -> None:
    write("b.py", MODULE.format(name="second"))
    root = write("a.py", MODULE.format(name="first"))

    assert list(pipelines(root, package)) == ["first", "second"]
    assert pipeline_named("second", root, package).name == "second"
    assert pipeline_named(f"{package}.a:here", root, package).name == "first"


def test_two_pipelines_of_one_name_are_a_configuration_error(write: Write, package: str) -> None:
    write("a.py", MODULE.format(name="same"))
    root = write("b.py", MODULE.format(name="same"))
    with pytest.raises(ConfigurationError, match=rf"named 'same', in {package}.a and in {package}.b"):
        pipelines(root, package)


def test_an_unknown_name_lists_those_there_are(write: Write, package: str) -> None:
    root = write("a.py", MODULE.format(name="first"))
    with pytest.raises(UsageError, match=r"no pipeline 'other' in .*; known: first"):
        pipeline_named("other", root, package)


@pytest.mark.parametrize("attribute", ["nothing", "ps", "here.name"])
def test_an_import_string_must_lead_to_a_pipeline(write: Write, package: str, attribute: str) -> None:
    root = write("a.py", MODULE.format(name="first"))
    with pytest.raises(UsageError, match=r"is no penstock\.Pipeline"):
        pipeline_named(f"{package}.a:{attribute}", root, package)


def test_a_module_that_cannot_be_imported_is_named(write: Write, package: str) -> None:
    root = write("broken.py", "raise OSError('gone')")
    with pytest.raises(ConfigurationError, match=r"broken\.py: cannot be imported: OSError: gone"):
        pipelines(root, package)


def test_installed_packages_offer_pipelines_by_entry_points(
    write: Write, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write("a.py", MODULE.format(name="offered"))
    entry = EntryPoint("any", f"{package}.a:here", discovery.ENTRY_POINTS)
    monkeypatch.setattr(discovery, "entry_points", lambda group: [entry] if group == "penstock.processors" else [])
    assert list(pipelines(root, "no_such_folder")) == ["offered"]

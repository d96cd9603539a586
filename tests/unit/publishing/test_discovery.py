"""Producers are found by their place, and what is wrong with a module is said with its file."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.errors import ConfigurationError, UsageError
from penstock.publishing.discovery import producer_named, producers

MODULE = '''
import penstock as ps

@ps.producer("{name}", topic=ps.Topic("t", key=str, value=str))
def source(cursor):
    """Rows of {name}.

    And more.
    """
    yield 1, ps.Record(key="k", value="v")
'''

Write = Callable[..., Path]


@pytest.fixture
def package() -> str:
    """A name of its own for each test: modules are imported once in a process."""
    return f"producers_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def write(tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(file: str, text: str) -> Path:
        path = tmp_path / package / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return tmp_path

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def test_producers_are_found_in_the_modules_of_their_folder_by_name(write: Write, package: str) -> None:
    write("b.py", MODULE.format(name="weather"))
    write("__init__.py", "")
    write("notes.txt", "no module")
    root = write("a.py", MODULE.format(name="flights") + "\nagain = source\nother = 5\n")
    there = producers(root, package)
    assert list(there) == ["flights", "weather"]
    assert there["flights"].doc == "Rows of flights."
    assert [cursor for cursor, _ in filter(None, there["flights"](None))] == [1]


def test_a_producer_that_another_module_imports_is_one_producer(write: Write, package: str) -> None:
    write("a.py", MODULE.format(name="flights"))
    root = write("b.py", f"from {package}.a import source\n")
    assert list(producers(root, package)) == ["flights"]


def test_two_producers_of_one_name_are_refused_with_both_modules(write: Write, package: str) -> None:
    write("a.py", MODULE.format(name="flights"))
    root = write("b.py", MODULE.format(name="flights"))
    with pytest.raises(ConfigurationError, match=rf"named 'flights', in {package}\.a and in {package}\.b"):
        producers(root, package)


@pytest.mark.parametrize(
    ("text", "told"),
    [("import nowhere_at_all", "ModuleNotFoundError"), ("def (", "SyntaxError"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_module_that_cannot_be_imported_is_named(write: Write, package: str, text: str, told: str) -> None:
    root = write("broken.py", text)
    with pytest.raises(ConfigurationError, match=rf"broken\.py: cannot be imported: {told}"):
        producers(root, package)


@pytest.mark.parametrize("name", ["Flights", "1st", "a.b", "a b", "", "x" * 64])
def test_a_name_that_would_not_do_for_a_topic_is_refused(write: Write, package: str, name: str) -> None:
    root = write("a.py", MODULE.format(name=name))
    with pytest.raises(ConfigurationError, match="lower-case letters, digits and dashes"):
        producers(root, package)


def test_an_unknown_name_is_answered_with_those_there_are(write: Write, package: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"known: none: put a module with @penstock\.producer into"):
        producer_named("flights", tmp_path, package)
    write("b.py", MODULE.format(name="weather"))
    root = write("a.py", MODULE.format(name="flights"))
    assert producer_named("flights", root, package).name == "flights"
    with pytest.raises(UsageError, match=r"no producer 'planes' .*known: flights, weather"):
        producer_named("planes", root, package)


def test_the_folder_may_lie_in_another(write: Write, package: str) -> None:
    """`producers = "feeds/producers"` in the configuration is the package `feeds.producers`."""
    root = write("producers/a.py", MODULE.format(name="flights"))
    assert list(producers(root, f"{package}.producers")) == ["flights"]

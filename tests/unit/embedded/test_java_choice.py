"""Which Java is taken, and what is said when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.embedded.java import find_java
from penstock.errors import ConfigurationError, StartFailed


def fake_java(home: Path, version: str, *, exit_code: int = 0) -> Path:
    """A `java` that only knows its version."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-01' >&2\nexit {exit_code}\n")
    executable.chmod(0o755)
    return executable


@pytest.fixture(autouse=True)
def _no_bundled_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.embedded.java._bundled", lambda: None)


def test_java_home_goes_before_path(tmp_path: Path) -> None:
    home, path = fake_java(tmp_path / "home", "21.0.1"), fake_java(tmp_path / "path", "17.0.2")

    java = find_java(None, {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(path.parent)})

    assert (java.executable, java.major) == (home, 21)


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    fake_java(tmp_path / "home", "1.8.0_402")
    path = fake_java(tmp_path / "path", "17")

    java = find_java(None, {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(path.parent)})

    assert java.executable == path


def test_the_bundled_java_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = fake_java(tmp_path / "bundled", "25.0.2")
    monkeypatch.setattr("penstock.embedded.java._bundled", lambda: bundled)
    path = fake_java(tmp_path / "path", "17")

    assert find_java(None, {"PATH": str(path.parent)}).executable == path
    assert find_java(None, {"PATH": str(tmp_path)}).executable == bundled


def test_without_any_java_the_extra_that_brings_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"(?s)no Java 17 or newer.*pip install 'penstock\[embedded\]'") as caught:
        find_java(None, {"PATH": str(tmp_path)})

    assert caught.value.args[0].count("not there") == 3


def test_what_was_found_and_why_it_will_not_do_is_told(tmp_path: Path) -> None:
    home, path = fake_java(tmp_path / "home", "11.0.22"), fake_java(tmp_path / "path", "17", exit_code=1)

    with pytest.raises(StartFailed) as caught:
        find_java(None, {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(path.parent)})

    assert f"JAVA_HOME: {home} is Java 11, too old" in str(caught.value)
    assert f"java on PATH: {path} -version ends with code 1" in str(caught.value)


def test_a_chosen_java_is_used_or_refused_but_never_replaced(tmp_path: Path) -> None:
    old, good = fake_java(tmp_path / "old", "11"), fake_java(tmp_path / "good", "17")
    environ = {"PATH": str(good.parent)}

    with pytest.raises(ConfigurationError, match="is Java 11, too old; Kafka needs Java 17"):
        find_java(old, environ)
    with pytest.raises(ConfigurationError, match="does not run"):
        find_java(tmp_path / "nothing", environ)


def test_a_chosen_java_may_be_named_by_its_home(tmp_path: Path) -> None:
    """As JAVA_HOME names it."""
    good = fake_java(tmp_path / "jdk", "17")

    assert find_java(tmp_path / "jdk").executable == good
    with pytest.raises(ConfigurationError, match=r"java = .*: .*/bin/java does not run"):
        find_java(tmp_path)


def test_another_build_means_another_class_archive(tmp_path: Path) -> None:
    one, two = fake_java(tmp_path / "one", "17.0.1"), fake_java(tmp_path / "two", "17.0.2")

    assert find_java(one).build != find_java(two).build
    assert find_java(one).build == find_java(one).build


def test_a_java_without_a_base_archive_writes_none(tmp_path: Path) -> None:
    java = find_java(fake_java(tmp_path / "home", "17"))
    assert not java.can_archive

    (tmp_path / "home/lib/server").mkdir(parents=True)
    (tmp_path / "home/lib/server/classes.jsa").touch()
    assert java.can_archive

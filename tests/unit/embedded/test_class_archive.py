"""The class archive: a cut one must never be used, it kills the JVM."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.embedded import class_archive
from penstock.embedded.java import Java


@pytest.fixture
def java(tmp_path: Path) -> Java:
    """A JDK that can write archives, as far as its files tell."""
    base = tmp_path / "jdk/lib/server/classes.jsa"
    base.parent.mkdir(parents=True)
    base.touch()
    return Java(tmp_path / "jdk/bin/java", 17, "abc")


def test_an_archive_is_written_once_and_then_found(tmp_path: Path, java: Java) -> None:
    part = class_archive.part_to_write(tmp_path, java)
    assert part is not None
    part.write_text("12345")

    kept = class_archive.keep(part, exit_code=143)

    assert kept == tmp_path / "classes-abc-5.jsa"
    assert class_archive.find(tmp_path, java) == kept
    assert class_archive.part_to_write(tmp_path, java) is None
    assert class_archive.find(tmp_path, Java(java.executable, 17, "other")) is None


def test_a_cut_archive_is_not_used_and_written_anew(tmp_path: Path, java: Java) -> None:
    (tmp_path / "classes-abc-5.jsa").write_text("1234")

    assert class_archive.find(tmp_path, java) is None
    assert class_archive.part_to_write(tmp_path, java) is not None


@pytest.mark.parametrize("exit_code", [-1, 1, 137])
def test_what_a_killed_broker_wrote_is_thrown_away(tmp_path: Path, java: Java, exit_code: int) -> None:
    part = class_archive.part_to_write(tmp_path, java)
    assert part is not None
    part.write_text("12345")

    assert class_archive.keep(part, exit_code) is None
    assert not part.exists()
    assert class_archive.find(tmp_path, java) is None


def test_beside_jars_in_a_folder_that_cannot_be_written_there_will_be_no_archive(
    tmp_path: Path, java: Java, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image with a filled cache, mounted read-only. Root may write everywhere else: hence the patch."""
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    assert class_archive.part_to_write(tmp_path, java) is None

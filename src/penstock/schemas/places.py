"""Where in a JSON text a value stands: its path and its line, which `json` does not tell."""

from __future__ import annotations

import json
import re
from typing import Final

_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


def line_index(text: str) -> dict[str, int]:
    """{JSON path: 1-based line} of every value in a valid JSON text; paths look like `$.fields[2].type`."""
    index: dict[str, int] = {}
    open_paths: list[tuple[str, int | None]] = []  # (path, next position in an array, or None in an object)
    path, line, end = "$", 1, 0
    is_key = False
    for match in _MARK.finditer(text):
        line += text.count("\n", end, match.start())
        end = match.start()
        mark = match.group()
        if mark in "]}":
            open_paths.pop()
        elif mark == ",":
            parent, position = open_paths[-1]
            if position is not None:
                open_paths[-1] = (parent, position + 1)
                path = f"{parent}[{position + 1}]"
            is_key = position is None
        elif mark == ":":
            is_key = False
        elif is_key:
            path = member(open_paths[-1][0], str(json.loads(mark)))
        else:
            index[path] = line
            if mark in "[{":
                open_paths.append((path, 0 if mark == "[" else None))
                is_key = mark == "{"
                path = f"{path}[0]"
    return index


def member(path: str, key: str) -> str:
    """The path of one member of an object."""
    return f"{path}.{key}" if re.fullmatch(r"\w+", key) else f"{path}[{json.dumps(key)}]"


def line_of(index: dict[str, int], path: str) -> int:
    """The line of a path, or of the nearest value around it that is there."""
    while path not in index and path != "$":
        path = path[: max(path.rfind("."), path.rfind("["))] if path.count(".") + path.count("[") else "$"
    return index.get(path, 1)

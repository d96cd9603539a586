"""Schema texts come from a network: bound them before any parser sees them."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from penstock.errors import ConfigurationError

MAX_SCHEMA_BYTES: Final = 1_048_576
"""What Confluent's registry and ours take at most."""

MAX_NESTING: Final = 64
"""Brackets open at once. Both parsers recurse four frames per level; 64 stays far from Python's limit of 1,000."""

_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def load_json(text: str, source: str) -> object:
    """Parse a schema's JSON within the limits: size, nesting, no duplicate keys, no NaN.

    Raises:
        ConfigurationError: not JSON, or beyond a limit; the message says which.
    """
    if len(text) > MAX_SCHEMA_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_SCHEMA_BYTES:
        raise ConfigurationError(f"{source}: larger than {MAX_SCHEMA_BYTES:,} bytes")
    _check_nesting(text, source)
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        raise ConfigurationError(f"{source}: not JSON: {err}") from err


def _check_nesting(text: str, source: str) -> None:
    depth = 0
    for match in _BRACKET.finditer(text):
        mark = match.group()
        if mark in "[{":
            depth += 1
            if depth > MAX_NESTING:
                raise ConfigurationError(f"{source}: nested deeper than {MAX_NESTING} brackets")
        elif mark in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:100]!r} stands twice in one object")
        found[name] = value
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")

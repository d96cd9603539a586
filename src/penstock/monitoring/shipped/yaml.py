"""YAML, as far as settings of servers need it: mappings, lists, numbers, texts, quoted as JSON quotes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

NOTE: Final = "# Written by `python -m penstock.monitoring.shipped monitoring`; change the code, not this file.\n"


def dump(value: Mapping[str, Any]) -> str:
    """The document."""
    return NOTE + "\n".join(_lines(value, "")) + "\n"


def _lines(value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            if isinstance(each, Mapping | list | tuple) and each:
                yield f"{indent}{name}:"
                yield from _lines(each, f"{indent}  ")
            else:
                yield f"{indent}{name}: {json.dumps(each, ensure_ascii=False)}"
        return
    assert isinstance(value, Sequence)  # noqa: S101 - nothing else is ever given
    for each in value:
        if isinstance(each, Mapping | list | tuple) and each:
            first, *rest = _lines(each, f"{indent}  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {json.dumps(each, ensure_ascii=False)}"

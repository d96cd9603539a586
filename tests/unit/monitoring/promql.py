"""As much of PromQL as is needed to see which metrics and labels a query names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_SELECTOR = re.compile(
    r"\b((?:penstock|kafka|process|python)_[a-z_]+|(?:pipeline|group_topic):[a-z0-9_:]+|(?:up|ALERTS)(?=\{))(?:\{([^}]*)\})?"
)
_MATCHER = re.compile(r'([a-z_]+)\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"')
_LABELS = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")


class Selector(NamedTuple):
    name: str
    labels: tuple[str, ...]


def selectors(query: str) -> Iterator[Selector]:
    """The metrics that it names, each with the labels it matches by."""
    for name, matchers in _SELECTOR.findall(query):
        found = tuple(_MATCHER.findall(matchers))
        rest = _MATCHER.sub("", matchers).replace(",", "").strip()
        assert not rest, f"no matchers: {matchers!r} in {query}"
        yield Selector(name, found)


def grouped_by(query: str) -> set[str]:
    """The labels that it groups and joins by."""
    return {label.strip() for labels in _LABELS.findall(query) for label in labels.split(",") if label.strip()}


def is_balanced(query: str) -> bool:
    """Whether every bracket is closed, in order."""
    without_texts = re.sub(r'"(?:[^"\\]|\\.)*"', "", query)
    stack: list[str] = []
    for char in without_texts:
        if char in "([{":
            stack.append(char)
        elif char in ")]}" and (not stack or stack.pop() + char not in ("()", "[]", "{}")):
            return False
    return not stack

"""Why one record cannot be decoded or one value not be encoded, before its place in the batch is known."""

from __future__ import annotations

from typing import Final

REASONS: Final = (
    "frame",
    "magic_byte",
    "unknown_schema",
    "invalid_schema",
    "unresolvable",
    "truncated",
    "trailing_bytes",
    "varint",
    "int_range",
    "boolean",
    "union_index",
    "enum_index",
    "enum_symbol",
    "block_count",
    "zero_width",
    "too_deep",
    "utf8",
    "logical_type",
    "size",
    "json",
    "type",
    "tombstone",
)
"""The closed set of words that `UndecodableRecord.reason` takes."""


class Malformed(Exception):
    """Bytes that break a rule; `reason` is one of `REASONS`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Misfit(Exception):
    """A value that does not fit its schema; `path` grows from the inside out while it travels up."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.path: list[str] = []

    def inside(self, step: str) -> Misfit:
        """Note that it happened inside `step`, and return self."""
        self.path.append(step)
        return self

    @property
    def field(self) -> str:
        """The dotted path from the outside in; indexes and map keys stay out, since keys are payload."""
        return ".".join(reversed(self.path)).replace(".[]", "[]").replace(".{}", "{}")

"""What is left to do in Python with a record that fastavro has read by a plan (`resolution.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from penstock.schemas.logical import Conversion

SKIPPED: Final = ""
"""The name of fields that the reader does not have: none that a schema can use."""


class RecordLift:
    """What is left to do with the dict of a record: convert fields, add defaults, build the object.

    Attributes:
        conversions: (attribute, lift).
        defaults: (attribute, a function that makes its value, anew where it can be changed).
        has_skipped: the dict holds a field that the reader has not.
        is_done: all of the above is known; inside a recursive schema it is not yet.
    """

    def __init__(self, cls: type | None) -> None:
        self._cls = cls
        self.conversions: list[tuple[str, Conversion]] = []
        self.defaults: list[tuple[str, Callable[[], object]]] = []
        self.has_skipped = False
        self.is_done = False
        self._function: Conversion | None = None

    @property
    def is_identity(self) -> bool:
        """Nothing is left to do."""
        return self.is_done and not (self._cls or self.conversions or self.defaults or self.has_skipped)

    def __call__(self, fields: dict[str, Any]) -> object:
        """One record, in place; for references to a record that is not done yet."""
        return self.function()(fields)

    def function(self) -> Conversion:
        """What `__call__` does, at half its cost."""
        if self._function is None:
            self._function = self._compiled()
        return self._function

    def _compiled(self) -> Conversion:
        conversions, defaults, has_skipped = tuple(self.conversions), tuple(self.defaults), self.has_skipped
        cls = self._cls or _itself

        def build(fields: dict[str, Any]) -> object:
            return cls(**fields)

        def lift(fields: dict[str, Any]) -> object:
            for name, convert in conversions:
                fields[name] = convert(fields[name])
            return cls(**fields)

        def lift_all(fields: dict[str, Any]) -> object:
            for name, make in defaults:
                fields[name] = make()
            if has_skipped:
                fields.pop(SKIPPED, None)
            return lift(fields)

        if defaults or has_skipped:
            return lift_all
        return lift if conversions else build


def _itself(**fields: Any) -> dict[str, Any]:
    return fields

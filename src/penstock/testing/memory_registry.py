"""A schema registry in memory, for tests of code that encodes and decodes without a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from penstock.errors import RegistryUnavailable
from penstock.protocols import RegisteredSchema, SchemaReference


class MemoryRegistry:
    """Keeps schemas and gives out ids from 1, the same id for the same text; checks nothing.

    Attributes:
        is_down: while true, every call raises `RegistryUnavailable`.
        lookups_by_id: the ids that were asked for, in order.
    """

    def __init__(self) -> None:
        self.is_down = False
        self.lookups_by_id: list[int] = []
        self._subjects: dict[str, list[RegisteredSchema]] = {}
        self._ids: dict[tuple[str, tuple[SchemaReference, ...]], int] = {}

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        """The schema with this global id."""
        self._answer()
        self.lookups_by_id.append(schema_id)
        versions = (each for subject in self._subjects.values() for each in subject)
        return next((each for each in versions if each.id == schema_id), None)

    def version(self, subject: str, version: int | Literal["latest"]) -> RegisteredSchema | None:
        """One version of a subject."""
        self._answer()
        versions = self._subjects.get(subject, [])
        number = len(versions) if version == "latest" else version
        return versions[number - 1] if 1 <= number <= len(versions) else None

    def versions(self, subject: str) -> list[int]:
        """The versions of a subject, ascending."""
        self._answer()
        return list(range(1, len(self._subjects.get(subject, [])) + 1))

    def lookup(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema | None:
        """This very text under this subject."""
        self._answer()
        wanted = (text, tuple(references))
        return next((e for e in self._subjects.get(subject, []) if (e.text, e.references) == wanted), None)

    def register(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema:
        """Add it to the subject, unless it is there."""
        if known := self.lookup(subject, text, references):
            return known
        schema_id = self._ids.setdefault((text, tuple(references)), len(self._ids) + 1)
        versions = self._subjects.setdefault(subject, [])
        versions.append(
            RegisteredSchema(
                id=schema_id, text=text, references=tuple(references), subject=subject, version=len(versions) + 1
            )
        )
        return versions[-1]

    def _answer(self) -> None:
        if self.is_down:
            raise RegistryUnavailable("the registry in memory was told to be down")

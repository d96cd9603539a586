"""Schemas by what is global about them: id and GUID."""

from __future__ import annotations

from penstock.embedded.registry import refusal
from penstock.embedded.registry.layout import SchemaValue
from penstock.embedded.registry.store import Store


class Schemas:
    """The calls about ids.

    Every method raises `Refusal` (40403) for what is not there.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def with_id(self, schema_id: int) -> tuple[SchemaValue, int]:
        """A schema, softly deleted or not: data written with it is still to be read; and the highest id."""
        with self._store.reading() as contents:
            found = contents.with_id(schema_id)
            highest = contents.highest_id
        if not found:
            raise refusal.no_schema(schema_id)
        return found[0], highest

    def versions(self, schema_id: int, subject: str | None, *, deleted: bool) -> list[SchemaValue]:
        """Every version with this id, in order; of one subject only, if named."""
        with self._store.reading() as contents:
            found = contents.with_id(schema_id)
        if not found:
            raise refusal.no_schema()
        return [s for s in found if (deleted or not s.deleted) and subject in {None, s.subject}]

    def with_guid(self, guid: str) -> SchemaValue:
        """The schema whose content has this GUID."""
        with self._store.reading() as contents:
            every = list(contents.every())
        for schema in every:
            if schema.guid == guid.lower():
                return schema
        raise refusal.no_schema(guid)

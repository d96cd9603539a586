"""What the log adds up to: subjects with their versions, levels, modes. In memory, fed record by record."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from penstock.embedded.registry.layout import Key, KeyType, SchemaValue, Small, decode_schema, decode_small

DEFAULT_LEVEL = "BACKWARD"
DEFAULT_MODE = "READWRITE"


class Contents:
    """The registry's state at a place in the log.

    One thread changes it. Others may ask while it does: methods work on copies of what they go through.

    Attributes:
        levels: {subject, None for global: compatibility level}.
        modes: likewise for modes.
        highest_id: the highest schema id ever seen, deleted and ignored ones included: it is never given again.
    """

    def __init__(self) -> None:
        self._subjects: dict[str, dict[int, SchemaValue]] = {}
        self._by_id: dict[int, dict[Key, SchemaValue]] = {}
        self.levels: dict[str | None, str] = {}
        self.modes: dict[str | None, str] = {}
        self.highest_id = 0

    def apply(self, key: Key, value: bytes | None) -> None:
        """Take one record in.

        Raises:
            NotOurs: its value makes no sense; nothing has changed.
        """
        match key.keytype:
            case KeyType.SCHEMA:
                self._forget(key) if not value else self._keep(decode_schema(value))
            case KeyType.CONFIG:
                _set(self.levels, key.subject, decode_small(value).compatibility_level if value else None)
            case KeyType.MODE:
                _set(self.modes, key.subject, decode_small(value).mode if value else None)
            case KeyType.DELETE_SUBJECT if value:
                self._delete_softly(decode_small(value))
            case _:
                pass

    def burn_id(self, value: bytes) -> None:
        """Never give the id in this SCHEMA value again, though the record does not count: somebody may have seen it."""
        self.highest_id = max(self.highest_id, decode_schema(value).id)

    def _keep(self, schema: SchemaValue) -> None:
        self._forget(schema.key)
        self._subjects.setdefault(schema.subject, {})[schema.version] = schema
        self._by_id.setdefault(schema.id, {})[schema.key] = schema
        self.highest_id = max(self.highest_id, schema.id)

    def _forget(self, key: Key) -> None:
        versions = self._subjects.get(key.subject or "", {})
        gone = versions.pop(key.version, None)
        if gone is None:
            return
        if not versions:
            del self._subjects[gone.subject]
        with_id = self._by_id[gone.id]
        del with_id[key]
        if not with_id:
            del self._by_id[gone.id]

    def _delete_softly(self, deletion: Small) -> None:
        for schema in self.versions(deletion.subject or "", deleted=True):
            if schema.version <= (deletion.version or 0):
                self._keep(msgspec.structs.replace(schema, deleted=True))

    def subjects(self, *, deleted: bool = False) -> list[str]:
        """Names in order; those of which all versions are deleted only on demand."""
        return sorted(s for s in list(self._subjects) if deleted or self.versions(s))

    def versions(self, subject: str, *, deleted: bool = False) -> list[SchemaValue]:
        """Ascending; empty for an unknown subject."""
        every = dict(self._subjects.get(subject, {}))
        return [every[v] for v in sorted(every) if deleted or not every[v].deleted]

    def version(self, subject: str, version: int) -> SchemaValue | None:
        """This very version, deleted or not."""
        return self._subjects.get(subject, {}).get(version)

    def with_id(self, schema_id: int) -> list[SchemaValue]:
        """Every version of any subject with this id, in order of subject and version, deleted ones included."""
        return sorted(self._by_id.get(schema_id, {}).copy().values(), key=lambda s: (s.subject, s.version))

    def every(self) -> Iterator[SchemaValue]:
        """All versions of all subjects, deleted ones included."""
        for versions in list(self._subjects.values()):
            yield from list(versions.values())

    def referring_to(self, subject: str, version: int, *, deleted: bool = False) -> list[SchemaValue]:
        """Schemas that refer to this version, in order of id."""
        found = [
            s
            for s in self.every()
            if (deleted or not s.deleted) and any(r.subject == subject and r.version == version for r in s.references)
        ]
        return sorted(found, key=lambda s: (s.id, s.subject, s.version))

    def truth(self, key: Key) -> list[tuple[Key, bytes | None]]:
        """The records that say what holds for a key, for a log in which somebody else's record stands there."""
        match key.keytype:
            case KeyType.SCHEMA:
                schema = self.version(key.subject or "", key.version)
                return [(key, schema.encode() if schema else None)]
            case KeyType.CONFIG:
                level = self.levels.get(key.subject)
                return [(key, Small(key.subject, compatibility_level=level).encode() if level else None)]
            case KeyType.MODE:
                mode = self.modes.get(key.subject)
                return [(key, Small(key.subject, mode=mode).encode() if mode else None)]
            case KeyType.DELETE_SUBJECT:
                # Not its own last record again: that would delete versions which came since. Their records say what
                # holds, and a deletion up to version 0, which deletes nothing, takes the key over.
                versions = self.versions(key.subject or "", deleted=True)
                return [*((s.key, s.encode()) for s in versions), (key, Small(key.subject, version=0).encode())]
            case KeyType.NOOP:
                return []


def _set(values: dict[str | None, str], subject: str | None, value: str | None) -> None:
    if value is None:
        values.pop(subject, None)
    else:
        values[subject] = value

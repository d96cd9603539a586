"""Subjects and their versions: register, look up, list, delete. What changes anything runs inside `Store.writing`."""

from __future__ import annotations

import json

import msgspec

from penstock.embedded.registry import refusal
from penstock.embedded.registry.bodies import LATEST, SchemaBody, check_subject
from penstock.embedded.registry.contents import Contents
from penstock.embedded.registry.definitions import Definitions
from penstock.embedded.registry.layout import Key, KeyType, SchemaValue, Small
from penstock.embedded.registry.settings import level_of, may_register, may_write
from penstock.embedded.registry.store import Store
from penstock.schemas.compatibility import Level, Violation
from penstock.schemas.parse import AvroSchema


class Subjects:
    """The calls about subjects.

    Every method raises `Refusal` for an answer other than 200.
    """

    def __init__(self, store: Store, definitions: Definitions) -> None:
        self._store, self._definitions = store, definitions

    # ------------------------------------------------------------ asking

    def names(self, *, prefix: str, deleted: bool, deleted_only: bool) -> list[str]:
        """Names in order, by prefix."""
        with self._store.reading() as contents:
            found = contents.subjects(deleted=deleted or deleted_only)
            live = set(contents.subjects()) if deleted_only else set[str]()
        return [name for name in found if name.startswith(prefix) and name not in live]

    def versions(self, subject: str, *, deleted: bool, deleted_only: bool) -> list[int]:
        """Version numbers, ascending."""
        with self._store.reading() as contents:
            found = contents.versions(subject, deleted=deleted or deleted_only)
        if not found:
            raise refusal.no_subject(subject)
        return [s.version for s in found if s.deleted or not deleted_only]

    def version(self, subject: str, version: int, *, deleted: bool = False) -> SchemaValue:
        """One version; deleted ones only on demand."""
        with self._store.reading() as contents:
            return _version(contents, subject, version, deleted=deleted)

    def referring_to(self, subject: str, version: int, *, deleted: bool) -> list[int]:
        """Ids of the schemas that refer to this version."""
        with self._store.reading() as contents:
            target = _version(contents, subject, version, deleted=True)
            found = contents.referring_to(subject, target.version, deleted=deleted)
        return list(dict.fromkeys(s.id for s in found))

    def look_up(self, subject: str, sent: SchemaBody, *, deleted: bool) -> SchemaValue:
        """This very schema among the subject's versions."""
        with self._store.reading() as contents:
            if not contents.versions(subject, deleted=deleted):
                raise refusal.no_subject(subject)
        schema = self._parsed(sent, contents)
        found = self._same(contents.versions(subject, deleted=deleted), schema, contents)
        if found is None:
            raise refusal.no_schema()
        return found

    def violations(self, subject: str, sent: SchemaBody, version: int | None) -> tuple[Level, list[Violation]]:
        """Why a schema may not follow one version, or with None those that the subject's level looks at."""
        with self._store.reading() as contents:
            earlier = contents.versions(subject)
            if version == LATEST:
                earlier = earlier[-1:]
            elif version is not None:
                earlier = [s for s in earlier if s.version == version]
                if not earlier:
                    raise refusal.no_version(version)
            level = level_of(contents, subject)
        return level, self._definitions.violations(level, self._parsed(sent, contents), earlier, contents)

    # ------------------------------------------------------------ changing

    def register(self, subject: str, sent: SchemaBody, *, normalize: bool) -> SchemaValue:
        """Add a schema to a subject; one that is there already is answered as it stands."""
        check_subject(subject)
        with self._store.reading() as contents:
            schema = self._parsed(sent, contents)  # the slow part, before anybody has to wait for it
        with self._store.writing() as contents:
            may_register(contents, subject, with_id=sent.id is not None and sent.id >= 0)
            live = contents.versions(subject)
            there = self._same(live, schema, contents)
            if there is not None and sent.id in {None, -1, there.id} and not sent.version:
                return there
            if sent.id is None or sent.id < 0:
                self._check_compatible(contents, subject, schema, live)
            text = _normalized(sent.schema or "") if normalize else sent.schema or ""
            new = self._numbered(contents, subject, sent, schema, text)
            self._store.put(new.key, new.encode())
            self._drop_deleted_twins(contents, new)
        return new

    def delete_version(self, subject: str, version: int, *, permanent: bool) -> int:
        """Delete one version, softly or, once that is done, for good."""
        with self._store.writing() as contents:
            schema = _version(contents, subject, version, deleted=True, latest_deleted=permanent)
            if schema.deleted and not permanent:
                raise refusal.already_deleted(subject, schema.version)
            may_write(contents, subject)
            if contents.referring_to(subject, schema.version, deleted=permanent):
                raise refusal.referred_to(subject, schema.version)
            if permanent:
                if not schema.deleted:
                    raise refusal.not_yet_deleted(subject, schema.version)
                self._delete_for_good(contents, subject, [schema])
            else:
                self._store.put(schema.key, msgspec.structs.replace(schema, deleted=True).encode())
        return schema.version

    def delete(self, subject: str, *, permanent: bool) -> list[int]:
        """Delete all versions, softly or, once that is done, for good; returns their numbers."""
        with self._store.writing() as contents:
            every, live = contents.versions(subject, deleted=True), contents.versions(subject)
            if not every:
                raise refusal.no_subject(subject)
            if not permanent and not live:
                raise refusal.already_deleted(subject)
            may_write(contents, subject)
            going = every if permanent else live
            for schema in going:
                others = contents.referring_to(subject, schema.version, deleted=permanent)
                if any(other.subject != subject for other in others):
                    raise refusal.referred_to(subject, schema.version)
            if permanent:
                if live:
                    raise refusal.not_yet_deleted(subject)
                self._delete_for_good(contents, subject, going)
            else:
                deletion = Small(subject, version=going[-1].version)
                self._store.put(Key(KeyType.DELETE_SUBJECT, subject), deletion.encode())
        return [schema.version for schema in going]

    # ------------------------------------------------------------ parts

    def _parsed(self, sent: SchemaBody, contents: Contents) -> AvroSchema:
        return self._definitions.parse(sent.schema or "", sent.references or (), contents)

    def _same(self, among: list[SchemaValue], schema: AvroSchema, contents: Contents) -> SchemaValue | None:
        for each in reversed(among):
            if self._definitions.identity(each, contents) == schema.identity:
                return each
        return None

    def _check_compatible(
        self, contents: Contents, subject: str, schema: AvroSchema, earlier: list[SchemaValue]
    ) -> None:
        level = level_of(contents, subject)
        found = self._definitions.violations(level, schema, earlier, contents)
        if found:
            raise refusal.incompatible(subject, told(level, found))

    def _numbered(
        self, contents: Contents, subject: str, sent: SchemaBody, schema: AvroSchema, text: str
    ) -> SchemaValue:
        """The new version with its number and its id."""
        known = contents.versions(subject, deleted=True)
        version = sent.version if sent.version and sent.version > 0 else (known[-1].version if known else 0) + 1
        if sent.id is not None and sent.id >= 0:
            schema_id = sent.id
            with_id = contents.with_id(schema_id)
            if with_id and self._same(with_id, schema, contents) is None:
                raise refusal.not_permitted(f"Overwrite new schema with id {schema_id} is not permitted.")
        else:
            if known and version <= known[-1].version:
                raise refusal.invalid_schema("Version is not one more than previous version")
            twin = self._same(list(contents.every()), schema, contents)
            schema_id = twin.id if twin else contents.highest_id + 1
        return SchemaValue(subject=subject, version=version, id=schema_id, text=text, references=sent.references or ())

    def _drop_deleted_twins(self, contents: Contents, new: SchemaValue) -> None:
        """A version that was deleted softly and came back under a new number is needed no more, as in Confluent's.

        Behind the new record, so that the id stands in the log at any moment.
        """
        for old in contents.versions(new.subject, deleted=True):
            is_twin = old.deleted and old.id == new.id and old.version < new.version
            if is_twin and not contents.referring_to(new.subject, old.version, deleted=True):
                self._store.put(old.key, None)

    def _delete_for_good(self, contents: Contents, subject: str, going: list[SchemaValue]) -> None:
        self._store.keep_highest_id()
        for schema in reversed(going):  # a version may refer to an earlier one
            self._store.put(schema.key, None)
        if not contents.versions(subject, deleted=True):
            for keytype, values in ((KeyType.MODE, contents.modes), (KeyType.CONFIG, contents.levels)):
                if subject in values:
                    self._store.put(Key(keytype, subject), None)


def told(level: Level, found: list[Violation]) -> list[str]:
    """The reasons and what would be the way out, a line each."""
    return [*map(str, found), f"compatibility level {level}: {level.upgrade_order}"]


def _version(
    contents: Contents, subject: str, version: int, *, deleted: bool, latest_deleted: bool = False
) -> SchemaValue:
    every = contents.versions(subject, deleted=True)
    live = [s for s in every if not s.deleted]
    candidates = every if deleted else live
    if not candidates:
        raise refusal.no_subject(subject)
    if version == LATEST:
        return (live or every)[-1] if not latest_deleted else every[-1]
    for schema in candidates:
        if schema.version == version:
            return schema
    raise refusal.no_version(version)


def _normalized(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

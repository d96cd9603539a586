"""Compatibility levels and modes, global and per subject."""

from __future__ import annotations

from penstock.embedded.registry import refusal
from penstock.embedded.registry.bodies import check_subject
from penstock.embedded.registry.contents import DEFAULT_LEVEL, DEFAULT_MODE, Contents
from penstock.embedded.registry.layout import Key, KeyType, Small
from penstock.embedded.registry.store import Store
from penstock.schemas.compatibility import Level


def level_of(contents: Contents, subject: str | None) -> Level:
    """The level that holds for a subject."""
    word = contents.levels.get(subject) or contents.levels.get(None) or DEFAULT_LEVEL
    return Level(word) if word in Level.__members__ else Level(DEFAULT_LEVEL)


def mode_of(contents: Contents, subject: str | None) -> str:
    """The mode that holds for a subject."""
    return contents.modes.get(subject) or contents.modes.get(None) or DEFAULT_MODE


def may_write(contents: Contents, subject: str | None) -> None:
    """Refuse what changes a subject that may not be changed."""
    if mode_of(contents, subject) == "READONLY":
        raise refusal.not_permitted(f"Subject {subject} is in read-only mode")


def may_register(contents: Contents, subject: str, *, with_id: bool) -> None:
    """Refuse a registration that does not suit the subject's mode: ids are given from outside in IMPORT only."""
    may_write(contents, subject)
    mode = mode_of(contents, subject)
    if with_id and mode != "IMPORT":
        raise refusal.not_permitted(f"Subject {subject} is not in import mode")
    if not with_id and mode != "READWRITE":
        raise refusal.not_permitted(f"Subject {subject} is not in read-write mode")


class Settings:
    """The calls about levels and modes; `subject` None means global.

    Every method raises `Refusal` for an answer other than 200.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def level(self, subject: str | None, *, default_to_global: bool) -> str:
        """The level set for a subject."""
        with self._store.reading() as contents:
            if subject is not None and subject not in contents.levels and not default_to_global:
                raise refusal.no_level(subject)
            return level_of(contents, subject)

    def set_level(self, subject: str | None, level: Level) -> None:
        """Set a level."""
        _check(subject)
        with self._store.writing() as contents:
            may_write(contents, subject)
            value = Small(subject, compatibility_level=level.value)
            self._store.put(Key(KeyType.CONFIG, subject), value.encode())

    def delete_level(self, subject: str | None) -> str:
        """Take a level away; returns the one that held."""
        with self._store.writing() as contents:
            if subject is not None and subject not in contents.levels:
                raise refusal.no_subject(subject)
            may_write(contents, subject)
            former = level_of(contents, subject)
            self._store.put(Key(KeyType.CONFIG, subject), None)
        return former

    def mode(self, subject: str | None, *, default_to_global: bool) -> str:
        """The mode set for a subject."""
        with self._store.reading() as contents:
            if subject is not None and subject not in contents.modes and not default_to_global:
                raise refusal.no_mode(subject)
            return mode_of(contents, subject)

    def set_mode(self, subject: str | None, mode: str, *, force: bool) -> None:
        """Set a mode. IMPORT, where ids come from outside, wants an empty registry or subject, unless forced."""
        _check(subject)
        with self._store.writing() as contents:
            there = contents.versions(subject) if subject is not None else contents.subjects()
            if mode == "IMPORT" and mode_of(contents, subject) != "IMPORT" and there and not force:
                raise refusal.not_permitted("Cannot import since found existing subjects")
            self._store.put(Key(KeyType.MODE, subject), Small(subject, mode=mode).encode())

    def delete_mode(self, subject: str | None) -> str:
        """Take a mode away; returns the one that held."""
        with self._store.writing() as contents:
            if subject is not None and subject not in contents.modes:
                raise refusal.no_subject(subject)
            former = mode_of(contents, subject)
            self._store.put(Key(KeyType.MODE, subject), None)
        return former


def _check(subject: str | None) -> None:
    if subject is not None:
        check_subject(subject)

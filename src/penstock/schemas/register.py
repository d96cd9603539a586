"""`penstock schemas register`: put every subject's schema into a registry, and nothing twice.

A schema is registered self-contained, word for word what its generated class carries as `__avro_schema__`: that text is
what the codec looks up, and a registry keeps a text with references apart from the same text without them.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from penstock.errors import ConfigurationError
from penstock.protocols import RegisteredSchema, SchemaRegistry
from penstock.schemas.manifest import Manifest
from penstock.schemas.tree import SchemaTree


class Action(StrEnum):
    """What became of a subject, or would."""

    UNCHANGED = "unchanged"
    NEW = "new subject"
    VERSION = "new version"


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """One subject after `register`.

    Attributes:
        subject: its name.
        file: its schema.
        action: what was done, or in a dry run would be.
        version: of the schema; None where a dry run cannot know.
        id: likewise.
    """

    subject: str
    file: str
    action: Action
    version: int | None = None
    id: int | None = None


def register(tree: SchemaTree, manifest: Manifest, registry: SchemaRegistry, *, dry_run: bool) -> list[Registration]:
    """Register every subject of the manifest, those first whose types others use; running it again changes nothing.

    Args:
        tree: the schemas.
        manifest: names the subjects.
        registry: where to.
        dry_run: look, and change nothing.

    Raises:
        ConfigurationError: the schemas are not sound, or the registry refuses one; subjects before it are registered.
        RegistryUnavailable: the registry does not answer; run it again.
    """
    tree.require_sound()
    if missing := manifest.require_subjects().missing_files({file.path for file in tree.files}):
        raise ConfigurationError("\n".join(f"{each.file}: {each.path}: {each.message}" for each in missing))
    order = {file.path: position for position, file in enumerate(tree.files)}
    names = {file.path: file.name for file in tree.files}
    subjects = sorted(manifest.subjects.items(), key=lambda item: (order[item[1].file], item[0]))
    return [_one(tree, registry, name, subject.file, names[subject.file], dry_run) for name, subject in subjects]


def _one(
    tree: SchemaTree, registry: SchemaRegistry, subject: str, file: str, type_name: str, dry_run: bool
) -> Registration:
    text = tree.schema_text(type_name)
    known = registry.lookup(subject, text)
    if known is not None:
        return _told(subject, file, Action.UNCHANGED, known)
    action = Action.VERSION if registry.versions(subject) else Action.NEW
    if dry_run:
        return Registration(subject=subject, file=file, action=action)
    return _told(subject, file, action, registry.register(subject, text))


def _told(subject: str, file: str, action: Action, found: RegisteredSchema) -> Registration:
    return Registration(subject=subject, file=file, action=action, version=found.version, id=found.id)

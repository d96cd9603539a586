"""`penstock schemas check`: may these schemas follow those?

Two questions for every schema: does its subject's level allow the change, as a registry would say (`compatibility.py`);
and does it change silently what data mean (`silent.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from penstock.protocols import SchemaRegistry
from penstock.schemas.baseline import read_registry
from penstock.schemas.compatibility import Level, Violation
from penstock.schemas.compatibility import check as violations
from penstock.schemas.manifest import Manifest
from penstock.schemas.parse import AvroSchema
from penstock.schemas.report import Finding
from penstock.schemas.rules import is_kept, severity
from penstock.schemas.silent import silent_changes
from penstock.schemas.tree import SchemaFile, SchemaTree


def check_trees(
    new: SchemaTree, old: SchemaTree, manifest: Manifest, *, level: Level | None, label: str
) -> list[Finding]:
    """Compare with an older set of the same schemas; a schema that is not in it is new, and free.

    Args:
        new: the schemas as they are.
        old: the schemas as they were.
        manifest: gives each file its level.
        level: for all files instead of the manifest's.
        label: what messages call the old ones: `git:main`.

    Raises:
        ConfigurationError: one of the sets is not sound in itself.
    """
    new.require_sound()
    old.require_sound()
    found: list[Finding] = []
    followed: set[str] = set()
    for file in new.files:
        before = _predecessor(file, old)
        if before is not None:
            followed.add(before)
            asked = level or manifest.level_of_file(file.path)
            found += _compare(file, new.schema(file.name), asked, [(1, old.schema(before))], {1: label})
    for file in old.files:
        if file.name not in followed and file.name not in new.definitions:
            told = f"{file.name} was in {label} and is gone; who still reads its topic needs it"
            found.append(Finding(file=file.path, rule="SCHEMA_REMOVED", message=told))
    return _finished(found)


def check_registry(
    new: SchemaTree, registry: SchemaRegistry, manifest: Manifest, *, level: Level | None
) -> list[Finding]:
    """Compare each subject's schema with the versions that a registry has; a subject without versions is free.

    Raises:
        ConfigurationError: the schemas are not sound, there are no subjects, or what is registered is no Avro schema.
        RegistryUnavailable: the registry does not answer.
    """
    by_path = {file.path: file for file in new.require_sound().files}
    found: list[Finding] = []
    for name, subject in sorted(manifest.require_subjects().subjects.items()):
        file = by_path.get(subject.file)
        if file is not None:
            earlier = read_registry(registry, name)
            labels = {version: f"{name} version {version}" for version, _ in earlier}
            found += _compare(file, new.schema(file.name), level or manifest.level_of(name), earlier, labels)
    return _finished([*found, *manifest.missing_files({*by_path})])


def _predecessor(file: SchemaFile, old: SchemaTree) -> str | None:
    """The old name of a file's type: its own or an alias; failing these, that of the type in the same file."""
    aliases = file.schema.get("aliases")
    namespace = file.name.rpartition(".")[0]
    listed = [each for each in aliases if isinstance(each, str)] if isinstance(aliases, list) else []
    for name in (file.name, *(each if "." in each else f"{namespace}.{each}" for each in listed)):
        if name in old.definitions:
            return name
    return next((each.name for each in old.files if each.path == file.path), None)


def _compare(
    file: SchemaFile,
    new: AvroSchema,
    level: Level,
    earlier: Sequence[tuple[int, AvroSchema]],
    labels: Mapping[int, str],
) -> list[Finding]:
    found = [_told(file, level, each, labels[each.version]) for each in violations(level, new, earlier)]
    if level is Level.NONE:
        return found
    for version, old in earlier if level.transitive else earlier[-1:]:
        kept = (change for change in silent_changes(new.root, old.root) if is_kept(file, change.rule))
        found += [file.finding(rule, f"{told} (against {labels[version]})", path) for rule, path, told in kept]
    return found


def _told(file: SchemaFile, level: Level, violation: Violation, label: str) -> Finding:
    why = violation.incompatibility
    if violation.reads == "new reads old":
        # Only here the place is one in the new schema.
        path, who = _json_path(why.location), f"the new schema cannot read what was written with {label}"
    else:
        path, who = "$", f"readers with {label} cannot read what the new schema writes (at {_json_path(why.location)})"
    told = f"{who}: {why.message} ({why.reason})"
    return file.finding("COMPATIBILITY", f"{told}; {level} asks for it: {level.upgrade_order}", path)


def _json_path(location: str) -> str:
    """`/fields/2/type` is `$.fields[2].type`."""
    return "$" + re.sub(r"/(\d+)(?=/|$)", r"[\1]", location.rstrip("/")).replace("/", ".")


def _finished(found: Sequence[Finding]) -> list[Finding]:
    return sorted({replace(each, severity=severity(each.rule)) for each in found})

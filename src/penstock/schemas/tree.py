"""A folder of `.avsc` files as one set of types that refer to each other by full name.

In: {path: text}, from a folder or a git revision. Out: files in dependency order, every definition by name, and for
each type its self-contained schema, with the types of other files put in at their first use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from penstock.errors import ConfigurationError
from penstock.schemas.limits import MAX_SCHEMA_BYTES, load_json
from penstock.schemas.parse import AvroSchema, parse
from penstock.schemas.places import line_index, line_of
from penstock.schemas.report import Finding
from penstock.schemas.walk import JsonObject, Place, defined_name, is_named, is_object, walk


@dataclass(frozen=True)
class SchemaFile:
    """One `.avsc` file: the named type it defines, and the types nested in it.

    Attributes:
        path: relative to the folder of the schemas, with slashes.
        text: as it is written.
        schema: the parsed JSON.
    """

    path: str
    text: str
    schema: JsonObject

    @property
    def name(self) -> str:
        """Full name of the type the file is about."""
        return defined_name(self.schema, "")

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Every type in the file, outer before inner."""
        return tuple(walk(Place(self.schema)))

    @cached_property
    def _lines(self) -> dict[str, int]:
        return line_index(self.text)

    def finding(self, rule: str, message: str, path: str = "$") -> Finding:
        """A finding at a place in this file."""
        return Finding(file=self.path, line=line_of(self._lines, path), path=path, rule=rule, message=message)


@dataclass(frozen=True, slots=True)
class Definition:
    """A named type, the file it stands in and its place there."""

    file: SchemaFile
    place: Place

    @property
    def schema(self) -> JsonObject:
        """The definition's JSON object."""
        assert is_object(self.place.schema)  # noqa: S101 - for the type checker: only objects define types
        return self.place.schema


@dataclass(frozen=True)
class SchemaTree:
    """All schemas of a project at one time.

    Attributes:
        files: in dependency order, by path where there is none; files with broken JSON are missing.
        definitions: {full name: where it is defined}, nested types included.
        problems: why the set as a whole cannot be used; empty for a sound one.
    """

    files: tuple[SchemaFile, ...] = ()
    definitions: Mapping[str, Definition] = field(default_factory=dict[str, Definition])
    problems: tuple[Finding, ...] = ()

    def require_sound(self) -> SchemaTree:
        """This tree, for those who can only work on a sound one.

        Raises:
            ConfigurationError: files are broken, or their references lead nowhere or in a circle; mend what it lists.
        """
        if self.problems:
            told = "\n".join(f"  {each.file}:{each.line}: {each.message}" for each in self.problems)
            raise ConfigurationError(f"the schemas do not fit together:\n{told}")
        return self

    def needs(self, file: SchemaFile) -> tuple[SchemaFile, ...]:
        """The other files whose types this one uses directly, in order of first use."""
        found = (self.definitions.get(place.name) for place in file.places if place.is_reference)
        others = {each.file.path: each.file for each in found if each is not None and each.file.path != file.path}
        return tuple(others.values())

    def schema(self, name: str) -> AvroSchema:
        """A type's schema, with the types of other files written out where they are first used.

        Raises:
            ConfigurationError: not a valid schema; the message names the file and the place.
        """
        file = self.definitions[name].file
        texts = [each.text for each in (file, *self.needs_at_all(file))]
        return parse(json.dumps(name), texts, source=file.path)

    def schema_text(self, name: str) -> str:
        """A type's self-contained schema as compact JSON in ASCII: what generated classes carry and registries get."""
        return json.dumps(self.schema(name).json, separators=(",", ":"))

    def needs_at_all(self, file: SchemaFile) -> tuple[SchemaFile, ...]:
        """The other files whose types this one uses, directly or through others."""
        found: dict[str, SchemaFile] = {}
        waiting = [file]
        while waiting:
            for other in self.needs(waiting.pop()):
                if other.path not in found:
                    found[other.path] = other
                    waiting.append(other)
        return tuple(found.values())


def read_folder(folder: Path) -> dict[str, str]:
    """{path relative to the folder: text} of every `.avsc` file below it, ordered by path.

    Raises:
        ConfigurationError: there is no such folder, or a file is too large or not UTF-8.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder; schemas are looked for there")
    return {path.relative_to(folder).as_posix(): _read(path) for path in sorted(folder.rglob("*.avsc"))}


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_SCHEMA_BYTES:
        raise ConfigurationError(f"{path}: larger than {MAX_SCHEMA_BYTES:,} bytes")
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as err:
        raise ConfigurationError(f"{path}: not UTF-8: {err}") from err


def load_tree(texts: Mapping[str, str]) -> SchemaTree:
    """Parse the files and connect them. Never raises for what is in them: see `problems`."""
    files: list[SchemaFile] = []
    problems: list[Finding] = []
    for path, content in sorted(texts.items()):
        try:
            files.append(_parse(path, content))
        except ConfigurationError as err:
            problems.append(Finding(file=path, rule="JSON", message=str(err).removeprefix(f"{path}: ")))
    definitions: dict[str, Definition] = {}
    for file in files:
        problems.extend(_collect(file, definitions))
    tree = SchemaTree(tuple(files), definitions)
    problems.extend(_dangling(tree))
    ordered, cycles = _order(tree)
    return SchemaTree(ordered, definitions, (*problems, *cycles))


def _parse(path: str, content: str) -> SchemaFile:
    schema = load_json(content, path)
    if not is_named(schema):
        raise ConfigurationError("a file defines one named type: a record, an enum or a fixed")
    return SchemaFile(path, content, schema)


def _collect(file: SchemaFile, definitions: dict[str, Definition]) -> Iterator[Finding]:
    for place in file.places:
        if not place.is_definition:
            continue
        first = definitions.setdefault(place.name, Definition(file, place))
        if first.place is not place:
            where = f"{first.file.path} at {first.place.path}"
            yield file.finding("DUPLICATE_TYPE", f"{place.name} is already defined in {where}", place.path)


def _dangling(tree: SchemaTree) -> Iterator[Finding]:
    for file in tree.files:
        for place in file.places:
            if place.is_reference and place.name not in tree.definitions:
                yield file.finding("UNKNOWN_TYPE", f"{place.name} is defined in no file", place.path)


def _order(tree: SchemaTree) -> tuple[tuple[SchemaFile, ...], list[Finding]]:
    """Files with those they need first; the cycles found, each with its path."""
    done: dict[str, SchemaFile] = {}
    cycles: list[Finding] = []

    def visit(file: SchemaFile, trail: tuple[str, ...]) -> None:
        if file.path in trail:
            circle = " -> ".join([*trail[trail.index(file.path) :], file.path])
            cycles.append(file.finding("FILE_CYCLE", f"files need each other: {circle}; put these types into one"))
        elif file.path not in done:
            for other in tree.needs(file):
                visit(other, (*trail, file.path))
            done[file.path] = file

    for file in tree.files:
        visit(file, ())
    return tuple(done.values()), cycles

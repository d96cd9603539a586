"""`penstock schemas lint`: what is wrong with a set of schemas, before anybody has written data with it.

`rules.py` names the rules; those that look at a single type are in `type_rules.py`, those that compare two versions in
`check.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

from penstock.errors import ConfigurationError
from penstock.schemas.building import Builder, Json, definitions
from penstock.schemas.defaults import InvalidDefault, physical_default
from penstock.schemas.manifest import Manifest
from penstock.schemas.nodes import NoDefault, Record, children, walk
from penstock.schemas.report import Finding
from penstock.schemas.rules import KEY, TIME, is_kept, severity, unknown_rules
from penstock.schemas.tree import SchemaFile, SchemaTree
from penstock.schemas.type_rules import TYPE_RULES, Problem, Problems
from penstock.schemas.walk import JsonObject, fields, is_array, is_object, split, text

_INSTANTS: Final = frozenset(("timestamp-millis", "timestamp-micros", "timestamp-nanos"))

_PARSERS_OBJECT: Final = frozenset(
    ("PARSER", "NAME", "DUPLICATE_FIELD", "UNION_BRANCHES", "ENUM_DEFAULT", "DECIMAL", "DEFAULT")
)
"""What a parser would only say again in its own words."""


def lint(tree: SchemaTree, manifest: Manifest) -> list[Finding]:
    """Every rule over every file; empty when all hold. Ordered by file and line."""
    found = [*tree.problems, *manifest.missing_files({file.path for file in tree.files})]
    used = {other.path for file in tree.files for other in tree.needs(file)}
    listed = {subject.file for subject in manifest.subjects.values()}
    unfit = {finding.file for finding in tree.problems}
    for file in tree.files:  # those first that others need, so that a mistake is told once
        has_topic = file.path in listed if manifest.subjects else file.path not in used
        is_whole = unfit.isdisjoint((file.path, *(other.path for other in tree.needs_at_all(file))))
        told = _lint_file(tree, file, has_topic=has_topic, is_whole=is_whole)
        unfit |= {each.file for each in told if each.rule in _PARSERS_OBJECT}
        found += told
    return sorted(replace(each, severity=severity(each.rule)) for each in found)


def _lint_file(tree: SchemaTree, file: SchemaFile, *, has_topic: bool, is_whole: bool) -> list[Finding]:
    problems = [problem for place in file.places for rule in TYPE_RULES for problem in rule(place)]
    problems += [*_names(file), *_key(file, has_topic=has_topic), *_event_time(file, has_topic=has_topic)]
    if is_whole:
        problems += _meaning(tree, file)
    problems = [each for each in problems if is_kept(file, each.rule)]
    if is_whole and not any(each.rule in _PARSERS_OBJECT for each in problems):
        problems += _parsers(tree, file)
    return [file.finding(each.rule, each.message, each.path) for each in problems] + unknown_rules(file)


def _names(file: SchemaFile) -> Problems:
    namespace, simple = split(file.name)
    folder, _, name = file.path.rpartition("/")
    if not namespace:
        yield Problem("NAMESPACE", "$", f"{file.name} has no namespace; its folder says {folder.replace('/', '.')!r}")
    elif folder != namespace.replace(".", "/"):
        wanted = namespace.replace(".", "/")
        told = f"namespace {namespace} belongs into the folder {wanted}, the file is in {folder or '.'}"
        yield Problem("NAMESPACE", "$.namespace", told)
    if name != f"{simple}.avsc":
        yield Problem("FILE_NAME", "$.name", f"the file of {file.name} is called {simple}.avsc")


def _key(file: SchemaFile, *, has_topic: bool) -> Problems:
    if not _is_record(file):
        return
    if KEY not in file.schema:
        if has_topic:
            told = f'say which fields make the key of its records: "{KEY}": ["field", ...], or null for no key'
            yield Problem("KEY_FIELD", "$", told)
        return
    listed, there = file.schema[KEY], _fields(file)
    if listed is not None and not (is_array(listed) and listed):
        yield Problem("KEY_FIELD", "$", f'"{KEY}" is a list of field names, or null')
    for name in listed if is_array(listed) else []:
        if name not in there:
            yield Problem("KEY_FIELD", "$", f"the key field {text(name)!r} is no field of {file.name}")


def _event_time(file: SchemaFile, *, has_topic: bool) -> Problems:
    if not _is_record(file):
        return
    if TIME not in file.schema:
        if has_topic:
            told = f'say which field is the event time: "{TIME}": "field", or null where records have none'
            yield Problem("EVENT_TIME", "$", told)
    elif (name := file.schema[TIME]) is not None:
        field = _fields(file).get(text(name))
        of_type = None if field is None else field.get("type")
        if field is None:
            yield Problem("EVENT_TIME", "$", f"the event time {text(name)!r} is no field of {file.name}")
        elif not is_object(of_type) or text(of_type.get("logicalType")) not in _INSTANTS:
            told = f"the event time {text(name)!r} is never null, and a timestamp-millis or timestamp-micros"
            yield Problem("EVENT_TIME", "$", told)


def _is_record(file: SchemaFile) -> bool:
    return file.schema.get("type") == "record"


def _fields(file: SchemaFile) -> dict[str, JsonObject]:
    return {text(field.get("name")): field for field, _ in fields(file.places[0])}


def _meaning(tree: SchemaTree, file: SchemaFile) -> Problems:
    """DEFAULT and RECURSIVE_TYPE, for a schema that means something; `_parsers` says why another does not."""
    texts = (file, *tree.needs_at_all(file))
    lent = {name: each for other in texts for name, each in definitions(cast("Json", other.schema))}
    try:
        root, _ = Builder(file.path, lent).build(file.name)
    except ConfigurationError:
        return
    for node in walk(root):
        if isinstance(node, Record) and (here := tree.definitions[node.name]).file is file:
            yield from _defaults(node, here.place.path)
            if any(other is node for child in children(node) for other in walk(child)):
                told = f"{node.name} contains itself, so that its values have no greatest depth"
                yield Problem("RECURSIVE_TYPE", here.place.path, told)


def _defaults(record: Record, path: str) -> Problems:
    for position, field in enumerate(record.fields):
        try:
            if not isinstance(field.default, NoDefault):
                physical_default(field)
        except InvalidDefault as err:
            told = f"the default of {record.name}.{field.name} does not fit its type: {err}"
            yield Problem("DEFAULT", f"{path}.fields[{position}].default", told)


def _parsers(tree: SchemaTree, file: SchemaFile) -> Problems:
    try:
        tree.schema(file.name)
    except ConfigurationError as err:
        yield Problem("PARSER", "$", str(err).removeprefix(f"{file.path}: "))

"""The rules for schemas by their codes, and how a schema is exempted from one.

A schema keeps on purpose what a rule objects to by `"penstock.lint.ignore": ["RULE"]` on the type of its file.
"""

from __future__ import annotations

from typing import Final

from penstock.schemas.report import Finding, Severity
from penstock.schemas.tree import SchemaFile
from penstock.schemas.walk import is_array, text

IGNORE: Final = "penstock.lint.ignore"
KEY: Final = "penstock.key"
TIME: Final = "penstock.time"

LINT_RULES: Final[dict[str, str]] = {
    "JSON": "a file is JSON in UTF-8 without duplicate keys, at most 1 MiB, and defines one named type",
    "DUPLICATE_TYPE": "a type is defined once in all files",
    "UNKNOWN_TYPE": "a name that is used is defined in some file",
    "FILE_CYCLE": "files do not need each other in a circle",
    "PARSER": "fastavro and Apache avro both accept the schema",
    "SUBJECT_FILE": "a subject in registry.toml names a file that is there",
    "UNKNOWN_RULE": f"`{IGNORE}` names rules that exist and may be ignored",
    "NAMESPACE": "a file's type has a namespace, and its folder follows it",
    "FILE_NAME": "a file is called like its type",
    "NAME": "names have letters, digits and underscores only",
    "RESERVED_WORD": "no name is a reserved word of Python or Java",
    "RECORD_DOC": "a record has a doc",
    "FIELD_DOC": "a field has a doc",
    "DUPLICATE_FIELD": "a record's fields have different names",
    "UNION_BRANCHES": "a union's branches are of different types, and none is a union",
    "NULLABLE": 'what may be null is ["null", ...] with the default null',
    "ENUM_DEFAULT": "an enum has a default, one of its symbols",
    "ENUM_UNKNOWN": "an enum has the symbol UNKNOWN",
    "MONEY_FLOAT": "money is no float",
    "TIME_LOGICAL": "a field that looks like a time has a logical type",
    "LOGICAL_TYPE": "a logical type exists, and stands on a type and in a place where it counts",
    "DECIMAL": "a decimal's precision and scale fit each other and its bytes",
    "DEFAULT": "a default fits its type, nested ones and bytes included",
    "KEY_FIELD": f"a record with a topic says in `{KEY}` which of its fields make its key",
    "EVENT_TIME": f"a record with a topic says in `{TIME}` which field is its event time, or null for none",
    "RECURSIVE_TYPE": "a type does not contain itself: values could nest without end",
}
"""{code: what must hold} within one set of schemas."""

CHECK_RULES: Final[dict[str, str]] = {
    "COMPATIBILITY": "the new version may follow the old one at the subject's level, as a registry sees it",
    "SCHEMA_REMOVED": "a schema that was there is still there",
    "LOGICAL_TYPE_SAME": "a value keeps its logical type and its scale: registries call a change of unit compatible",
    "FIELD_WITHOUT_DEFAULT": "a new field has a default, whatever the level",
    "ENUM_ORDER": "an enum's symbols keep their order, and new ones come last",
    "UNION_ORDER": "a union's branches keep their order, and new ones come last",
    "RENAME_WITHOUT_ALIAS": "a type or field that got another name carries the old one as an alias",
}
"""{code: what must hold} between two versions of a schema."""

NEVER_IGNORED: Final = frozenset(
    (
        "JSON", "DUPLICATE_TYPE", "UNKNOWN_TYPE", "FILE_CYCLE", "PARSER", "SUBJECT_FILE", "UNKNOWN_RULE",
        "COMPATIBILITY", "SCHEMA_REMOVED",
    )
)  # fmt: skip

_WARNINGS: Final = frozenset(("RECURSIVE_TYPE",))


def severity(rule: str) -> Severity:
    """How bad it is to break a rule."""
    return Severity.WARNING if rule in _WARNINGS else Severity.ERROR


def ignored(file: SchemaFile) -> frozenset[str]:
    """The rules that a file's type says it ignores."""
    listed = file.schema.get(IGNORE)
    return frozenset(text(each) for each in listed) if is_array(listed) else frozenset()


def is_kept(file: SchemaFile, rule: str) -> bool:
    """Whether a finding of this rule in this file is told."""
    return rule in NEVER_IGNORED or rule not in ignored(file)


def unknown_rules(file: SchemaFile) -> list[Finding]:
    """A finding for every ignored rule that does not exist or may not be ignored."""
    known = (LINT_RULES.keys() | CHECK_RULES.keys()) - NEVER_IGNORED
    told = "is no rule that a schema may ignore"
    return [file.finding("UNKNOWN_RULE", f"{rule[:200]!r} {told}") for rule in sorted(ignored(file) - known)]

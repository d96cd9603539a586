import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ConfigurationError, UsageError
from penstock.protocols import SchemaReference
from penstock.schemas.baseline import read_git
from penstock.schemas.check import check_registry, check_trees
from penstock.schemas.compatibility import Level
from penstock.schemas.manifest import Manifest, Subject
from penstock.schemas.register import Action, register
from penstock.schemas.report import Finding
from penstock.schemas.tree import SchemaTree, load_tree
from penstock.testing.memory_registry import MemoryRegistry

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
DATE = {"type": "int", "logicalType": "date"}
TIME = {"type": "int", "logicalType": "time-millis"}
ENUM = {"type": "enum", "name": "Colour", "symbols": ["UNKNOWN", "RED", "BLUE"], "default": "UNKNOWN"}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def field(of_type: Any, name: str = "it", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": of_type, **more}


def record(*fields: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Event", "namespace": "shop", "fields": [*fields], **more}


def tree(*schemas: dict[str, Any]) -> SchemaTree:
    return load_tree({f"shop/{each['name']}.avsc": json.dumps(each, indent=1) for each in schemas})


def compare(new: dict[str, Any], old: dict[str, Any], level: Level = Level.BACKWARD) -> list[Finding]:
    return check_trees(tree(new), tree(old), Manifest(level=level), level=None, label="git:main")


def rules(told: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(each.rule, each.path) for each in told]


SILENT: list[tuple[str, str, Any, Any]] = [
    ("LOGICAL_TYPE_SAME", "$.fields[0].type", record(field(MICROS)), record(field(MILLIS))),
    ("LOGICAL_TYPE_SAME", "$.fields[0].type", record(field(TIME)), record(field(DATE))),
    ("LOGICAL_TYPE_SAME", "$.fields[0].type", record(field(MILLIS)), record(field("long"))),
    ("LOGICAL_TYPE_SAME", "$.fields[0].type", record(field("int")), record(field(DATE))),
    ("LOGICAL_TYPE_SAME", "$.fields[0].type", record(field(decimal(9, 3))), record(field(decimal(9, 2)))),
    ("LOGICAL_TYPE_SAME", "$.fields[0].type", record(field(decimal(8, 2))), record(field(decimal(9, 2)))),
    (
        "LOGICAL_TYPE_SAME",
        "$.fields[0].type[1]",
        record(field(["null", MICROS], default=None)),
        record(field(["null", MILLIS], default=None)),
    ),
    ("LOGICAL_TYPE_SAME", "$.fields[0].type[1]", record(field(["null", MICROS], default=None)), record(field(MILLIS))),
    (
        "LOGICAL_TYPE_SAME",
        "$.fields[0].type.items.values",
        record(field({"type": "array", "items": {"type": "map", "values": MICROS}})),
        record(field({"type": "array", "items": {"type": "map", "values": MILLIS}})),
    ),
    (
        "ENUM_ORDER",
        "$.fields[0].type",
        record(field({**ENUM, "symbols": ["UNKNOWN", "BLUE", "RED"]})),
        record(field(ENUM)),
    ),
    (
        "ENUM_ORDER",
        "$.fields[0].type",
        record(field({**ENUM, "symbols": ["UNKNOWN", "GREEN", "RED", "BLUE"]})),
        record(field(ENUM)),
    ),
    ("UNION_ORDER", "$.fields[0].type", record(field(["string", "int"])), record(field(["int", "string"]))),
    ("UNION_ORDER", "$.fields[0].type", record(field(["boolean", "int"])), record(field(["int"]))),
    (
        "RENAME_WITHOUT_ALIAS",
        "$.fields[0]",
        record(field("string", "title", default="")),
        record(field("string", "name", default="")),
    ),
    (
        "RENAME_WITHOUT_ALIAS",
        "$.fields[1]",
        record(field("int", "a"), field("string", "title", default="")),
        record(field("string", "name"), field("int", "a")),
    ),
]


@pytest.mark.parametrize(("rule", "path", "new", "old"), SILENT)
@pytest.mark.parametrize("level", [Level.BACKWARD, Level.FULL_TRANSITIVE])
def test_a_change_that_registries_call_compatible_is_told(
    rule: str, path: str, new: dict[str, Any], old: dict[str, Any], level: Level
) -> None:
    told = compare(new, old, level)

    assert (rule, path) in rules(told)
    # At BACKWARD, the usual level, a registry would have let all of these pass.
    assert level is not Level.BACKWARD or rules(told) == [(rule, path)]


HARMLESS: list[tuple[Any, Any]] = [
    (record(field("int")), record(field("int"))),
    (record(field(decimal(12, 2))), record(field(decimal(9, 2)))),
    (record(field("int"), field("string", "more", default="")), record(field("int"))),
    (record(field("int")), record(field("int"), field("string", "gone", default=""))),
    (record(field("string", "title", aliases=["name"])), record(field("string", "name"))),
    (record(field(MILLIS, "when", aliases=["at"])), record(field(MILLIS, "at"))),
    (record(field("string", "name"), field("int", "it")), record(field("int", "it"), field("string", "name"))),
    (record(field({**ENUM, "symbols": [*ENUM["symbols"], "GREEN"]})), record(field(ENUM))),
    (record(field(["null", "string"], default=None)), record(field("string"))),
    (record(field(["null", "string", "int"], default=None)), record(field(["null", "string"], default=None))),
    (record(field("double")), record(field("int"))),
    (record(field("int", "b", default=1)), record(field("string", "a"))),
    (record(field(MICROS), **{"penstock.lint.ignore": ["LOGICAL_TYPE_SAME"]}), record(field(MILLIS))),
    (record(field(["null", "Event"], "next", default=None)), record(field(["null", "Event"], "next", default=None))),
]


@pytest.mark.parametrize(("new", "old"), HARMLESS)
def test_a_change_that_keeps_the_meaning_passes(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert compare(new, old) == []


@pytest.mark.parametrize("level", [Level.BACKWARD, Level.FORWARD, Level.FULL])
def test_a_new_field_needs_a_default_at_every_level(level: Level) -> None:
    """FORWARD lets it pass, and the first reader that starts from the beginning of the topic fails."""
    told = compare(record(field("int"), field("int", "more")), record(field("int")), level)

    assert ("FIELD_WITHOUT_DEFAULT", "$.fields[1]") in rules(told)
    assert ("COMPATIBILITY" in [each.rule for each in told]) == (level is not Level.FORWARD)


def test_an_incompatible_change_is_told_with_its_place_and_the_order_of_upgrades() -> None:
    told = compare(record(field("int"), field("string", "other")), record(field("int"), field("int", "other")))

    assert rules(told) == [("COMPATIBILITY", "$.fields[1].type")]
    assert told[0].line == 12
    assert "git:main" in told[0].message
    assert "BACKWARD asks for it: upgrade consumers first" in told[0].message


def test_level_none_asks_for_nothing() -> None:
    assert compare(record(field("string")), record(field(MICROS)), Level.NONE) == []


def test_a_level_on_the_command_line_comes_before_the_manifest() -> None:
    new, old = tree(record()), tree(record(field("int")))

    assert check_trees(new, old, Manifest(), level=None, label="x") == []
    assert [each.rule for each in check_trees(new, old, Manifest(), level=Level.FULL, label="x")] == ["COMPATIBILITY"]


def test_each_file_has_its_own_subjects_level() -> None:
    subjects = {"events-value": Subject("shop/Event.avsc", level=Level.FORWARD)}
    new, old = tree(record()), tree(record(field("int")))

    told = check_trees(new, old, Manifest(subjects=subjects), level=None, label="x")

    assert [each.rule for each in told] == ["COMPATIBILITY"]


def test_a_type_that_got_another_name_needs_an_alias() -> None:
    """The file stays, so it is the same schema under a new name; with the alias nothing is to be told."""
    old = load_tree({"shop/Event.avsc": json.dumps(record(name="Occurrence"))})

    silent = check_trees(tree(record()), old, Manifest(), level=None, label="x")
    with_alias = check_trees(tree(record(aliases=["Occurrence"])), old, Manifest(), level=None, label="x")

    assert "RENAME_WITHOUT_ALIAS" in [each.rule for each in silent]
    assert with_alias == []


def test_a_nested_type_of_another_file_is_followed() -> None:
    inner_old, inner_new = record(field(MILLIS), name="Inner"), record(field(MICROS), name="Inner")
    user = record(field("Inner"))

    told = check_trees(tree(user, inner_new), tree(user, inner_old), Manifest(), level=None, label="x")

    assert {(each.file, each.rule) for each in told} == {
        ("shop/Event.avsc", "LOGICAL_TYPE_SAME"),
        ("shop/Inner.avsc", "LOGICAL_TYPE_SAME"),
    }


def test_a_schema_that_is_gone_is_told_and_a_new_one_is_free() -> None:
    told = check_trees(tree(record(name="New")), tree(record(name="Old")), Manifest(), level=None, label="git:main")

    assert [(each.rule, each.file) for each in told] == [("SCHEMA_REMOVED", "shop/Old.avsc")]


def test_broken_schemas_are_not_compared() -> None:
    with pytest.raises(ConfigurationError, match=r"shop/Event\.avsc:\d+: shop.Nobody is defined in no file"):
        compare(record(field("Nobody")), record())


# ---------------------------------------------------------------- git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose `main` has one schema in a folder below its root."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "project" / "schemas"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "Event.avsc").write_text(json.dumps(record(field(MILLIS))))
    (tmp_path / "Elsewhere.avsc").write_text("not ours")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=first")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Someone", "-c", "user.email=someone@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_git_gives_the_schemas_of_a_revision_and_not_of_the_work_tree(repository: Path) -> None:
    (repository / "shop" / "Event.avsc").write_text(json.dumps(record(field(MICROS))))
    (repository / "shop" / "Later.avsc").write_text("{")

    old = read_git(repository, "main")

    assert {path: json.loads(text) for path, text in old.items()} == {"shop/Event.avsc": record(field(MILLIS))}
    git(repository, "commit", "--quiet", "--all", "--message=second")
    assert json.loads(read_git(repository, "HEAD")["shop/Event.avsc"]) == record(field(MICROS))
    assert json.loads(read_git(repository, "HEAD~1")["shop/Event.avsc"]) == record(field(MILLIS))


def test_a_folder_that_git_does_not_know_yet_has_no_older_schemas(repository: Path) -> None:
    new = repository.parent / "others"
    new.mkdir()

    assert read_git(new, "main") == {}


@pytest.mark.parametrize("name", ["-x", "--since=now"])
def test_a_revision_that_looks_like_an_option_is_a_revision(repository: Path, name: str) -> None:
    """Git takes such names for tags, if asked in the right way, and options of its own otherwise."""
    git(repository, "update-ref", f"refs/tags/{name}", "main")

    assert json.loads(read_git(repository, name)["shop/Event.avsc"]) == record(field(MILLIS))


@pytest.mark.parametrize("revision", ["nowhere", "--output=/tmp/x", "main:project", ""])
def test_what_is_no_revision_is_a_usage_error(repository: Path, revision: str) -> None:
    with pytest.raises(UsageError, match="revision"):
        read_git(repository, revision)


def test_a_folder_outside_git_is_a_usage_error_in_gits_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        read_git(tmp_path, "main")


# ---------------------------------------------------------------- registry


EVENTS = Manifest(subjects={"events-value": Subject("shop/Event.avsc")})


def test_the_registry_is_compared_at_the_subjects_level_with_the_versions_that_count() -> None:
    registry = MemoryRegistry()
    for version in (record(field("int")), record(field(MILLIS)), record(field("string"))):
        registry.register("events-value", json.dumps(version))
    new = tree(record(field("string")))

    latest = check_registry(new, registry, EVENTS, level=None)
    every = check_registry(new, registry, EVENTS, level=Level.BACKWARD_TRANSITIVE)

    assert latest == []
    told = " ".join(each.message for each in every)
    assert "events-value version 1" in told
    assert "events-value version 2" in told
    assert "events-value version 3" not in told


def test_silent_changes_are_looked_for_in_every_version_that_counts() -> None:
    """Back and forth: the last version has microseconds too, the first had milliseconds, and its records are there."""
    registry = MemoryRegistry()
    for of_type in (MILLIS, MICROS):
        registry.register("events-value", json.dumps(record(field(of_type))))
    new = tree(record(field(MICROS)))

    assert check_registry(new, registry, EVENTS, level=Level.BACKWARD) == []
    [told] = check_registry(new, registry, EVENTS, level=Level.BACKWARD_TRANSITIVE)
    assert told.rule == "LOGICAL_TYPE_SAME"
    assert "events-value version 1" in told.message


def test_a_registered_schema_is_read_with_its_references() -> None:
    registry = MemoryRegistry()
    registry.register("shop.Inner", json.dumps(record(field(MILLIS), name="Inner")))
    registry.register("shop.Middle", json.dumps(record(field("Inner"), name="Middle")), [reference("shop.Inner")])
    registry.register("events-value", json.dumps(record(field("Middle"))), [reference("shop.Middle")])
    new = tree(record(field("Middle")), record(field("Inner"), name="Middle"), record(field(MICROS), name="Inner"))

    [told] = check_registry(new, registry, EVENTS, level=None)

    assert told.rule == "LOGICAL_TYPE_SAME"


def reference(name: str) -> SchemaReference:
    return SchemaReference(name, name, 1)


def test_a_subject_without_versions_is_free() -> None:
    assert check_registry(tree(record(field("int"))), MemoryRegistry(), EVENTS, level=None) == []


def test_register_puts_the_text_that_the_generated_class_carries_and_nothing_twice() -> None:
    """The codec looks this very text up; other white space or references would be another schema."""
    registry, schemas = MemoryRegistry(), tree(record(field("Inner")), record(field("int"), name="Inner"))
    subjects = {"events-value": Subject("shop/Event.avsc"), "inner-value": Subject("shop/Inner.avsc")}
    manifest = Manifest(subjects=subjects)

    planned = register(schemas, manifest, registry, dry_run=True)
    assert registry.versions("events-value") == []
    first = register(schemas, manifest, registry, dry_run=False)
    second = register(schemas, manifest, registry, dry_run=False)

    assert [(each.subject, each.action) for each in planned] == [
        ("inner-value", Action.NEW),  # before those that use it
        ("events-value", Action.NEW),
    ]
    assert [(each.subject, each.action, each.version, each.id) for each in first] == [
        ("inner-value", Action.NEW, 1, 1),
        ("events-value", Action.NEW, 1, 2),
    ]
    assert {each.action for each in second} == {Action.UNCHANGED}
    registered = registry.version("events-value", 1)
    assert registered is not None
    assert registered.text == schemas.schema_text("shop.Event")
    assert registered.references == ()

    changed = tree(record(field("Inner")), record(field("int"), field("int", "b", default=0), name="Inner"))
    third = register(changed, manifest, registry, dry_run=False)
    assert [(each.action, each.version) for each in third] == [(Action.VERSION, 2), (Action.VERSION, 2)]


def test_without_subjects_or_their_files_there_is_nothing_to_register() -> None:
    with pytest.raises(ConfigurationError, match=r"no subjects: name them in registry\.toml"):
        register(tree(), Manifest(), MemoryRegistry(), dry_run=False)
    with pytest.raises(ConfigurationError, match=r"shop/Event\.avsc: no such file"):
        register(tree(), EVENTS, MemoryRegistry(), dry_run=False)

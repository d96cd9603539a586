import json
from pathlib import Path
from typing import Any

import pytest

from penstock.schemas.lint import lint
from penstock.schemas.manifest import Manifest, Subject
from penstock.schemas.report import Finding, Severity
from penstock.schemas.rules import CHECK_RULES, LINT_RULES, NEVER_IGNORED
from penstock.schemas.tree import load_tree

TIMESTAMP = {"type": "long", "logicalType": "timestamp-millis"}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["UNKNOWN", "RED"], "default": "UNKNOWN"}


def event(*fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A record that breaks no rule, with these fields; None takes an attribute away."""
    schema: dict[str, Any] = {
        "type": "record",
        "name": "Event",
        "namespace": "shop",
        "doc": "Something happened.",
        "penstock.key": None,
        "penstock.time": None,
        "fields": [{"doc": "A field.", **each} for each in fields],
    }
    schema |= changes
    return schema


def findings(*schemas: Any, **texts: str) -> list[Finding]:
    files = {f"shop/{each['name']}.avsc": json.dumps(each, indent=2) for each in schemas}
    return lint(
        load_tree(files | {path.replace("__", "/") + ".avsc": text for path, text in texts.items()}), Manifest()
    )


def field(of_type: Any, name: str = "it", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": of_type, **more}


BAD: list[tuple[str, str, dict[str, Any]]] = [
    ("NAMESPACE", "$", event(namespace=None)),
    ("NAMESPACE", "$.namespace", event(namespace="shop.orders")),
    ("NAME", "$.fields[0].name", event(field("int", "due-date"))),
    ("NAME", "$.fields[0].type.symbols[2]", event(field({**COLOUR, "symbols": ["UNKNOWN", "RED", "light blue"]}))),
    ("RESERVED_WORD", "$.fields[0].name", event(field("int", "class"))),
    ("RESERVED_WORD", "$.fields[0].name", event(field("int", "synchronized"))),
    ("RESERVED_WORD", "$.fields[0].type.name", event(field({**COLOUR, "name": "shop.import.Colour"}))),
    ("RECORD_DOC", "$", event(doc=" ")),
    ("RECORD_DOC", "$.fields[0].type", event(field({"type": "record", "name": "Inner", "fields": []}))),
    ("FIELD_DOC", "$.fields[0]", event(field("int", doc=""))),
    ("DUPLICATE_FIELD", "$.fields[1]", event(field("int"), field("string"))),
    ("UNION_BRANCHES", "$.fields[0].type[1]", event(field(["int", {"type": "int", "logicalType": "date"}]))),
    ("UNION_BRANCHES", "$.fields[0].type[2]", event(field(["null", COLOUR, "shop.Colour"], default=None))),
    ("UNION_BRANCHES", "$.fields[0].type[1]", event(field(["int", ["string"]]))),
    ("UNION_BRANCHES", "$.fields[0].type", event(field([]))),
    ("NULLABLE", "$.fields[0].type", event(field(["string", "null"], default="x"))),
    ("NULLABLE", "$.fields[0]", event(field(["null", "string"]))),
    ("NULLABLE", "$.fields[0].type.items", event(field({"type": "array", "items": ["int", "null"]}))),
    ("ENUM_DEFAULT", "$.fields[0].type", event(field({**COLOUR, "default": None}))),
    ("ENUM_DEFAULT", "$.fields[0].type.default", event(field({**COLOUR, "default": "BLUE"}))),
    ("ENUM_UNKNOWN", "$.fields[0].type", event(field({**COLOUR, "symbols": ["RED"], "default": "RED"}))),
    ("MONEY_FLOAT", "$.fields[0].type", event(field("double", "unitPrice"))),
    ("MONEY_FLOAT", "$.fields[0].type[1]", event(field(["null", "float"], "total_cost", default=None))),
    ("TIME_LOGICAL", "$.fields[0].type", event(field("long", "created_at"))),
    ("TIME_LOGICAL", "$.fields[0].type", event(field("string", "createdAtMs"))),
    ("TIME_LOGICAL", "$.fields[0].type[1]", event(field(["null", "int"], "due_date", default=None))),
    ("LOGICAL_TYPE", "$.fields[0].type", event(field({"type": "long", "logicalType": "timestamp-seconds"}))),
    ("LOGICAL_TYPE", "$.fields[0].type", event(field({"type": "int", "logicalType": "timestamp-millis"}))),
    ("LOGICAL_TYPE", "$.fields[0]", event(field("long", logicalType="timestamp-millis"))),
    ("DECIMAL", "$.fields[0].type", event(field({"type": "bytes", "logicalType": "decimal"}))),
    (
        "DECIMAL",
        "$.fields[0].type",
        event(field({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 5})),
    ),
    (
        "DECIMAL",
        "$.fields[0].type",
        event(field({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 5})),
    ),
    ("DEFAULT", "$.fields[0].default", event(field("int", default="1"))),
    ("DEFAULT", "$.fields[0].default", event(field("int", default=2**31))),
    ("DEFAULT", "$.fields[0].default", event(field("bytes", default="\u0100"))),
    ("DEFAULT", "$.fields[0].default", event(field({"type": "array", "items": "int"}, default=[1, "x"]))),
    (
        "DEFAULT",
        "$.fields[0].type.fields[0].default",
        event(field({"type": "record", "name": "R", "doc": "x", "fields": [field("string", default=1, doc="x")]})),
    ),
    ("KEY_FIELD", "$", event(**{"penstock.key": ["nobody"]})),
    ("KEY_FIELD", "$", event(field("int"), **{"penstock.key": "it"})),
    ("EVENT_TIME", "$", event(**{"penstock.time": "nowhen"})),
    ("EVENT_TIME", "$", event(field("string"), **{"penstock.time": "it"})),
    ("EVENT_TIME", "$", event(field(["null", TIMESTAMP], default=None), **{"penstock.time": "it"})),
    ("RECURSIVE_TYPE", "$", event(field(["null", "Event"], default=None))),
    ("UNKNOWN_TYPE", "$.fields[0].type.values", event(field({"type": "map", "values": "Nobody"}))),
    ("UNKNOWN_RULE", "$", event(**{"penstock.lint.ignore": ["NO_SUCH_RULE"]})),
    ("UNKNOWN_RULE", "$", event(**{"penstock.lint.ignore": ["PARSER"]})),
    ("PARSER", "$", event(field({"type": "fixed", "name": "F", "size": -1}))),
]


@pytest.mark.parametrize(("rule", "path", "schema"), BAD, ids=[f"{rule}-{n}" for n, (rule, _, _) in enumerate(BAD)])
def test_a_broken_rule_is_told_at_its_place(rule: str, path: str, schema: dict[str, Any]) -> None:
    """One mistake, one finding: nothing else is told, neither by another rule nor in a parser's words."""
    if schema["namespace"] is None:
        del schema["namespace"]
    told = findings(schema)

    assert [(each.rule, each.path) for each in told] == [(rule, path)]
    assert told[0].file == "shop/Event.avsc"


GOOD: list[dict[str, Any]] = [
    event(),
    event(field("int", "due_days"), field("string", "klass"), field("int", "import_")),
    event(field({**COLOUR, "doc": "", "name": "shop.paint.Colour"}), field("shop.paint.Colour", "other")),
    event(field(["null", "string"], default=None), field(["int", "string"], "either", default=3)),
    event(field({"type": "array", "items": ["null", "int"]}, default=[])),
    event(field("double", "temperature"), field("long", "price_cents"), field("double", "discounted_distance")),
    event(field({"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 5}, "price")),
    event(field({"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 4}, "fee")),
    event(field(TIMESTAMP, "created_at"), field({"type": "int", "logicalType": "date"}, "due_date")),
    event(field("int", "air_time"), field("long", "latency_ms"), field("string", "format")),
    event(
        field({"type": "string", "logicalType": "uuid"}), field({"type": "long", "logicalType": "timestamp-nanos"}, "n")
    ),
    event(field("bytes", default="\u00ff"), field({"type": "map", "values": "int"}, "m", default={"a": 1})),
    event(field("string"), field(TIMESTAMP, "at"), **{"penstock.key": ["it"], "penstock.time": "at"}),
    event(field({"type": "array", "items": "string"}), field("long", "count", default=2**40)),
    event(field(["null", "Event"], default=None), **{"penstock.lint.ignore": ["RECURSIVE_TYPE"]}),
    event(field(["string", "null"]), **{"penstock.lint.ignore": ["NULLABLE", "UNION_ORDER"]}),
]


@pytest.mark.parametrize("schema", GOOD)
def test_a_schema_that_keeps_the_rules_has_no_findings(schema: dict[str, Any]) -> None:
    assert findings(schema) == []


@pytest.mark.parametrize("attribute", ["penstock.key", "penstock.time"])
def test_only_a_record_with_a_topic_must_name_its_key_and_event_time(attribute: str) -> None:
    """A type that others use has no topic of its own, and neither has one that registry.toml leaves out."""
    silent = event()
    del silent[attribute]
    user = event(field("Event"), name="User")
    rule = "KEY_FIELD" if attribute == "penstock.key" else "EVENT_TIME"

    assert [each.rule for each in findings(silent)] == [rule]
    assert findings(silent, user) == []
    tree = load_tree({"shop/Event.avsc": json.dumps(silent), "shop/User.avsc": json.dumps(user)})
    listed = Manifest(subjects={"events-value": Subject("shop/Event.avsc"), "users-value": Subject("shop/User.avsc")})
    assert [each.rule for each in lint(tree, listed)] == [rule]


def test_the_file_is_called_like_its_type() -> None:
    [told] = findings(shop__Other=json.dumps(event()))

    assert (told.rule, told.file) == ("FILE_NAME", "shop/Other.avsc")


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '"string"', '{"type": "record", "type": "record"}', '{"type": "record", "name": NaN}', "[" * 5_000],
)
def test_a_file_that_defines_nothing_is_told_and_the_others_are_still_looked_at(text: str) -> None:
    told = findings(event(doc=""), shop__Broken=text)

    assert [(each.rule, each.file) for each in told] == [
        ("JSON", "shop/Broken.avsc"),
        ("RECORD_DOC", "shop/Event.avsc"),
    ]


def test_a_type_is_defined_once_in_all_files() -> None:
    one, other = event(field(COLOUR), name="One"), event(field(COLOUR), name="Two")

    assert [(each.rule, each.file, each.path) for each in findings(one, other)] == [
        ("DUPLICATE_TYPE", "shop/Two.avsc", "$.fields[0].type")
    ]


def test_files_that_need_each_other_are_told_with_the_whole_circle() -> None:
    circle = (event(field(f"T{(n + 1) % 3}"), name=f"T{n}") for n in range(3))
    told = findings(*circle, event(field("T1"), name="Outside"))

    assert [each.rule for each in told] == ["FILE_CYCLE"]
    assert "shop/T1.avsc -> shop/T2.avsc -> shop/T0.avsc -> shop/T1.avsc" in told[0].message


def test_a_subject_without_its_file_is_told() -> None:
    told = lint(load_tree({}), Manifest(subjects={"events-value": Subject("shop/Event.avsc")}))

    assert [(each.rule, each.file, each.path) for each in told] == [
        ("SUBJECT_FILE", "registry.toml", "subjects.events-value")
    ]


def test_a_mistake_in_a_type_of_another_file_is_told_where_the_type_is() -> None:
    """Who uses a broken type is broken too, but has nothing to mend."""
    told = findings(
        event(field("int", default="x"), name="Used"), event(field("Used")), event(field("Nobody"), name="X")
    )

    assert [(each.rule, each.file) for each in told] == [("DEFAULT", "shop/Used.avsc"), ("UNKNOWN_TYPE", "shop/X.avsc")]


def test_every_rule_has_a_bad_example() -> None:
    elsewhere = {"FILE_NAME", "JSON", "DUPLICATE_TYPE", "FILE_CYCLE", "SUBJECT_FILE"}

    assert {rule for rule, _, _ in BAD} | elsewhere == LINT_RULES.keys()


def test_every_rule_is_in_the_reference() -> None:
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "schemas.md").read_text()

    for rule, what in (LINT_RULES | CHECK_RULES).items():
        assert f"| `{rule}` | {what} |" in reference


def test_every_other_rule_can_be_ignored_by_a_schema() -> None:
    """All mistakes that are a matter of judgement at once, and none is told."""
    judged = [schema for rule, _, schema in BAD if rule not in NEVER_IGNORED | {"NAMESPACE"}]
    for schema in judged:
        told = findings(schema | {"penstock.lint.ignore": sorted(LINT_RULES.keys() - NEVER_IGNORED)})

        assert {each.rule for each in told} <= {"PARSER"}


def test_findings_carry_the_line_of_their_place() -> None:
    text = '{\n "type": "record", "name": "Event", "namespace": "shop", "doc": "x",\n "penstock.key": null,\n'
    text += (
        ' "penstock.time": null,\n "fields": [\n  {"name": "a", "doc": "x",\n   "type": "int"},\n  {"name": "class",'
    )
    text += '\n   "doc": "x", "type": "int"}]}'

    [told] = findings(shop__Event=text)

    assert (told.rule, told.line, told.severity) == ("RESERVED_WORD", 8, Severity.ERROR)

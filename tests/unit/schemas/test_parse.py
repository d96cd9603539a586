"""What counts as a valid schema: both parsers, our own rules, and limits before any of them."""

from __future__ import annotations

import json
import random
from typing import Any

import avro.schema
import pytest

from penstock.errors import ConfigurationError
from penstock.schemas.parse import MAX_LEAST_VALUES, parse


def record(*fields: dict[str, Any], name: str = "R", **more: Any) -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields), **more})


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


DECIMAL = {"type": "bytes", "logicalType": "decimal"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (record(field("a", "int"), field("a", "int")), "R.a: the record has two fields"),
        (record(field("a", ["int", "int"])), "R.a: the union has two branches of type int"),
        (record(field("a", ["null", ["int"]])), "R.a: a union directly inside a union"),
        (record(field("a", "int", default="x")), "R.a: invalid default: expected int"),
        (record(field("a", "int", default=True)), "R.a: invalid default: expected int"),
        (record(field("a", "int", default=2**31)), "R.a: invalid default: expected int"),
        (record(field("a", ["null", "int"], default=3)), "R.a: invalid default: expected null"),
        (record(field("a", "bytes", default="€")), "R.a: invalid default"),
        (record(field("a", {"type": "array", "items": "int"}, default=["x"])), "R.a: invalid default: expected int"),
        (record(field("a", {**DECIMAL, "precision": 2, "scale": 3})), "R.a: a decimal's scale"),
        (record(field("a", {**DECIMAL, "precision": 0})), "R.a: a decimal needs a 'precision'"),
        (
            record(field("a", {"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 5})),
            "R.a: a decimal of 5 digits does not fit into 2 bytes",
        ),
        (record(field("a", {"type": "enum", "name": "E", "symbols": ["A", "A"]})), "R.a: a symbol stands twice"),
        (record(field("a", {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"})), "default is none of"),
        (record(field("a", "Missing")), "R.a: unknown type 'Missing'"),
        (record(name="not-a-name"), "'not-a-name' is no valid name"),
        (record(field("a", {"type": "record", "name": "R", "fields": []})), "R is defined twice"),
        (record(field("a", "R")), "contains itself with no way out"),
        ('{"type": {"type": "int"}}', "'type' is an object"),
        ('{"type": "record", "name": "R"}', "a record needs 'fields'"),
        ('{"type": "map"}', "a map needs 'values'"),
        ('{"type": "int", "type": "long"}', "stands twice"),
        ("[]", "at least one branch"),
        ("{", "not JSON"),
        ("NaN", "not JSON"),
        ("5", "expected a type, found a number"),
    ],
)
def test_what_either_parser_would_let_through_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, source="flights.avsc")
    assert str(caught.value).startswith("flights.avsc: ")
    assert words in str(caught.value)


def test_a_text_of_more_than_a_mebibyte_is_refused_unparsed() -> None:
    with pytest.raises(ConfigurationError, match="larger than"):
        parse('"' + "x" * 1_048_576 + '"')


@pytest.mark.parametrize("text", ["[" * 500_000, '{"type":"array","items":' * 30_000, '"\\' * 300_000, '{"a":' * 70])
def test_deep_nesting_is_refused_and_never_a_recursion_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse(text)


def test_the_limit_of_nesting_is_64_brackets() -> None:
    def arrays(depth: int) -> str:
        return '{"type":"array","items":' * depth + '"int"' + "}" * depth

    assert parse(arrays(64)).name is None
    with pytest.raises(ConfigurationError, match="nested deeper than 64"):
        parse(arrays(65))


def test_a_long_chain_of_references_is_refused() -> None:
    chain: list[Any] = [{"type": "record", "name": "R0", "fields": []}]
    chain += [{"type": "record", "name": f"R{n}", "fields": [field("a", f"R{n - 1}")]} for n in range(1, 5_000)]
    with pytest.raises(ConfigurationError, match="nest 5001 deep"):
        parse(json.dumps(chain))


def test_a_small_schema_of_a_billion_parts_is_refused() -> None:
    """Each record holds the one before twice."""
    *others, last = [record(*(field(name, f"R{n - 1}") for name in ("a", "b") if n), name=f"R{n}") for n in range(31)]
    with pytest.raises(ConfigurationError, match=f"{MAX_LEAST_VALUES:,} parts"):
        parse(last, others)


def test_defaults_that_multiply_are_refused() -> None:
    inner: list[Any] = [{"type": "record", "name": "R0", "fields": [field("v", ["null", "int"], default=None)]}]
    for n in range(1, 12):
        fields = [field(f"f{k}", {"type": "array", "items": f"R{n - 1}"}, default=[{}] * 4) for k in range(2)]
        inner.append({"type": "record", "name": f"R{n}", "fields": fields})
    with pytest.raises(ConfigurationError, match="100,000 values"):
        parse(json.dumps(inner))


def refusal(text: str) -> str:
    """Why a text is refused; empty where it is not."""
    try:
        parse(text)
    except ConfigurationError as err:
        return str(err)
    return ""


def test_garbage_gets_a_message_and_nothing_else() -> None:
    """Random JSON made of Avro's own words: parsed or refused, never another exception."""
    chance = random.Random(3)
    words = ["type", "record", "fields", "name", "R", "int", "null", "items", "array", "default", "symbols", "enum"]
    words += ["namespace", "a.b", "", "logicalType", "decimal", "fixed", "size", "aliases", "map", "values", "union"]

    def made(depth: int) -> Any:
        kind = chance.randrange(4) if depth else 3
        if kind == 0:
            return [made(depth - 1) for _ in range(chance.randrange(3))]
        if kind in {1, 2}:
            return {chance.choice(words): made(depth - 1) for _ in range(chance.randrange(5))}
        return chance.choice([*words, *words, 1, -1, 1.5, None, True, 10**400])

    refused = 0
    for _ in range(3_000):
        words_of_refusal = refusal(json.dumps(made(4)))
        refused += bool(words_of_refusal)
        assert len(words_of_refusal) < 2_000
    assert 0 < refused < 3_000


def test_named_types_come_from_references_in_any_order() -> None:
    outer = record(field("b", "x.B"), field("c", "x.C"))
    needs_c = record(field("c", "x.C"), name="B", namespace="x")
    schema = parse(outer, [needs_c, '{"type":"enum","name":"x.C","symbols":["S"]}'])

    assert parse(schema.self_contained) == schema
    assert schema.canonical == (
        '{"name":"R","type":"record","fields":[{"name":"b","type":{"name":"x.B","type":"record","fields":['
        '{"name":"c","type":{"name":"x.C","type":"enum","symbols":["S"]}}]}},{"name":"c","type":"x.C"}]}'
    )


def test_identity_forgets_spelling_and_keeps_meaning() -> None:
    one = parse('{"type":"record","name":"R","namespace":"n","doc":"d","fields":[{"name":"a","type":"int"}]}')
    spelled = parse('{"name": "n.R", "type": "record", "doc": "d", "fields": [{"type": {"type":"int"}, "name": "a"}]}')
    other_doc = parse('{"type":"record","name":"R","namespace":"n","doc":"e","fields":[{"name":"a","type":"int"}]}')

    assert one == spelled
    assert hash(one) == hash(spelled)
    assert one != other_doc
    assert one.canonical == other_doc.canonical
    assert one.fingerprint == other_doc.fingerprint


@pytest.mark.parametrize(
    ("schema", "fingerprint"),
    # From Avro's own test data, share/test/data/schema-tests.txt: CRC-64-AVRO as a signed number.
    [
        ('"null"', 7195948357588979594),
        ('"int"', 8247732601305521295),
        ('{"type":"string"}', -8142146995180207161),
        ('{"type":"fixed","name":"foo","size":15}', 1756455273707447556),
    ],
)
def test_fingerprints_are_those_of_the_specification(schema: str, fingerprint: int) -> None:
    assert int.from_bytes(parse(schema).fingerprint, "little", signed=True) == fingerprint
    assert parse(schema).fingerprint == avro.schema.parse(schema).fingerprint()


def test_a_logical_type_is_no_part_of_the_canonical_form() -> None:
    """Apache's Python library writes {"type":"long"} here, and gets another fingerprint than Java."""
    assert parse('{"type":"long","logicalType":"timestamp-millis"}').canonical == '"long"'

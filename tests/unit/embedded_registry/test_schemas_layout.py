"""The `_schemas` topic's bytes, as Confluent's registry and Karapace write and read them."""

from __future__ import annotations

import json

import pytest

from penstock.embedded.registry.layout import (
    NOOP,
    Claim,
    Key,
    KeyType,
    NotOurs,
    SchemaValue,
    Small,
    decode_claim,
    decode_key,
    decode_schema,
    decode_small,
)
from penstock.protocols import SchemaReference


@pytest.mark.parametrize(
    ("key", "data"),
    [
        (Key(KeyType.SCHEMA, "s-value", 3), b'{"keytype":"SCHEMA","subject":"s-value","version":3,"magic":1}'),
        (Key(KeyType.CONFIG), b'{"keytype":"CONFIG","subject":null,"magic":0}'),
        (Key(KeyType.CONFIG, "s"), b'{"keytype":"CONFIG","subject":"s","magic":0}'),
        (Key(KeyType.MODE, "s"), b'{"keytype":"MODE","subject":"s","magic":0}'),
        (Key(KeyType.DELETE_SUBJECT, "s"), b'{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}'),
        (NOOP, b'{"keytype":"NOOP","magic":0}'),
    ],
)
def test_keys_are_compact_json_in_the_fixed_order(key: Key, data: bytes) -> None:
    """Compaction compares bytes: another order would be another key."""
    assert key.encode() == data
    assert decode_key(data) == key


@pytest.mark.parametrize("data", [None, b"", b"{", b"[]", b'{"keytype":"CONTEXT"}', b'{"subject":"s"}', b"[" * 9_999])
def test_keys_that_are_not_ours_are_told_apart(data: bytes | None) -> None:
    with pytest.raises(NotOurs):
        decode_key(data)


def test_an_avro_schema_carries_neither_type_nor_empty_references() -> None:
    value = SchemaValue(subject="s", version=1, id=7, text='"long"')
    assert json.loads(value.encode()) == {"subject": "s", "version": 1, "id": 7, "schema": '"long"', "deleted": False}


def test_fields_of_other_registries_survive_a_rewrite() -> None:
    foreign = {
        "subject": "s",
        "version": 2,
        "id": 9,
        "guid": "a-guid",
        "metadata": {"properties": {"owner": "ops"}},
        "schemaType": "JSON",
        "references": [{"name": "n", "subject": "r", "version": 1}],
        "schema": "{}",
        "deleted": True,
    }
    value = decode_schema(json.dumps(foreign).encode())
    assert value.references == (SchemaReference("n", "r", 1),)
    assert value.guid == "a-guid"
    assert json.loads(value.encode()) == foreign


def test_karapaces_configuration_without_a_subject_is_read() -> None:
    assert decode_small(b'{"compatibilityLevel":"NONE"}').compatibility_level == "NONE"


def test_small_values_carry_their_own_fields_only() -> None:
    assert Small(None, compatibility_level="FULL").encode() == b'{"subject":null,"compatibilityLevel":"FULL"}'
    assert Small("s", mode="READONLY").encode() == b'{"subject":"s","mode":"READONLY"}'
    assert Small("s", version=3).encode() == b'{"subject":"s","version":3}'


def test_a_noop_of_another_registry_holds_no_claim() -> None:
    assert decode_claim(None) is None
    assert decode_claim(b"") is None
    assert decode_claim(b"{}") is None
    claim = Claim("a", "b", 5)
    assert decode_claim(claim.encode()) == claim


def test_a_guid_depends_on_text_and_references() -> None:
    plain = SchemaValue(subject="s", version=1, id=1, text='"long"')
    elsewhere = SchemaValue(subject="t", version=4, id=9, text='"long"')
    referring = SchemaValue(subject="s", version=1, id=1, text='"long"', references=(SchemaReference("n", "r", 1),))
    assert plain.guid == elsewhere.guid != referring.guid

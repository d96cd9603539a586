"""What callers send, and what is refused before anybody works on it."""

from __future__ import annotations

import json

import pytest

from penstock.embedded.registry.bodies import check_subject, level_body, mode_body, schema_body, version_of
from penstock.embedded.registry.refusal import Refusal

DEEP = b"[" * 10_000 + b"]" * 10_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"schema":""}',
        b'{"schema":1}',
        DEEP,
        b'{"schema":"x","metadata":' + DEEP + b"}",
        b'{"schema":"x","references":[{}]}',
        b'{"schema":"x","schemaType":"PROTOBUF"}',
        b'{"schema":"x","ruleSet":{"domainRules":[]}}',
    ],
)
def test_a_body_that_holds_no_avro_schema_is_refused_with_42201(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        schema_body(body)
    assert (caught.value.status, caught.value.code) == (422, 42201)


def test_nulls_and_unknown_fields_do_no_harm() -> None:
    body = {"schema": '"long"', "references": None, "metadata": None, "ruleSet": None, "confluent:new": 1}
    assert schema_body(json.dumps(body).encode()).schema == '"long"'


@pytest.mark.parametrize(
    ("text", "version"), [("1", 1), ("latest", -1), ("LATEST", -1), ("-1", -1), ("2147483647", 2**31 - 1)]
)
def test_versions_are_numbers_or_latest(text: str, version: int) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize("text", ["0", "-2", "one", "1.0", "", "2147483648", "٣", "1" * 9_999])
def test_other_versions_are_refused_with_42202(text: str) -> None:
    with pytest.raises(Refusal) as caught:
        version_of(text)
    assert caught.value.code == 42202


@pytest.mark.parametrize("body", [b"", b"{}", b'{"compatibility":"SIDEWARD"}', b'{"compatibility":1}', DEEP])
def test_other_levels_are_refused_with_42203(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        level_body(body)
    assert caught.value.code == 42203


@pytest.mark.parametrize("body", [b"", b"{}", b'{"mode":"FORWARD"}', b'{"mode":1}'])
def test_other_modes_are_refused_with_42204(body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        mode_body(body)
    assert caught.value.code == 42204


@pytest.mark.parametrize("subject", ["", "__GLOBAL", "a\nb", "a\x00"])
def test_subjects_that_are_no_names_are_refused_with_42208(subject: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_subject(subject)
    assert caught.value.code == 42208

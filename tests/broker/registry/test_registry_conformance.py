"""Every call of the registry's interface by raw HTTP: in order, on a registry of its own, with its codes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from penstock.embedded.registry import RegistryServer
from penstock.testing.pytest_plugin import KafkaUnderTest

pytestmark = pytest.mark.broker


@pytest.fixture(scope="module")
def http(kafka: KafkaUnderTest) -> Iterator[httpx.Client]:
    with (
        RegistryServer(kafka.bootstrap_servers, topic=f"conformance-{uuid.uuid4().hex[:8]}") as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        yield client


def record(*fields: str, name: str = "R", **more: Any) -> str:
    """A record of ints; a field `x?` has a default."""
    told = [{"name": f.rstrip("?"), "type": "int", **({"default": 0} if f.endswith("?") else {})} for f in fields]
    return json.dumps({"type": "record", "name": name, "fields": told, **more})


def sent(text: str, **more: Any) -> dict[str, Any]:
    return {"schema": text, **more}


A, A_B, A_B_DEFAULT, OTHER = record("a"), record("a", "b"), record("a", "b?"), record("z", name="Other")
PLANE = record("seats", name="Plane")
FLIGHT = json.dumps({"type": "record", "name": "Flight", "fields": [{"name": "plane", "type": "Plane"}]})
ON_PLANE = [{"name": "Plane", "subject": "plane", "version": 1}]


@dataclass(frozen=True)
class Step:
    """A call, and what is to come back: a status with a code, or 200 with (a part of) the answer."""

    call: str
    body: Any = None
    error: int = 0
    answer: Any = None
    subset: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def status(self) -> int:
        """The HTTP status: an error's first three digits."""
        return int(str(self.error)[:3]) if self.error else 200


def ok(call: str, answer: Any, body: Any = None) -> Step:
    return Step(call, body, answer=answer)


def has(call: str, body: Any = None, **subset: Any) -> Step:
    return Step(call, body, subset=subset)


def refused(call: str, error: int, body: Any = None) -> Step:
    return Step(call, body, error=error)


STEPS = [
    # the empty registry
    has("GET /", name="penstock registry"),
    ok("GET /subjects", []),
    ok("GET /schemas/types", ["AVRO"]),
    ok("GET /contexts", ["."]),
    ok("GET /config", {"compatibilityLevel": "BACKWARD"}),
    ok("GET /mode", {"mode": "READWRITE"}),
    refused("GET /subjects/s/versions", 40401),
    refused("GET /subjects/s/versions/1", 40401),
    refused("GET /subjects/s/versions/latest", 40401),
    refused("GET /schemas/ids/1", 40403),
    refused("GET /schemas/ids/1/schema", 40403),
    refused("GET /schemas/ids/1/subjects", 40403),
    refused("GET /schemas/ids/1/versions", 40403),
    refused("GET /schemas/guids/0323716a-f0b8-75ea-d4de-af1f660bd765", 40403),
    refused("POST /subjects/s", 40401, sent(A)),
    refused("DELETE /subjects/s", 40401),
    refused("DELETE /subjects/s/versions/1", 40401),
    # what is no call of this interface is answered at once
    refused("GET /associations/resources/-/flights", 404),
    refused("GET /nothing", 404),
    refused("GET /schemas/ids/one", 404),
    refused("PUT /subjects", 405),
    # register: ids are global, versions per subject, texts verbatim, equality by content
    has("POST /subjects/s/versions", sent(A), id=1, version=1),
    has("POST /subjects/s/versions", sent(A), id=1, version=1),
    has("POST /subjects/s/versions", sent(json.dumps(json.loads(A), indent=4, sort_keys=True)), id=1, version=1),
    has("POST /subjects/s/versions", sent(A_B_DEFAULT), id=2, version=2),
    has("POST /subjects/t/versions", sent(A), id=1, version=1),
    has("POST /subjects/wide%2Fname%20%C3%BC/versions?normalize=True", sent(OTHER, schemaType="AVRO"), id=3, version=1),
    ok("GET /subjects", ["s", "t", "wide/name ü"]),
    ok("GET /subjects/", ["s", "t", "wide/name ü"]),
    ok("GET /subjects?subjectPrefix=wide", ["wide/name ü"]),
    ok("GET /subjects?offset=1&limit=1", ["t"]),
    refused("GET /subjects?limit=many", 400),
    has(
        "GET /subjects/wide%2Fname%20%C3%BC/versions/1",
        schema=json.dumps(json.loads(OTHER), sort_keys=True, separators=(",", ":")),
    ),
    # ask
    ok("GET /subjects/s/versions", [1, 2]),
    has("GET /subjects/s/versions/1", subject="s", version=1, id=1, schema=A),
    has("GET /subjects/s/versions/latest", version=2, id=2, schema=A_B_DEFAULT),
    has("GET /subjects/s/versions/-1", version=2),
    Step("GET /subjects/s/versions/1/schema", answer=json.loads(A)),
    ok("GET /subjects/s/versions/1/referencedby", []),
    refused("GET /subjects/s/versions/3", 40402),
    refused("GET /subjects/s/versions/0", 42202),
    refused("GET /subjects/s/versions/newest", 42202),
    refused("GET /subjects/s/versions/2147483648", 42202),
    has("GET /schemas/ids/1", schema=A),
    has("GET /schemas/ids/1?fetchMaxId=true", maxId=3),
    Step("GET /schemas/ids/1/schema", answer=json.loads(A)),
    ok("GET /schemas/ids/1/subjects", ["s", "t"]),
    ok("GET /schemas/ids/1/versions", [{"subject": "s", "version": 1}, {"subject": "t", "version": 1}]),
    ok("GET /schemas/ids/1/versions?subject=t", [{"subject": "t", "version": 1}]),
    refused("GET /schemas/ids/4", 40403),
    has("POST /subjects/s", sent(A), subject="s", version=1, id=1, schema=A),
    refused("POST /subjects/s", 40403, sent(OTHER)),
    refused("POST /subjects/unknown", 40401, sent(A)),
    # garbage
    refused("POST /subjects/g/versions", 42201, b"{"),
    refused("POST /subjects/g/versions", 42201, sent("")),
    refused("POST /subjects/g/versions", 42201, sent("{")),
    refused("POST /subjects/g/versions", 42201, sent('{"type":"rekord"}')),
    refused("POST /subjects/g/versions", 42201, sent('"Unknown"')),
    refused("POST /subjects/g/versions", 42201, sent("[" * 10_000 + "]" * 10_000)),
    refused("POST /subjects/g/versions", 42201, sent('{"type":"array","items":' * 10_000 + '"int"' + "}" * 10_000)),
    refused("POST /subjects/g/versions", 42201, b"[" * 100_000),
    refused("POST /subjects/g/versions", 42201, b"\xff\x00"),
    refused("POST /subjects/g/versions", 42201, sent('"long"', schemaType="PROTOBUF")),
    refused("POST /subjects/g/versions", 42201, sent('"\ud800"')),
    refused("POST /subjects/g/versions", 42205, sent('"long"', id=7)),
    refused("POST /subjects/g%00/versions", 42208, sent('"long"')),
    refused("POST /subjects/s", 42201, sent("{")),
    refused("POST /subjects/g/versions", 42209, sent(record(doc="x" * 1_048_576))),
    refused("POST /subjects/g/versions", 413, b" " * (4 * 1024 * 1024 + 1)),
    refused("POST /compatibility/subjects/s/versions/latest", 42201, b"{"),
    refused("PUT /config", 42203, b"{"),
    refused("PUT /mode", 42204, b"{"),
    ok("GET /subjects?subjectPrefix=g", []),
    # compatibility
    ok("POST /compatibility/subjects/s/versions/latest", {"is_compatible": True}, sent(A)),
    ok("POST /compatibility/subjects/s/versions/latest", {"is_compatible": False}, sent(record("q"))),
    ok(
        "POST /compatibility/subjects/s/versions/1?verbose=True",
        {"is_compatible": True, "messages": []},
        sent(A_B_DEFAULT),
    ),
    ok("POST /compatibility/subjects/s/versions", {"is_compatible": False}, sent(record("q"))),
    ok("POST /compatibility/subjects/new/versions", {"is_compatible": True}, sent(A)),
    ok("POST /compatibility/subjects/new/versions/latest", {"is_compatible": True}, sent(A)),
    refused("POST /compatibility/subjects/s/versions/9", 40402, sent(A)),
    refused("POST /compatibility/subjects/s/versions/none", 42202, sent(A)),
    has("POST /compatibility/subjects/s/versions/1?verbose=true", sent("{"), is_compatible=False),
    refused("POST /subjects/s/versions", 409, sent(record("q"))),
    ok("GET /subjects/s/versions", [1, 2]),
    # configuration
    refused("GET /config/s", 40408),
    ok("GET /config/s?defaultToGlobal=true", {"compatibilityLevel": "BACKWARD"}),
    refused("PUT /config/s", 42203, {"compatibility": "SIDEWARD"}),
    ok("PUT /config/s", {"compatibility": "NONE"}, {"compatibility": "none"}),
    ok("GET /config/s", {"compatibilityLevel": "NONE"}),
    has("POST /subjects/s/versions", sent(record("q")), id=4, version=3),
    ok("DELETE /config/s", {"compatibilityLevel": "NONE"}),
    refused("DELETE /config/s", 40401),
    ok("PUT /config", {"compatibility": "FULL_TRANSITIVE"}, {"compatibility": "FULL_TRANSITIVE"}),
    ok("GET /config", {"compatibilityLevel": "FULL_TRANSITIVE"}),
    refused("POST /subjects/t/versions", 409, sent(A_B)),
    ok("DELETE /config", {"compatibilityLevel": "FULL_TRANSITIVE"}),
    ok("GET /config", {"compatibilityLevel": "BACKWARD"}),
    # modes
    refused("GET /mode/s", 40409),
    ok("GET /mode/s?defaultToGlobal=true", {"mode": "READWRITE"}),
    refused("PUT /mode/s", 42204, {"mode": "SIDEWARD"}),
    ok("PUT /mode/t", {"mode": "READONLY"}, {"mode": "READONLY"}),
    ok("GET /mode/t", {"mode": "READONLY"}),
    refused("POST /subjects/t/versions", 42205, sent(A_B_DEFAULT)),
    refused("DELETE /subjects/t", 42205),
    refused("DELETE /subjects/t/versions/1", 42205),
    refused("PUT /config/t", 42205, {"compatibility": "NONE"}),
    ok("DELETE /mode/t", {"mode": "READONLY"}),
    refused("DELETE /mode/t", 40401),
    refused("PUT /mode", 42205, {"mode": "IMPORT"}),
    refused("PUT /mode/s", 42205, {"mode": "IMPORT"}),
    ok("PUT /mode/import", {"mode": "IMPORT"}, {"mode": "IMPORT"}),
    refused("POST /subjects/import/versions", 42205, sent('"int"')),
    has("POST /subjects/import/versions", sent('"int"', id=40, version=5), id=40, version=5),
    refused("POST /subjects/import/versions", 42205, sent('"long"', id=40, version=6)),
    ok("PUT /mode/import", {"mode": "READWRITE"}, {"mode": "READWRITE"}),
    has("POST /subjects/import/versions", sent('"long"'), id=41, version=6),
    ok("DELETE /mode", {"mode": "READWRITE"}),
    # references
    has("POST /subjects/plane/versions", sent(PLANE), id=42, version=1),
    refused("POST /subjects/flight/versions", 42201, sent(FLIGHT)),
    refused("POST /subjects/flight/versions", 42201, sent(FLIGHT, references=[{**ON_PLANE[0], "version": 9}])),
    has("POST /subjects/flight/versions", sent(FLIGHT, references=ON_PLANE), id=43, references=ON_PLANE),
    has("POST /subjects/flight", sent(FLIGHT, references=ON_PLANE), id=43, references=ON_PLANE),
    has("GET /schemas/ids/43", references=ON_PLANE),
    ok("GET /subjects/plane/versions/1/referencedby", [43]),
    refused("DELETE /subjects/plane", 42206),
    refused("DELETE /subjects/plane/versions/1", 42206),
    # deletion, soft and for good
    ok("DELETE /subjects/flight", [1]),
    refused("DELETE /subjects/flight", 40404),
    ok("GET /subjects?subjectPrefix=flight", []),
    ok("GET /subjects?subjectPrefix=flight&deleted=true", ["flight"]),
    ok("GET /subjects?deletedOnly=true", ["flight"]),
    refused("GET /subjects/flight/versions", 40401),
    ok("GET /subjects/flight/versions?deleted=true", [1]),
    has("GET /subjects/flight/versions/1?deleted=true", id=43),
    has("GET /schemas/ids/43", schema=FLIGHT),
    ok("GET /schemas/ids/43/subjects", []),
    ok("GET /schemas/ids/43/subjects?deleted=true", ["flight"]),
    refused("POST /subjects/flight", 40401, sent(FLIGHT, references=ON_PLANE)),
    has("POST /subjects/flight?deleted=true", sent(FLIGHT, references=ON_PLANE), id=43),
    ok("DELETE /subjects/plane", [1]),
    refused("DELETE /subjects/plane?permanent=true", 42206),  # what is only softly deleted may come back
    ok("DELETE /subjects/flight?permanent=true", [1]),
    refused("GET /schemas/ids/43", 40403),
    ok("DELETE /subjects/plane?permanent=true", [1]),
    refused("DELETE /subjects/plane?permanent=true", 40401),
    refused("DELETE /subjects/s?permanent=true", 40405),
    refused("DELETE /subjects/s/versions/3?permanent=true", 40407),
    ok("DELETE /subjects/s/versions/3", 3),
    refused("DELETE /subjects/s/versions/3", 40406),
    refused("GET /subjects/s/versions/3", 40402),
    ok("GET /subjects/s/versions?deletedOnly=true", [3]),
    ok("DELETE /subjects/s/versions/3?permanent=true", 3),
    ok("DELETE /subjects/s/versions/latest", 2),
    # versions go on after a soft deletion, and begin again after one for good; ids never come back
    has("POST /subjects/s/versions", sent(A_B_DEFAULT), id=2, version=3),
    ok("GET /subjects/s/versions?deleted=true", [1, 3]),
    ok("DELETE /subjects/s", [1, 3]),
    ok("PUT /config/s", {"compatibility": "FULL"}, {"compatibility": "FULL"}),
    ok("DELETE /subjects/s?permanent=true", [1, 3]),
    refused("GET /config/s", 40408),
    has("POST /subjects/s/versions", sent(record("fresh")), id=44, version=1),
]


def test_every_call_answers_as_confluents_registry_does(http: httpx.Client) -> None:
    """One story, since each step builds on those before it."""
    for number, step in enumerate(STEPS):
        method, _, path = step.call.partition(" ")
        body = step.body if isinstance(step.body, bytes | None) else json.dumps(step.body).encode()
        answer = http.request(method, path, content=body)
        where = f"step {number}, {step.call}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code == step.status, where
        assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json", where
        found = answer.json()
        if step.error:
            assert found["error_code"] == step.error, where
            assert found["message"], where
        elif step.subset:
            assert {name: found.get(name) for name in step.subset} == step.subset, where
        else:
            assert found == step.answer, where


def test_a_schema_of_one_mebibyte_is_taken(http: httpx.Client) -> None:
    empty = len(json.dumps({"type": "record", "name": "R", "fields": [], "doc": ""}))
    text = json.dumps({"type": "record", "name": "R", "fields": [], "doc": '"'.rjust(1_048_576 - empty - 1, "x")})
    assert len(text) == 1_048_576
    answer = http.post("/subjects/one-mebibyte/versions", json=sent(text))
    assert answer.status_code == 200, answer.text[:300]
    assert http.get("/subjects/one-mebibyte/versions/1").json()["schema"] == text


def test_the_reasons_come_with_place_and_way_out(http: httpx.Client) -> None:
    http.post("/subjects/reasons/versions", json=sent(A)).raise_for_status()
    verdict = http.post("/compatibility/subjects/reasons/versions/latest?verbose=true", json=sent(A_B)).json()
    reason, way_out = verdict["messages"]
    assert reason == (
        "READER_FIELD_MISSING_DEFAULT_VALUE at /fields/1: field 'b' has no default, and the writer does not write it "
        "(new schema reads version 1)"
    )
    assert way_out == "compatibility level BACKWARD: upgrade consumers first, then producers"
    refusal = http.post("/subjects/reasons/versions", json=sent(A_B)).json()
    assert reason in refusal["message"]


def test_a_web_page_is_refused(http: httpx.Client) -> None:
    """A page in the user's browser may send requests to this machine; its browser says so."""
    answer = http.post("/subjects/page/versions", json=sent(A), headers={"Origin": "https://example.org"})
    assert answer.status_code == 403


def test_a_body_without_a_declared_length_is_bounded_too(http: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 65_536

    answer = http.post("/subjects/endless/versions", content=endless())
    assert answer.status_code == 413

"""confluent-kafka's client against our registry, and our own client against it and against worse servers."""

from __future__ import annotations

import http.server
import json
import threading
from base64 import b64encode
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel, ServerConfig
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from penstock import protocols
from penstock.embedded.registry import RegistryServer
from penstock.errors import ConfigurationError, RegistryUnavailable
from penstock.kafka.registry import RegistryClient

pytestmark = pytest.mark.broker


def text(*fields: str, name: str = "R") -> str:
    return json.dumps({"type": "record", "name": name, "fields": [{"name": f, "type": "int"} for f in fields]})


@pytest.fixture
def client(registry: RegistryServer) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": registry.url}) as client:
        yield client


def test_confluents_client_registers_asks_and_deletes(client: SchemaRegistryClient, topic_prefix: str) -> None:
    subject = f"{topic_prefix}/wide name"
    first = client.register_schema(subject, Schema(text("a")))
    assert client.register_schema(subject, Schema(text("a")), normalize_schemas=True) == first
    client.set_compatibility(subject, "NONE")
    assert client.get_compatibility(subject) == "NONE"
    answer = client.register_schema_full_response(subject, Schema(text("b")))
    assert answer.version == 2
    assert client.get_versions(subject) == [1, 2]
    assert client.get_version(subject, 1).schema.schema_str == text("a")
    assert client.get_latest_version(subject).schema_id == answer.schema_id
    assert client.get_schema(first).schema_str == text("a")
    assert client.lookup_schema(subject, Schema(text("a"))).version == 1
    assert client.get_subjects_by_schema_id(first) == [subject]
    assert [(v.subject, v.version) for v in client.get_schema_versions(first)] == [(subject, 1)]
    assert client.get_subjects(subject_prefix=topic_prefix) == [subject]
    assert client.get_schema_types() == ["AVRO"]
    assert client.get_contexts() == ["."]
    assert client.delete_version(subject, 2) == 2
    assert client.get_versions(subject, deleted=True) == [1, 2]
    assert client.delete_subject(subject) == [1]
    assert client.delete_subject(subject, permanent=True) == [1, 2]
    with pytest.raises(SchemaRegistryError) as caught:
        client.get_versions(subject)
    assert (caught.value.http_status_code, caught.value.error_code) == (404, 40401)


def test_confluents_client_finds_a_schema_by_guid(client: SchemaRegistryClient, topic_prefix: str) -> None:
    client.register_schema(topic_prefix, Schema(text("a", name="ByGuid")))
    guid = client.get_version(topic_prefix, 1).guid
    assert guid is not None
    client.clear_caches()  # type: ignore[no-untyped-call]  # has no annotations
    assert client.get_schema_by_guid(guid).schema_str == text("a", name="ByGuid")


def test_confluents_client_configures_and_checks(client: SchemaRegistryClient, topic_prefix: str) -> None:
    client.register_schema(topic_prefix, Schema(text("a")))
    assert not client.test_compatibility(topic_prefix, Schema(text("a", "b")))
    assert client.test_compatibility_all_versions(topic_prefix, Schema(text()), verbose=True)
    config = ServerConfig(compatibility=ConfigCompatibilityLevel.FULL)
    client.set_config(topic_prefix, config)
    assert client.get_config(topic_prefix).compatibility_level == "FULL"
    client.delete_config(topic_prefix)
    assert client.update_mode(topic_prefix, "READONLY") == "READONLY"
    assert client.get_mode(topic_prefix) == "READONLY"
    assert client.delete_mode(topic_prefix) == "READONLY"
    assert client.get_global_mode() == "READWRITE"


def test_confluents_client_follows_references(client: SchemaRegistryClient, topic_prefix: str) -> None:
    plane, flight = f"{topic_prefix}-plane", f"{topic_prefix}-flight"
    client.register_schema(plane, Schema(text("seats", name="Plane")))
    referring = json.dumps({"type": "record", "name": "Flight", "fields": [{"name": "plane", "type": "Plane"}]})
    flight_id = client.register_schema(flight, Schema(referring, "AVRO", [SchemaReference("Plane", plane, 1)]))
    assert client.get_referenced_by(plane, 1) == [flight_id]
    (reference,) = client.get_schema(flight_id).references or []
    assert (reference.name, reference.subject, reference.version) == ("Plane", plane, 1)


def test_confluents_serializer_works_with_its_defaults(client: SchemaRegistryClient, topic_prefix: str) -> None:
    """It asks for associations first, which this registry does not know."""
    context = SerializationContext(topic_prefix, MessageField.VALUE)
    serializer: Any = AvroSerializer  # their stubs know no arguments
    deserializer: Any = AvroDeserializer
    data = serializer(client, text("a"))({"a": 5}, context)
    assert data is not None
    assert data[0] == 0
    assert deserializer(client)(data, context) == {"a": 5}
    assert client.get_subjects(subject_prefix=topic_prefix) == [f"{topic_prefix}-value"]


# ---------------------------------------------------------------- our client


@pytest.fixture
def ours(registry: RegistryServer) -> Iterator[RegistryClient]:
    client = RegistryClient(registry.url)
    yield client
    client.close()


def test_our_client_is_a_schema_registry(ours: RegistryClient, topic_prefix: str) -> None:
    seam: protocols.SchemaRegistry = ours
    assert seam.versions(topic_prefix) == []
    assert seam.version(topic_prefix, "latest") is None
    assert seam.lookup(topic_prefix, text("a")) is None
    assert seam.by_id(999_999) is None
    first = seam.register(topic_prefix, text("a"))
    assert (first.subject, first.version, first.text) == (topic_prefix, 1, text("a"))
    assert seam.by_id(first.id) == protocols.RegisteredSchema(id=first.id, text=text("a"))
    assert seam.lookup(topic_prefix, text("a")) == first
    assert seam.version(topic_prefix, 1) == seam.version(topic_prefix, "latest") == first
    reference = protocols.SchemaReference("R", topic_prefix, 1)
    referring = seam.register(f"{topic_prefix}-2", '{"type":"array","items":"R"}', [reference])
    found = seam.by_id(referring.id)
    assert found is not None
    assert found.references == (reference,)


def test_our_client_sees_what_others_do(ours: RegistryClient, registry: RegistryServer, topic_prefix: str) -> None:
    """Neither "not there" nor "latest" is remembered."""
    assert ours.version(topic_prefix, "latest") is None
    assert ours.lookup(topic_prefix, text("a")) is None
    other = RegistryClient(registry.url)
    other.register(topic_prefix, text("a", "b"))
    assert ours.lookup(topic_prefix, text("a", "b")) is not None
    assert ours.versions(topic_prefix) == [1]
    other.register(topic_prefix, text("a"))
    latest = ours.version(topic_prefix, "latest")
    assert latest is not None
    assert latest.version == 2
    other.close()


def test_our_client_tells_the_registrys_reason(ours: RegistryClient, topic_prefix: str) -> None:
    ours.register(topic_prefix, text("a"))
    with pytest.raises(ConfigurationError, match="READER_FIELD_MISSING_DEFAULT_VALUE at /fields/1"):
        ours.register(topic_prefix, text("a", "b"))
    with pytest.raises(ConfigurationError, match="42201"):
        ours.lookup(topic_prefix, "{")


def test_our_client_sends_its_credentials() -> None:
    word = "opensesame"
    with server(200, b'{"schema":"\\"long\\""}', user=f"someone:{word}") as url:
        found = RegistryClient(url, username="someone", password=word).by_id(1)
    assert found is not None
    assert found.text == '"long"'


class _Answers(http.server.BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b""
    user: ClassVar[str | None] = None

    def do_GET(self) -> None:
        known = self.user is None or self.headers["Authorization"] == f"Basic {b64encode(self.user.encode()).decode()}"
        self.send_response(self.status if known else 401)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def server(status: int, body: bytes, user: str | None = None) -> Generator[str]:
    """A server that answers everything the same way, to `user:password` only where one is given."""
    handler = type("_These", (_Answers,), {"status": status, "body": body, "user": user})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}"
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_registry_that_fails_is_unavailable(status: int) -> None:
    body = json.dumps({"error_code": 50002, "message": "timed out"}).encode()
    with server(status, body) as url, pytest.raises(RegistryUnavailable):
        RegistryClient(url).by_id(1)


def test_a_registry_that_cannot_be_reached_is_unavailable() -> None:
    with server(200, b"") as url:
        pass
    with pytest.raises(RegistryUnavailable, match=r"no answer \(ConnectError\); start it, or mend registry\.url"):
        RegistryClient(url).by_id(1)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b'{"error_code":401,"message":"who are you"}', "registry.username"),
        (404, b"<html>nothing here</html>", "registry.url"),
        (200, b"<html>a web page</html>", "registry.url"),
    ],
)
def test_what_is_no_registry_is_a_matter_of_configuration(status: int, body: bytes, words: str) -> None:
    with server(status, body) as url, pytest.raises(ConfigurationError, match=words):
        RegistryClient(url).by_id(1)


def test_credentials_are_never_told() -> None:
    word = "opensesame"
    with server(403, b"{}") as url, pytest.raises(ConfigurationError) as caught:
        RegistryClient(url.replace("://", f"://someone:{word}@")).by_id(1)
    assert word not in str(caught.value)
    with server(403, b"{}") as url, pytest.raises(ConfigurationError) as caught:
        RegistryClient(url, username="someone", password=word).by_id(1)
    assert word not in str(caught.value)

"""What our registry writes into Kafka, and what it makes of what others wrote there."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from penstock.embedded.registry import RegistryServer
from penstock.errors import StartFailed
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.registry.raw_log import RawLog

pytestmark = pytest.mark.broker

NewRegistry = Callable[[], RegistryServer]


def test_the_topic_holds_confluents_layout_without_transactions(
    new_registry: NewRegistry, log: RawLog, kafka: KafkaUnderTest
) -> None:
    with httpx.Client(base_url=new_registry().url) as http:
        http.post("/subjects/s/versions", json={"schema": ' "long" '}).raise_for_status()
        http.put("/config", json={"compatibility": "NONE"}).raise_for_status()
        http.put("/mode/s", json={"mode": "READWRITE"}).raise_for_status()
        http.delete("/subjects/s").raise_for_status()
        http.delete("/subjects/s", params={"permanent": "true"}).raise_for_status()
    records = [r for r in log.read() if r.key["keytype"] != "NOOP"]
    assert [(r.key_bytes, r.value and r.json) for r in records] == [
        (
            b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}',
            {"subject": "s", "version": 1, "id": 1, "schema": ' "long" ', "deleted": False},
        ),
        (b'{"keytype":"CONFIG","subject":null,"magic":0}', {"subject": None, "compatibilityLevel": "NONE"}),
        (b'{"keytype":"MODE","subject":"s","magic":0}', {"subject": "s", "mode": "READWRITE"}),
        (b'{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}', {"subject": "s", "version": 1}),
        (b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}', None),
        (b'{"keytype":"MODE","subject":"s","magic":0}', None),
    ]
    everything = log.read()
    # Other registries wait until they have seen the record at end - 1: a transaction's marker there would be none.
    end = Admin(Connection(kafka.bootstrap_servers)).end_offsets([(log.topic, 0)])[log.topic, 0]
    assert [r.offset for r in everything] == list(range(end))
    assert all(r.writer for r in everything)


def other(keytype: str, subject: str | None, *, version: int | None = None) -> bytes:
    key: dict[str, Any] = {"keytype": keytype, "subject": subject}
    if version is not None:
        key["version"] = version
    return json.dumps({**key, "magic": 1 if keytype == "SCHEMA" else 0}, separators=(",", ":")).encode()


def schema(subject: str, version: int, schema_id: int, text: str, **more: Any) -> tuple[bytes, bytes]:
    value = {"subject": subject, "version": version, "id": schema_id, "schema": text, "deleted": False, **more}
    return other("SCHEMA", subject, version=version), json.dumps(value).encode()


def test_records_of_confluent_and_karapace_are_understood(
    new_registry: NewRegistry, log: RawLog, kafka: KafkaUnderTest
) -> None:
    connection = Connection(kafka.bootstrap_servers)
    Admin(connection).create([TopicSettings(log.topic, 1, config={"cleanup.policy": "compact"})])
    log.write(
        (b'{"keytype":"NOOP","magic":0}', None),
        schema(
            "plane", 1, 7, '"int"', guid="3fa85f64-5717-4562-b3fc-2c963f66afa6", md5="x", metadata=None, ruleSet=None
        ),
        schema("plane", 2, 9, '"long"', schemaType="AVRO", references=[]),
        schema("proto", 1, 10, 'syntax = "proto3";', schemaType="PROTOBUF"),
        schema("gone", 1, 11, '"bytes"'),
        schema("buried", 1, 12, '"float"'),
        schema("empty", 1, 13, '"double"'),
        (other("DELETE_SUBJECT", "gone"), b'{"subject":"gone","version":1}'),
        (other("SCHEMA", "buried", version=1), None),
        (other("SCHEMA", "empty", version=1), b""),
        (other("CONFIG", None), b'{"compatibilityLevel":"FULL"}'),
        (other("CONFIG", "plane"), b'{"subject":"plane","compatibilityLevel":"NONE","alias":"p"}'),
        (other("MODE", "gone"), b'{"subject":"gone","mode":"READONLY"}'),
        (other("CLEAR_SUBJECT", "plane"), b'{"subject":"plane"}'),
        (b'{"keytype":"CONTEXT","tenant":"t","context":"c","magic":0}', b"{}"),
        (b'{"keytype":"NEWS","magic":0}', b"{}"),
        (b"not json", b"not json"),
        (other("SCHEMA", "plane", version=3), b"not json"),
        (other("SCHEMA", "plane", version=4), b'{"subject":"plane"}'),
    )
    with httpx.Client(base_url=new_registry().url) as http:
        assert http.get("/subjects").json() == ["plane", "proto"]
        assert http.get("/subjects?deleted=true").json() == ["gone", "plane", "proto"]
        assert http.get("/subjects/plane/versions").json() == [1, 2]
        assert http.get("/schemas/ids/7/schema").json() == "int"
        assert http.get("/schemas/guids/3fa85f64-5717-4562-b3fc-2c963f66afa6").json()["id"] == 7
        assert http.get("/schemas/ids/10").json()["schemaType"] == "PROTOBUF"
        assert http.get("/schemas/ids/11/versions").json() == []
        assert http.get("/schemas/ids/12").json()["error_code"] == 40403
        assert http.get("/config").json() == {"compatibilityLevel": "FULL"}
        assert http.get("/config/plane").json() == {"compatibilityLevel": "NONE"}
        assert http.get("/mode/gone").json() == {"mode": "READONLY"}
        # the same schema keeps its id, a new one gets one above all that were ever there
        assert http.post("/subjects/new/versions", json={"schema": '{"type":"int"}'}).json()["id"] == 7
        assert http.post("/subjects/plane/versions", json={"schema": '"string"'}).json()["id"] == 14
        # what another registry writes meanwhile counts too, to the last record, before a new id is given
        log.write(*(schema("busy", n, 20 + n, '"boolean"') for n in range(1, 5_001)))
        assert http.post("/subjects/plane/versions", json={"schema": '"null"'}).json()["id"] == 5_021


def test_a_restart_keeps_everything_and_gives_no_id_twice(new_registry: NewRegistry) -> None:
    """Also the highest id, whose only record was deleted for good; the one behind it may be under way (`ledger.py`)."""
    registry = new_registry()
    with httpx.Client(base_url=registry.url) as http:
        for number, text in enumerate(('"int"', '"long"', '"float"'), start=1):
            assert http.post(f"/subjects/s{number}/versions", json={"schema": text}).json()["id"] == number
        http.delete("/subjects/s3").raise_for_status()
        http.delete("/subjects/s3?permanent=true").raise_for_status()
        http.put("/config/s1", json={"compatibility": "FULL"}).raise_for_status()
        registry.restart()
        assert http.get("/subjects").json() == ["s1", "s2"]
        assert http.get("/config/s1").json() == {"compatibilityLevel": "FULL"}
        assert http.get("/subjects/s2/versions/1").json()["id"] == 2
        assert http.post("/subjects/s4/versions", json={"schema": '"double"'}).json()["id"] == 5, "4 is used up"


def test_the_highest_id_survives_the_compaction_of_its_record(new_registry: NewRegistry, log: RawLog) -> None:
    """What is left of a compacted log is each key's last record: replayed alone, it gives the same next id."""
    with httpx.Client(base_url=new_registry().url) as http:
        for number, text in enumerate(('"int"', '"long"', '"float"'), start=1):
            http.post(f"/subjects/s{number}/versions", json={"schema": text}).raise_for_status()
        http.delete("/subjects/s3").raise_for_status()
        http.delete("/subjects/s3?permanent=true").raise_for_status()
    last = {r.key_bytes: r for r in log.read()}
    (claim,) = (r for r in last.values() if r.key["keytype"] == "NOOP")
    assert claim.json["highestId"] == 3


def test_a_topic_that_would_lose_schemas_is_refused(
    new_registry: NewRegistry, log: RawLog, kafka: KafkaUnderTest
) -> None:
    Admin(Connection(kafka.bootstrap_servers)).create([TopicSettings(log.topic, 2)])
    with pytest.raises(StartFailed, match=r"2 partitions and cleanup\.policy=delete"):
        new_registry()

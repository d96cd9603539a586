"""What a pipeline runs with, kept as bytes: read by other releases, refused where it cannot be."""

from __future__ import annotations

import msgspec
import pytest

from penstock.errors import OperatorMustDecide
from penstock.topology.deployment import FORMAT, Deployment, DeploymentRecord, decode, deployment_of, encode
from tests.unit.topology import flights

TOPOLOGY = flights.build().topology()
WHERE = "p.topology[0]@7"


def record() -> DeploymentRecord:
    deployment = deployment_of(TOPOLOGY, {"flights": 8, "planes": 8, "late-flights": 3})
    return DeploymentRecord(deployment=deployment, writer="p.0", recorded_ms=17, accepted=("a store",), release="0.1")


def test_it_comes_back_as_it_was() -> None:
    assert decode(encode(record()), WHERE) == record()


def test_it_says_what_the_topology_says_and_how_wide_the_inputs_are() -> None:
    found = record().deployment
    assert (found.pipeline, found.fingerprint) == ("flight-status", TOPOLOGY.fingerprint)
    assert found.partitions == {"planes": 8, "flights": 8}
    group, by_airline, wide = found.groups
    assert (by_airline.has_changelog, wide.has_changelog) == (True, True), "behind a repartition, without a store too"
    assert list(group.stores) == ["planes-by-tail", "last-flight", "flights-by-tail"]
    assert {store: topic.name for store, topic in group.tables.items()} == {"planes-by-tail": "planes"}
    assert found.keeps("flights")
    assert not found.keeps("planes")


def test_fields_of_a_later_release_are_ignored_and_missing_ones_filled_in() -> None:
    data = msgspec.msgpack.decode(encode(record()))
    data["deployment"]["colour"] = data["colour"] = "blue"
    for name in ("partitions", "groups"):
        del data["deployment"][name]
    found = decode(msgspec.msgpack.encode(data), WHERE)
    assert found.deployment == Deployment(pipeline="flight-status", fingerprint=TOPOLOGY.fingerprint)


def test_a_later_format_is_refused_with_what_to_run() -> None:
    data = msgspec.msgpack.decode(encode(record())) | {"format": FORMAT + 1}
    with pytest.raises(OperatorMustDecide, match=r"p\.topology\[0\]@7.*format 2.*up to 1; run the release") as caught:
        decode(msgspec.msgpack.encode(data), WHERE)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("data", [b"", b"\x80", b"{}", msgspec.msgpack.encode({"format": 1})])
def test_what_is_no_such_record_is_refused_by_its_place(data: bytes) -> None:
    with pytest.raises(OperatorMustDecide, match=r"p\.topology\[0\]@7: no deployed topology"):
        decode(data, WHERE)

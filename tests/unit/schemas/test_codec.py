"""Frames, ids and subjects: what the codec asks of a registry, and what it does when that is missing, wrong or down."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import msgspec
import pytest

from penstock.clock import SystemClock
from penstock.errors import ConfigurationError, RegistryUnavailable, UnencodableValue
from penstock.protocols import SchemaReference
from penstock.schemas.codec import AvroCodec, DeclaredType
from penstock.schemas.ids import UNKNOWN_ID_TTL_S
from penstock.schemas.parse import parse
from penstock.schemas.serdes import avro
from penstock.testing.memory_registry import MemoryRegistry


def schema(name: str, *fields: tuple[str, Any]) -> str:
    listed = [{"name": each, "type": kind} for each, kind in fields]
    return json.dumps({"type": "record", "name": name, "namespace": "shop", "fields": listed})


class Order(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    __avro_schema__: ClassVar[str] = schema("Order", ("id", "long"))


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    __avro_schema__: ClassVar[str] = schema("Refund", ("id", "long"))


class HandMoved(SystemClock):
    """A clock that stands until it is moved."""

    now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s


def frame(schema_id: int) -> bytes:
    return b"\x00" + schema_id.to_bytes(4, "big")


def test_a_record_is_framed_as_confluent_frames_it() -> None:
    codec = avro(Order).bind("orders", "value", MemoryRegistry(), auto_register=True)
    assert codec.encode([Order(id=1)]) == [b"\x00\x00\x00\x00\x01\x02"]


def test_a_record_without_fields_is_five_bytes() -> None:
    codec = avro(schema=schema("Empty")).bind("t", "value", MemoryRegistry(), auto_register=True)
    (encoded,) = codec.encode([{}])
    assert encoded == frame(1)
    assert codec.decode([encoded]).values == [{}]


def test_a_schema_of_plain_bytes_is_written_raw() -> None:
    """Confluent's convention, not Avro's."""
    codec = avro(schema='{"type":"bytes"}').bind("t", "value", MemoryRegistry(), auto_register=True)
    assert codec.encode([b"\xff\x00", b""]) == [frame(1) + b"\xff\x00", frame(1)]
    assert codec.decode([frame(1) + b"\xff\x00", frame(1)]).values == [b"\xff\x00", b""]


def test_without_auto_register_a_missing_schema_is_an_error_with_the_way_out() -> None:
    registry = MemoryRegistry()
    codec = avro(Order).bind("orders", "value", registry)
    with pytest.raises(ConfigurationError, match=r"'orders-value'.*penstock schemas register"):
        codec.encode([Order(id=1)])
    registry.register("orders-value", Order.__avro_schema__)
    assert codec.encode([Order(id=1)]) == [frame(1) + b"\x02"]


def test_ids_belong_to_a_topic_and_are_not_carried_to_another() -> None:
    """One serde on two topics whose registry gives different ids."""
    registry = MemoryRegistry()
    registry.register("a-value", Order.__avro_schema__)
    registry.register("b-value", json.dumps(json.loads(Order.__avro_schema__), indent=1))
    serde = avro(Order)
    a, b = serde.bind("a", "value", registry), serde.bind("b", "value", registry)
    ids = [codec.encode([Order(id=1)])[0][4] for codec in (a, b, a)]
    assert ids == [1, 2, 1]


def test_a_schema_registered_with_references_is_found_by_its_content() -> None:
    registry = MemoryRegistry()
    money = '{"type":"fixed","name":"Money","namespace":"shop","size":2}'
    registry.register("money", money)
    text = schema("Priced", ("price", "shop.Money"))
    wanted = registry.register("t-value", text, [SchemaReference("shop.Money", "money", 1)])
    full = parse(text, [money]).self_contained

    codec = avro(schema=full).bind("t", "value", registry)

    (encoded,) = codec.encode([{"price": b"ab"}])
    assert encoded == frame(wanted.id) + b"ab"
    assert codec.decode([encoded]).values == [{"price": b"ab"}]


def test_a_class_whose_doc_has_half_a_surrogate_pair_is_a_class_like_any_other() -> None:
    """JSON can spell it and UTF-8 cannot; a foreign registry may have taken it."""

    class Odd(msgspec.Struct):
        __avro_schema__: ClassVar[str] = '{"type":"record","name":"Odd","doc":"\\ud800","fields":[]}'

    codec = avro(Odd).bind("t", "value", MemoryRegistry(), auto_register=True)
    assert codec.decode(codec.encode([Odd()])).values == [Odd()]


def test_a_missing_reference_makes_the_schema_invalid_and_not_the_process() -> None:
    registry = MemoryRegistry()
    text = schema("Priced", ("price", "shop.Money"))
    found = registry.register("t-value", text, [SchemaReference("shop.Money", "gone", 1)])
    codec = avro(schema=schema("Priced")).bind("t", "value", registry)
    assert codec.decode([frame(found.id) + b"ab"]).failures[0].reason == "invalid_schema"


@pytest.mark.parametrize(
    ("strategy", "subject"),
    [("topic", "orders-key"), ("record", "shop.Order"), ("topic-record", "orders-shop.Order")],
)
def test_subjects_are_named_by_the_strategy(strategy: Any, subject: str) -> None:
    registry = MemoryRegistry()
    avro(Order, subject=strategy).bind("orders", "key", registry, auto_register=True).encode([Order(id=1)])
    assert registry.versions(subject) == [1]


def test_several_types_share_a_topic_and_come_back_as_what_they_were() -> None:
    registry = MemoryRegistry()
    codec = avro(Order, Refund).bind("orders", "value", registry, auto_register=True)
    values: list[Order | Refund] = [Order(id=1), Refund(id=2), Order(id=3)]

    assert codec.decode(codec.encode(values)).values == values
    assert registry.versions("orders-shop.Refund") == [1]
    with pytest.raises(UnencodableValue, match=r"takes shop.Order, shop.Refund, not dict") as caught:
        codec.encode([Order(id=1), {"id": 2}])  # type: ignore[list-item]  # the point
    assert caught.value.index == 1


def test_an_unknown_id_is_asked_for_once_and_again_after_a_while() -> None:
    registry, clock = MemoryRegistry(), HandMoved()
    declared = [DeclaredType(parse(Order.__avro_schema__), Order)]
    codec: AvroCodec[Order] = AvroCodec(declared, "orders", "value", registry, clock=clock)

    for _ in range(3):
        got = codec.decode([frame(1) + b"\x02", frame(1) + b"\x04"])
        assert [got.failures[0].reason, got.failures[1].reason] == ["unknown_schema"] * 2
        assert got.failures[0].schema_id == 1
    assert registry.lookups_by_id == [1]

    registry.register("orders-value", Order.__avro_schema__)
    clock.now_s = UNKNOWN_ID_TTL_S
    assert codec.decode([frame(1) + b"\x02"]).values == [Order(id=1)]


def test_a_known_id_is_asked_for_once() -> None:
    registry = MemoryRegistry()
    codec = avro(Order).bind("orders", "value", registry, auto_register=True)
    for _ in range(3):
        codec.decode(codec.encode([Order(id=1)]))
    assert registry.lookups_by_id == [1]


def test_a_schema_that_cannot_be_read_as_the_declared_type_is_asked_for_once() -> None:
    registry = MemoryRegistry()
    registry.register("other", schema("Order", ("id", "string")))
    codec = avro(Order).bind("orders", "value", registry)
    for _ in range(3):
        failure = codec.decode([frame(1) + b"\x00"]).failures[0]
        assert failure.reason == "unresolvable"
        assert "shop.Order.id: written as string, read as long" in str(failure)
    assert registry.lookups_by_id == [1]


def test_a_registry_that_is_down_is_never_a_bad_record() -> None:
    registry = MemoryRegistry()
    codec = avro(Order).bind("orders", "value", registry, auto_register=True)
    registry.is_down = True
    with pytest.raises(RegistryUnavailable):
        codec.decode([b"\x01garbage", frame(1) + b"\x02"])
    with pytest.raises(RegistryUnavailable):
        codec.encode([Order(id=1)])
    registry.is_down = False
    assert codec.decode(codec.encode([Order(id=1)])).values == [Order(id=1)]


def test_a_registry_that_goes_down_between_two_schemas_of_a_batch_takes_nothing_of_it_for_bad() -> None:
    """The first schema is known, the second has to be asked for."""
    registry = MemoryRegistry()
    codec = avro(Order).bind("orders", "value", registry, auto_register=True)
    known = codec.encode([Order(id=1)])
    codec.decode(known)
    registry.is_down = True
    with pytest.raises(RegistryUnavailable):
        codec.decode([*known, frame(2) + b"\x02"])
    assert codec.decode(known).values == [Order(id=1)]


class Exhausting(msgspec.Struct, frozen=True, kw_only=True):
    """Stands for a record that is decoded when memory has run out."""

    id: int
    __avro_schema__: ClassVar[str] = schema("Order", ("id", "long"))

    def __post_init__(self) -> None:
        if self.id == 2:
            raise MemoryError


@pytest.mark.parametrize("ids", [[2], [1, 2], [-1, 2]])
def test_a_process_out_of_memory_is_never_a_bad_record(ids: list[int]) -> None:
    registry = MemoryRegistry()
    registry.register("orders-value", Order.__avro_schema__)
    codec = avro(Exhausting).bind("orders", "value", registry)
    records = [frame(1) + (b"" if each < 0 else bytes([2 * each])) for each in ids]  # below 0: cut off
    with pytest.raises(MemoryError):
        codec.decode(records)


def test_an_empty_batch_asks_nothing() -> None:
    registry = MemoryRegistry()
    codec = avro(Order).bind("orders", "value", registry)
    registry.is_down = True
    assert codec.decode([]) == ([], {})


@pytest.mark.parametrize("record", [b"", b"\x00", b"\x00\x00\x00\x00"])
def test_a_broken_frame_has_no_schema_id(record: bytes) -> None:
    failure = avro(Order).bind("t", "value", MemoryRegistry()).decode([record]).failures[0]
    assert (failure.reason, failure.schema_id) == ("frame", None)

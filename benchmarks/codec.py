"""Avro, one batch of 1,000 records after the other: ours against bare fastavro and Apache's library.

fastavro gives and takes dicts, checks nothing, and reads with the writer's schema; ours gives and takes objects of a
declared class, resolves schemas and keeps all guards. Every contestant reads and writes Confluent's frame.

`small7`: 2 long, 2 string, int, double, nullable string. `medium25`: 25 fields, among them an enum, a nested record,
lists, nullables. `flight`: what the flights producer writes, with timestamps.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import random
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import avro.io
import avro.schema
import fastavro
import msgspec

from benchmarks import bids
from benchmarks.measure import Contestant, Row, compare
from penstock.schemas.topic import BoundTopic, Topic
from penstock.testing.memory_registry import MemoryRegistry
from schemas.flights import Flight

RECORDS = 1_000
BATCHES = 20
APACHE_BATCHES = 2
ROUNDS = 7


class Status(StrEnum):
    """How an order stands."""

    OPEN = "OPEN"
    PAID = "PAID"
    SENT = "SENT"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order goes."""

    street: str
    city: str
    zip_code: int


_TEXT = ("customer", "email", "first", "last", "currency", "channel", "note")
_LONGS = ("id", "created", "updated", "items", "weight", "warehouse")
_DOUBLES = ("price", "tax", "discount", "total")
_NULLABLE = ("voucher", "referrer", "comment")

Order: Any = msgspec.defstruct(
    "Order",
    [
        *((name, str) for name in _TEXT),
        *((name, int) for name in _LONGS),
        *((name, float) for name in _DOUBLES),
        *((name, str | None) for name in _NULLABLE),
        ("status", Status),
        ("address", Address),
        ("tags", list[str]),
        ("is_gift", bool),
        ("is_paid", bool),
    ],
    frozen=True,
    kw_only=True,
    module=__name__,
)
Order.__avro_schema__ = json.dumps(
    {
        "type": "record",
        "name": "Order",
        "namespace": "bench",
        "fields": [
            *({"name": name, "type": "string"} for name in _TEXT),
            *({"name": name, "type": "long"} for name in _LONGS),
            *({"name": name, "type": "double"} for name in _DOUBLES),
            *({"name": name, "type": ["null", "string"]} for name in _NULLABLE),
            {"name": "status", "type": {"type": "enum", "name": "Status", "symbols": [each.value for each in Status]}},
            {
                "name": "address",
                "type": {
                    "type": "record",
                    "name": "Address",
                    "fields": [
                        {"name": "street", "type": "string"},
                        {"name": "city", "type": "string"},
                        {"name": "zip_code", "type": "int"},
                    ],
                },
            },
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "is_gift", "type": "boolean"},
            {"name": "is_paid", "type": "boolean"},
        ],
    }
)


def run() -> list[Row]:
    """Decode and encode, each schema, interleaved rounds."""
    rows: list[Row] = []
    for name, cls, values in (
        ("small7", bids.Bid, bids.bids(RECORDS)),
        ("medium25", Order, _orders()),
        ("flight", Flight, _flights()),
    ):
        bound = Topic("bench", key=str, value=cls).bind(MemoryRegistry(), auto_register=True)
        data = [each or b"" for each in bound.encode_values(values)]
        plain = _Fastavro(cls.__avro_schema__, data[0][:5])
        apache = _Apache(cls.__avro_schema__, data[0][:5])
        dicts = [plain.decode(each) for each in data]
        # What is compared must do the same work.
        if [plain.encode(each) for each in dicts] != data or bound.decode_values(data).values != values:
            raise AssertionError(f"{name}: the contestants disagree")
        rows += _decode(name, bound, plain, apache, data)
        rows += _encode(name, bound, plain, apache, dicts, values)
    return rows


def _decode(name: str, bound: BoundTopic[Any, Any], plain: _Fastavro, apache: _Apache, data: list[bytes]) -> list[Row]:
    return compare(
        f"avro decode {name}",
        [
            Contestant("fastavro, to dicts", lambda: _each(plain.decode, data, BATCHES)),
            Contestant("penstock, to objects", lambda: _batches(bound.decode_values, data)),
            Contestant("Apache avro, to dicts", lambda: _each(apache.decode, data, APACHE_BATCHES)),
        ],
        rounds=ROUNDS,
    )


def _encode(
    name: str, bound: BoundTopic[Any, Any], plain: _Fastavro, apache: _Apache, dicts: list[Any], values: list[Any]
) -> list[Row]:
    return compare(
        f"avro encode {name}",
        [
            Contestant("fastavro, from dicts", lambda: _each(plain.encode, dicts, BATCHES)),
            Contestant("penstock, from objects", lambda: _batches(bound.encode_values, values)),
            Contestant("Apache avro, from dicts", lambda: _each(apache.encode, dicts, APACHE_BATCHES)),
        ],
        rounds=ROUNDS,
    )


def _each(one: Callable[[Any], object], values: list[Any], batches: int) -> int:
    for _ in range(batches):
        # Kept, as a batch is: memory that is used again at once is far cheaper, and no pipeline works like that.
        [one(value) for value in values]
    return batches * len(values)


def _batches(many: Callable[[list[Any]], object], values: list[Any]) -> int:
    for _ in range(BATCHES):
        many(values)
    return BATCHES * len(values)


class _Fastavro:
    def __init__(self, schema: str, frame: bytes) -> None:
        self._schema = fastavro.parse_schema(json.loads(schema))
        self._frame = frame

    def decode(self, data: bytes) -> Any:
        stream = io.BytesIO(data)
        stream.seek(5)
        return fastavro.schemaless_reader(stream, self._schema, None)

    def encode(self, value: Any) -> bytes:
        stream = io.BytesIO()
        stream.write(self._frame)
        fastavro.schemaless_writer(stream, self._schema, value)
        return stream.getvalue()


class _Apache:
    def __init__(self, schema: str, frame: bytes) -> None:
        self._schema = avro.schema.parse(schema)
        self._frame = frame
        self._reader, self._writer = avro.io.DatumReader(self._schema), avro.io.DatumWriter(self._schema)

    def decode(self, data: bytes) -> Any:
        stream = io.BytesIO(data)
        stream.seek(5)
        return self._reader.read(avro.io.BinaryDecoder(stream))

    def encode(self, value: Any) -> bytes:
        stream = io.BytesIO()
        stream.write(self._frame)
        self._writer.write(value, avro.io.BinaryEncoder(stream))
        return stream.getvalue()


# ---------------------------------------------------------------- values


def _orders() -> list[Any]:
    chance = random.Random(25)
    return [
        Order(
            **{name: f"{name} {chance.randrange(10**4)}" for name in _TEXT},
            **{name: chance.randrange(10**12) for name in _LONGS},
            **{name: chance.random() * 1_000 for name in _DOUBLES},
            **{name: None if chance.random() < 0.5 else name for name in _NULLABLE},
            status=chance.choice(list(Status)),
            address=Address(street="12 Long Street", city="Kyoto", zip_code=chance.randrange(10**5)),
            tags=["new", "urgent"][: chance.randrange(3)],
            is_gift=chance.random() < 0.1,
            is_paid=chance.random() < 0.9,
        )
        for _ in range(RECORDS)
    ]


def _flights() -> list[Any]:
    chance = random.Random(2013)
    start = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    return [_flight(chance, start + dt.timedelta(minutes=number)) for number in range(RECORDS)]


def _flight(chance: random.Random, at: dt.datetime) -> Flight:
    late, air = chance.randrange(-10, 120), chance.randrange(40, 400)
    cancelled = chance.random() < 0.025
    return Flight(
        carrier=chance.choice(("UA", "AA", "B6", "DL")),
        flight_number=chance.randrange(1, 8_500),
        tail_number=None if chance.random() < 0.01 else f"N{chance.randrange(100, 999)}UA",
        origin=chance.choice(("EWR", "JFK", "LGA")),
        destination="IAH",
        scheduled_departure_at=at,
        departed_at=None if cancelled else at + dt.timedelta(minutes=late),
        departure_delay_min=None if cancelled else late,
        scheduled_arrival_at=at + dt.timedelta(minutes=air + 30),
        arrived_at=None if cancelled else at + dt.timedelta(minutes=air + 30 + late),
        arrival_delay_min=None if cancelled else late,
        air_time_min=None if cancelled else air,
        distance_mi=air * 7,
        cancelled=cancelled,
    )

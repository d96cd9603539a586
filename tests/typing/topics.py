"""Type-checked only: what a topic's declaration tells the type checkers."""

from __future__ import annotations

from typing import Any, assert_type

from penstock.protocols import Decoded
from penstock.schemas.serdes import avro, int64, json
from penstock.schemas.topic import Topic
from schemas.flights import Flight, Plane

FLIGHTS = Topic("flights", key=str, value=Flight)
assert_type(FLIGHTS, Topic[str, Flight])
assert_type(FLIGHTS.bind().decode_values([b""]), Decoded[Flight])
assert_type(FLIGHTS.bind().encode_values([None]), "list[bytes | None]")

assert_type(Topic("counts", key=bytes, value=int64), Topic[bytes, int])
assert_type(Topic("both", key=str, value=avro(Flight, Plane)), Topic[str, Flight | Plane])
assert_type(Topic("anything", key=str, value=json()), Topic[str, Any])
assert_type(Topic("typed", key=str, value=json(Plane)), Topic[str, Plane])

"""Mutate valid records and decode them, in a process with bounded memory: `python -m` this with a seed and a count.

Prints JSON: how many were decoded and refused, by reason. Apache's library, which shares no code with ours, is asked
about everything that was decoded: it must read the same value from the same bytes, to the last one.
"""

from __future__ import annotations

import io
import json
import math
import random
import resource
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import avro.io
import avro.schema
import fastavro

from penstock.errors import UndecodableRecord
from penstock.protocols import Codec
from penstock.schemas.malformed import REASONS
from penstock.schemas.serdes import avro as avro_serde
from penstock.testing.memory_registry import MemoryRegistry
from tests.unit.schemas.avro_everything import PRIMITIVE_FIELDS, SCHEMA

MAX_BYTES = 1 << 30
MAX_SECONDS_PER_RECORD = 2.0
FRAME = b"\x00\x00\x00\x00\x01"

_PLAIN: dict[str, Any] = {
    "type": "record",
    "name": "Plain",
    "fields": [
        *PRIMITIVE_FIELDS,
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}},
        {"name": "u", "type": ["null", "int", "string", {"type": "array", "items": "long"}]},
        {"name": "xs", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "m", "type": {"type": "map", "values": {"type": "array", "items": "double"}}},
        {"name": "nothing", "type": {"type": "array", "items": "null"}},
    ],
}
_TREE: dict[str, Any] = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "v", "type": "int"}, {"name": "kids", "type": {"type": "array", "items": "Tree"}}],
}


def _plain(chance: random.Random) -> Any:
    return {
        "flag": chance.random() < 0.5,
        "i": chance.randrange(-(2**31), 2**31),
        "l": chance.randrange(-(2**63), 2**63),
        "f": 1.5,
        "d": chance.random(),
        "b": chance.randbytes(5),
        "s": chance.choice(["", "héllo", "日本語日本語", "a" * 70]),
        "fixed": b"abc",
        "e": chance.choice("ABC"),
        "u": chance.choice([None, 5, "x", [1, 2]]),
        "xs": [None, "x"][: chance.randrange(3)],
        "m": {"k": [1.0, -2.0]},
        "nothing": [None] * chance.randrange(3),
    }


def _tree(chance: random.Random, depth: int = 4) -> Any:
    kids = [_tree(chance, depth - 1) for _ in range(chance.randrange(3))] if depth else []
    return {"v": chance.randrange(100), "kids": kids}


class Target(NamedTuple):
    """A schema under fire."""

    codec: Codec[Any]
    seeds: list[bytes]
    apache: Any


def targets(chance: random.Random) -> list[Target]:
    """Plain types, a recursive type, and every logical type; the last one's bytes come from fastavro."""
    plain = [_plain(chance) for _ in range(20)]
    trees = [_tree(chance) for _ in range(20)]
    made: list[Target] = []
    for schema, values in ((_PLAIN, plain), (_TREE, trees)):
        codec = avro_serde(schema=json.dumps(schema)).bind("t", "value", MemoryRegistry(), auto_register=True)
        seeds = codec.encode(values)
        made.append(Target(codec, seeds, avro.io.DatumReader(avro.schema.parse(json.dumps(schema)))))
    registry = MemoryRegistry()
    registry.register("t", json.dumps(SCHEMA))
    everything = avro_serde(schema=json.dumps(SCHEMA)).bind("t", "value", registry)
    made.append(Target(everything, [FRAME + _everything(chance) for _ in range(20)], None))
    return made


def _everything(chance: random.Random) -> bytes:
    physical = json.loads(json.dumps(SCHEMA), object_hook=_without_logical)
    stream = io.BytesIO()
    value: dict[str, Any] = {
        "n": None,
        "flag": True,
        "i": 1,
        "l": 2,
        "f": 1.0,
        "d": 2.0,
        "b": b"x",
        "s": "text",
        "fixed": b"abc",
        "color": "RED",
        "at_ms": chance.randrange(10**12),
        "at_us": chance.randrange(10**15),
        "local_ms": 5,
        "day": 10_000,
        "clock_ms": 1_000,
        "clock_us": 1_000,
        "amount": b"\x01\x02",
        "amount_fixed": b"\0" * 6,
        "uuid": "00000000-0000-0000-0000-000000000001",
        "uuid_fixed": b"\1" * 16,
        "inner": {"a": 1, "b": ["x"]},
        "maybe": "x",
        "maybe_int": None,
        "maybe_at": 5,
        "maybe_inner": None,
        "numbers": [1, 2],
        "days": [3],
        "flags": [True, False],
        "inners": {"k": {"a": 1, "b": []}},
        "one_of": chance.choice([None, 5, "x", [1.0]]),
    }
    fastavro.schemaless_writer(stream, physical, value)
    return stream.getvalue()


def _without_logical(json_object: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in json_object.items() if key != "logicalType"}


_NASTY = (
    b"\x80" * 30,
    b"\xff" * 9 + b"\x01",
    b"\xff" * 10,
    b"\xfe\xff\xff\xff\x0f",
    b"\x80\x84\xaf\x5f",
    b"\x01",
    b"\x03",
    b"\x00" * 8,
    b"\x02" * 400,
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
)


def mutated(seed: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to three changes: flipped bits, bytes put in, taken out, cut off, repeated, or taken from another record."""
    data = bytearray(seed)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(0 if chance.random() < 0.05 else min(5, len(data)), len(data) + 1)  # seldom the frame
        match chance.choice((0, 0, 0, 1, 2, 3, 4, 5, 6)):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at:at] = chance.randbytes(chance.randrange(1, 6))
            case 2:
                del data[at : at + chance.randrange(1, 6)]
            case 3:
                del data[at:]
            case 4:
                data[at : at + chance.randrange(3)] = chance.choice(_NASTY)
            case 5:
                other = chance.choice(others)
                data[at:] = other[chance.randrange(len(other)) :]
            case _:
                data[at:at] = data[at : at + 20] * chance.randrange(1, 4)
    return bytes(data)


def is_same(one: Any, other: Any) -> bool:
    """Equal, with NaN equal to NaN and no difference between True and 1 overlooked."""
    if isinstance(one, dict) and isinstance(other, dict):
        mine: dict[Any, Any] = one
        theirs: dict[Any, Any] = other
        return mine.keys() == theirs.keys() and all(is_same(mine[key], theirs[key]) for key in mine)
    if isinstance(one, list) and isinstance(other, list):
        left: list[Any] = one
        right: list[Any] = other
        return len(left) == len(right) and all(map(is_same, left, right))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other


def fuzz(seed: int, count: int) -> Counter[str]:
    """Decode `count` mutated records, some alone and some in a batch with a good one.

    Raises:
        AssertionError: something else than a value or an `UndecodableRecord` came out, or a wrong value, or too late.
    """
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    aims = targets(chance)
    for number in range(count):
        codec, seeds, apache = aims[number % len(aims)]
        good = chance.choice(seeds)
        bad = mutated(good, seeds, chance)
        started = time.monotonic()
        decoded = codec.decode([bad, good])
        assert time.monotonic() - started < MAX_SECONDS_PER_RECORD, bad
        assert decoded.values[1] is not None, bad
        assert 1 not in decoded.failures, bad
        if failure := decoded.failures.get(0):
            assert type(failure) is UndecodableRecord
            assert failure.reason in REASONS, failure.reason
            outcomes[failure.reason] += 1
            continue
        outcomes["decoded"] += 1
        if apache is not None:
            stream = io.BytesIO(bad[5:])
            theirs = apache.read(avro.io.BinaryDecoder(stream))
            assert stream.read() == b"", bad
            assert is_same(decoded.values[0], theirs), bad
    return outcomes


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Apache's parser warns of logical types that it does not know
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    outcomes = fuzz(int(sys.argv[1]), int(sys.argv[2]))
    # Not ru_maxrss: it keeps the peak of the process that started this one, from before its exec.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak_mib = int(status["VmHWM"].split()[0]) // 1024
    print(json.dumps({"outcomes": outcomes, "peak_mib": peak_mib}))  # noqa: T201 - its answer

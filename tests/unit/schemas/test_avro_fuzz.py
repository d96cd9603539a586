"""Mutated bytes: no crash, no hang, bounded memory, and every failure an `UndecodableRecord`."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from penstock.schemas.serdes import avro
from penstock.testing.memory_registry import MemoryRegistry


def run(seed: int, count: int) -> dict[str, int]:
    """Fuzz in a process of its own, which may die of it."""
    command = [sys.executable, "-m", "tests.unit.schemas.avro_fuzzing", str(seed), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1_800)
    assert done.returncode == 0, f"seed {seed}: exit code {done.returncode}\n{done.stderr[-3_000:]}"
    answer = json.loads(done.stdout)
    assert answer["peak_mib"] < 300
    outcomes: dict[str, int] = answer["outcomes"]
    assert sum(outcomes.values()) == count
    return outcomes


def test_ten_thousand_mutated_records_do_no_harm() -> None:
    outcomes = run(seed=random.SystemRandom().randrange(2**32), count=10_000)
    # Enough got through, and enough was found: neither the mutations nor the codec are blunt.
    assert outcomes["decoded"] > 300
    for reason in ("truncated", "trailing_bytes", "union_index", "int_range", "varint", "utf8", "magic_byte"):
        assert outcomes.get(reason, 0) > 0, reason


@pytest.mark.full
@pytest.mark.parametrize("seed", range(4))
def test_a_million_mutated_records_do_no_harm(seed: int) -> None:
    run(seed, count=250_000)


def test_random_frames_do_no_harm() -> None:
    """Bytes from nowhere, with and without a frame that means something."""
    chance = random.Random(5)
    codec = avro(schema='{"type":"array","items":"string"}').bind("t", "value", MemoryRegistry(), auto_register=True)
    codec.encode([["x"]])
    data = [chance.randbytes(chance.randrange(12)) for _ in range(2_000)]
    data += [b"\x00" * chance.randrange(6) + b"\x01" + chance.randbytes(chance.randrange(9)) for _ in range(2_000)]
    decoded = codec.decode(data)
    assert len(decoded.values) == len(data)
    assert all((value is None) == (index in decoded.failures) for index, value in enumerate(decoded.values))
    assert {failure.reason for failure in decoded.failures.values()} >= {"frame", "magic_byte", "unknown_schema"}

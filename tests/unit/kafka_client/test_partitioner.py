"""Murmur2 as Java computes it: the vectors of Kafka's own UtilsTest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.kafka.partitioner import murmur2, partition_for

VECTORS = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize(("key", "signed"), VECTORS.items())
def test_murmur2_gives_what_java_gives(key: str, signed: int) -> None:
    assert int.from_bytes(murmur2(key.encode()).to_bytes(4, "big"), "big", signed=True) == signed


def test_the_sign_bit_is_dropped_before_the_division() -> None:
    """`Utils.toPositive` of Java, which is no absolute value."""
    assert partition_for(b"21", 7) == (-973932308 & 0x7FFFFFFF) % 7
    assert partition_for(b"abc", 7) == 479470107 % 7


@given(key=st.binary(max_size=40), partitions=st.integers(1, 1_000))
def test_every_key_has_a_partition_of_the_topic(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions

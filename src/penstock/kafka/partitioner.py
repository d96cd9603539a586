"""Java's default partitioner: murmur2 over the key's bytes.

Clients partition inside librdkafka (`partitioner=murmur2_random`); this one is for places that must know the answer
themselves. Same constants as `org.apache.kafka.common.utils.Utils.murmur2`; the tests hold Kafka's own vectors.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, seed 0x9747b28c; unsigned, where Java's is signed."""
    length = len(data)
    h = (0x9747B28C ^ length) & _MASK
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_for(key: bytes, partitions: int) -> int:
    """The partition that Java's producer, and ours, puts this key on."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions

"""Dead letters as the tests of redriving want them."""

from __future__ import annotations

from typing import Any

from penstock.deadletter.dead_letter import DeadLetter, Source


def dead_letter(offset: int = 0, partition: int = 0, **more: Any) -> DeadLetter:
    """One of ours, of a record in topic `in`; what is given is otherwise."""
    told: dict[str, Any] = {
        "topic": "dlq.p.in",
        "partition": partition,
        "offset": offset,
        "timestamp_ms": 1_000,
        "key": b"key",
        "value": str(offset).encode(),
        "headers": (("tag", b"1"),),
        "dialect": "penstock",
        "source": Source("in", partition, 100 + offset),
        "original_ms": 1_000,
        "fingerprint": "00aa",
        **more,
    }
    return DeadLetter(**told)

"""A small changelog: a claim and three transactions, with transaction markers between them."""

from __future__ import annotations

from penstock.kafka.reader import RawRecord
from penstock.record import Record
from penstock.state import commit_record
from penstock.state import digest as digests
from penstock.state.changelog import COMMIT_RECORD_KEY, store_prefix
from penstock.state.commit_record import CommitRecord

A, B, C = (store_prefix("s") + key for key in (b"a", b"b", b"c"))


def record(offset: int, key: bytes | None, value: bytes | None) -> RawRecord:
    return Record(key=key, value=value, timestamp_ms=1_000 * offset, topic="p.in.changelog", partition=0, offset=offset)


def commit(offset: int, sequence: int, entries: dict[bytes, bytes]) -> RawRecord:
    made = CommitRecord(
        next_offsets={"in": 10 * sequence},
        sequence=sequence,
        writer="p.0",
        owner_epoch=1,
        stream_time_ms=None,
        digest=digests.to_bytes(digests.digest_of(entries)),
        topology="t",
    )
    return record(offset, COMMIT_RECORD_KEY, commit_record.encode(made))


STATES = [{}, {A: b"1"}, {A: b"2", B: b"1"}, {B: b"1", C: b"1"}]
"""After the claim, and after each of three transactions."""
LOG = [
    commit(0, 1, STATES[0]),
    record(2, A, b"1"),
    commit(3, 2, STATES[1]),
    record(5, A, b"2"),
    record(6, B, b"1"),
    commit(7, 3, STATES[2]),
    record(9, A, None),
    record(10, C, b"1"),
    commit(11, 4, STATES[3]),
]

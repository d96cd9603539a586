"""Record batches, built byte by byte; and the checksum and the compression under them."""

from __future__ import annotations

import gzip
import random
import struct

import pytest

from penstock.testing.crc32c import crc32c
from penstock.testing.lz4_frame import MalformedFrame, decompress
from penstock.testing.record_batch import Marker, StoredRecord, UnreadableLog, batches_in
from tests.unit.testing import log_bytes

# As a broker wrote it: key "k", value "v", header "h" = "x", from an idempotent producer.
WRITTEN = bytes.fromhex(
    "0000000000000000 0000003e 00000000 02 f9e2054d 0000 00000000 0000018bcfe56800 0000018bcfe56800"
    "0000000000000001 0000 00000000 00000001 18 00 00 00 02 6b 02 76 02 02 68 02 78"
)


def test_the_checksum_is_the_one_of_the_standard() -> None:
    assert crc32c(b"") == 0
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_the_checksum_is_that_of_its_definition_for_every_length() -> None:
    some = random.Random(1).randbytes(70)
    for length in range(len(some)):
        assert crc32c(some[:length]) == log_bytes.crc_bit_by_bit(some[:length])


def test_a_record_with_everything_is_read_back() -> None:
    headers = (("a", b"1"), ("a", None), ("ü", b""))
    raw = log_bytes.record(2, (b"k" * 200, b"v" * 20_000), delta_ms=-7, headers=headers)
    (batch,) = batches_in(log_bytes.batch(40, [raw], last_delta=5, producer=(9, 3), attributes=16), "x")
    assert batch.records() == [StoredRecord(42, 993, b"k" * 200, b"v" * 20_000, headers)]
    assert (batch.base_offset, batch.last_offset, batch.producer_id, batch.producer_epoch) == (40, 45, 9, 3)
    assert batch.is_transactional
    assert not batch.is_control


def test_missing_keys_and_values_are_not_empty_ones() -> None:
    (batch,) = batches_in(log_bytes.data(0, (None, None), (b"", b"")), "x")
    assert [(r.key, r.value) for r in batch.records()] == [(None, None), (b"", b"")]


def test_the_brokers_time_replaces_the_producers() -> None:
    (batch,) = batches_in(log_bytes.batch(0, [log_bytes.record(0, (None, b"v"), delta_ms=5)], attributes=8), "x")
    assert [r.timestamp_ms for r in batch.records()] == [9_000]


def test_bytes_that_a_broker_wrote_are_understood() -> None:
    (batch,) = batches_in(WRITTEN, "x")
    assert batch.records() == [StoredRecord(0, 1_700_000_000_000, b"k", b"v", (("h", b"x"),))]


@pytest.mark.parametrize(("kind", "meaning"), [(0, Marker.ABORT), (1, Marker.COMMIT)])
def test_a_marker_says_how_a_transaction_ended(kind: int, meaning: Marker) -> None:
    (batch,) = batches_in(log_bytes.marker(7, (9, 3), kind), "x")
    assert batch.is_control
    assert batch.marker() is meaning


def test_a_control_record_of_another_type_is_refused() -> None:
    (batch,) = batches_in(log_bytes.marker(7, (9, 3), 2), "x")
    with pytest.raises(UnreadableLog, match="type 2"):
        batch.marker()


@pytest.mark.parametrize("byte", [61, 63, 70])
def test_a_flipped_bit_is_seen(byte: int) -> None:
    raw = bytearray(log_bytes.data(5, (b"key", b"value")))
    raw[byte] ^= 1
    with pytest.raises(UnreadableLog, match="file at byte 0: checksum"):
        list(batches_in(bytes(raw), "file"))


def test_an_incomplete_batch_at_the_end_is_left_out() -> None:
    whole = log_bytes.data(0, (b"a", b"1"))
    for length in range(len(whole)):
        assert [b.base_offset for b in batches_in(whole + log_bytes.data(1, (b"a", b"2"))[:length], "x")] == [0]


def test_another_format_is_named() -> None:
    with pytest.raises(UnreadableLog, match="format 1"):
        list(batches_in(log_bytes.batch(0, [], magic=1), "x"))


def test_a_length_that_holds_no_batch_is_refused() -> None:
    with pytest.raises(UnreadableLog, match="a batch of 3 bytes"):
        list(batches_in(struct.pack(">qi", 0, 3) + bytes(60), "x"))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"count": 2}, "no records"),
        ({"count": 0}, "behind the last record"),
        ({"payload": b"\x7f\0\0\0"}, "beyond its batch"),
        ({"payload": b"\x80"}, "no records"),
        ({"payload": b"\x12\0\0\0\x02k\x02v\0\0"}, "longer or shorter"),
        ({"last_delta": -1}, "do not ascend"),
    ],
)
def test_bytes_that_are_no_records_are_refused(changed: dict[str, bytes | int], why: str) -> None:
    raw = log_bytes.batch(0, [log_bytes.record(0, (b"k", b"v"))], **changed)  # type: ignore[arg-type]
    (batch,) = batches_in(raw, "x")
    with pytest.raises(UnreadableLog, match=why):
        batch.records()


# ------------------------------------------------------------------ compression

PAIRS = [(f"key-{n % 3}".encode(), (f"value {n} " * 5).encode()) for n in range(50)]
PLAIN = b"".join(log_bytes.record(n, pair) for n, pair in enumerate(PAIRS))


def frame(*blocks: bytes, flags: int = 0x60, size: bytes = b"", checksum: bytes = b"", behind: bytes = b"") -> bytes:
    """An LZ4 frame; a block's size is in front of it, and `checksum` behind each."""
    parts = [struct.pack("<I", len(block)) + block + checksum for block in blocks]
    return b"\x04\x22\x4d\x18" + bytes([flags, 0x40]) + size + b"\0" + b"".join(parts) + bytes(4) + behind


def stored(plain: bytes) -> bytes:
    """A block of literals only."""
    length = len(plain)
    if length < 15:
        return bytes([length << 4]) + plain
    more, rest = divmod(length - 15, 255)
    return b"\xf0" + b"\xff" * more + bytes([rest]) + plain


@pytest.mark.parametrize(
    ("codec", "payload"),
    [("none", PLAIN), ("gzip", gzip.compress(PLAIN)), ("lz4", frame(stored(PLAIN)))],
    ids=["none", "gzip", "lz4"],
)
def test_records_are_the_same_under_every_known_codec(codec: str, payload: bytes) -> None:
    raw = log_bytes.batch(0, [], payload=payload, attributes=log_bytes.CODECS[codec], count=50, last_delta=49)
    (batch,) = batches_in(raw, "x")
    assert batch.codec == codec
    assert [(r.key, r.value) for r in batch.records()] == PAIRS


@pytest.mark.parametrize("codec", ["snappy", "zstd"])
def test_an_unknown_codec_is_named_and_says_what_to_do(codec: str) -> None:
    raw = log_bytes.batch(0, [], payload=b"?", attributes=log_bytes.CODECS[codec], count=1, last_delta=0)
    (batch,) = batches_in(raw, "x")
    with pytest.raises(UnreadableLog, match=rf"compressed with {codec}.*compression.type"):
        batch.records()


def test_a_batch_under_an_unknown_codec_can_still_be_counted() -> None:
    (batch,) = batches_in(log_bytes.batch(0, [], payload=b"?", attributes=4, count=12, last_delta=11), "x")
    assert batch.count == 12


@pytest.mark.parametrize(
    ("packed", "plain"),
    [
        (frame(), b""),
        (frame(b"\x30abc"), b"abc"),
        (frame(b"\x34abc\x03\x00\x10d"), b"abcabcabcabd"[:11] + b"d"),
        (frame(b"\x1fa\x01\x00\x00\x10b"), b"a" * 20 + b"b"),
        (frame(b"\x1fa\x01\x00\xff\x02\x10b"), b"a" * (1 + 15 + 255 + 2 + 4) + b"b"),
        (frame(b"\x60abcdef", b"\x02\x04\x00\x10g", flags=0x40), b"abcdefcdefcdg"),  # blocks that are linked
        (frame(b"\x30abc", flags=0x68, size=bytes(8)), b"abc"),
        (frame(b"\x30abc", b"\x10d", flags=0x70, checksum=b"cccc"), b"abcd"),
        (frame(b"\x30abc", flags=0x64, behind=b"cccc"), b"abc"),
    ],
    ids=["empty", "literals", "overlap", "run", "long run", "linked", "content size", "block checksum", "checksum"],
)
def test_lz4_frames_are_unpacked(packed: bytes, plain: bytes) -> None:
    assert decompress(packed) == plain


def test_an_uncompressed_lz4_block_is_taken_as_it_is() -> None:
    block = struct.pack("<I", 0x80000003) + b"abc"
    assert decompress(b"\x04\x22\x4d\x18\x60\x40\0" + block + bytes(4)) == b"abc"


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (b"", "not an LZ4 frame"),
        (b"\x04\x22\x4d\x18", "too early"),
        (frame(b"\x30abc", flags=0xA0), "version 2"),
        (frame(b"\x30abc", flags=0x61), "dictionary"),
        (frame(b"\x30abc")[:-1], "too early"),
        (frame(b"\x30abc") + b"x", "1 bytes behind"),
        (frame(b"\x30abc")[:-8], "within a block"),
        (frame(b"\x50abc"), "beyond their block"),
        (frame(b"\x34abc\x04\x00\x10d"), "reaches back 4 of 3"),
        (frame(b"\x34abc\x00\x00\x10d"), "reaches back 0"),
        (frame(b"\x34abc\x03\x00"), "ends with a match"),
    ],
)
def test_damaged_lz4_frames_are_refused(packed: bytes, why: str) -> None:
    with pytest.raises(MalformedFrame, match=why):
        decompress(packed)

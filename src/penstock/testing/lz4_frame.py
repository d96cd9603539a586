"""The LZ4 frame format, reading only: what producers compress record batches with by default.

Checksums inside the frame are stepped over, for the batch around it has one of its own. Concatenated frames, skippable
frames and dictionaries are refused: Kafka writes none of them.
"""

from __future__ import annotations

from typing import Final

_MAGIC: Final = b"\x04\x22\x4d\x18"
_UNCOMPRESSED: Final = 0x80000000
_SHORTEST_MATCH: Final = 4


class MalformedFrame(ValueError):
    """No LZ4 frame, or not one that Kafka writes; the message says why."""


def decompress(frame: bytes | memoryview) -> bytes:
    """The bytes in one whole frame.

    Raises:
        MalformedFrame: see there.
    """
    frame = bytes(frame)
    try:
        return _decompress(frame)
    except IndexError as err:
        raise MalformedFrame("the LZ4 frame ends too early") from err


def _decompress(frame: bytes) -> bytes:
    if frame[:4] != _MAGIC:
        raise MalformedFrame(f"not an LZ4 frame: it begins with {frame[:4].hex()}")
    flags = frame[4]
    if flags >> 6 != 1:
        raise MalformedFrame(f"LZ4 frame of version {flags >> 6}")
    if flags & 1:
        raise MalformedFrame("LZ4 frame with a dictionary")
    block_checksum, content_checksum = (4 if flags & 0x10 else 0), (4 if flags & 0x04 else 0)
    at = 4 + 2 + (8 if flags & 0x08 else 0) + 1  # magic, descriptor, content size, checksum of the header
    # One buffer for all blocks: where they are linked, a match may reach back into the blocks before.
    out = bytearray()
    while True:
        size = _u32(frame, at)
        at += 4
        if size == 0:
            break
        length = size & ~_UNCOMPRESSED
        if at + length > len(frame):
            raise MalformedFrame("the LZ4 frame ends within a block")
        if size & _UNCOMPRESSED:
            out += frame[at : at + length]
        else:
            _block(frame, at, at + length, out)
        at += length + block_checksum
    if at + content_checksum != len(frame):
        raise MalformedFrame(f"{len(frame) - at - content_checksum} bytes behind the LZ4 frame")
    return bytes(out)


def _u32(data: bytes, at: int) -> int:
    if at + 4 > len(data):
        raise IndexError
    return int.from_bytes(data[at : at + 4], "little")


def _block(data: bytes, at: int, end: int, out: bytearray) -> None:
    """Append what a block holds: literals and matches in turn, literals last."""
    while at < end:
        token = data[at]
        at += 1
        literals, at = _length(data, at, token >> 4)
        if at + literals > end:
            raise MalformedFrame("LZ4 literals reach beyond their block")
        out += data[at : at + literals]
        at += literals
        if at == end:
            return
        distance = data[at] | data[at + 1] << 8
        match, at = _length(data, at + 2, token & 15)
        _copy(out, distance, match + _SHORTEST_MATCH)
    raise MalformedFrame("an LZ4 block ends with a match")


def _length(data: bytes, at: int, length: int) -> tuple[int, int]:
    """A length of 15 goes on in the bytes that follow, as long as they are 255."""
    if length < 15:
        return length, at
    while True:
        more = data[at]
        at += 1
        length += more
        if more != 255:
            return length, at


def _copy(out: bytearray, distance: int, length: int) -> None:
    start = len(out) - distance
    if distance == 0 or start < 0:
        raise MalformedFrame(f"an LZ4 match reaches back {distance} of {len(out)} bytes")
    if distance >= length:
        out += out[start : start + length]
        return
    # The match runs into what it copies: its bytes repeat with this period.
    period = bytes(out[start:])
    times, rest = divmod(length, distance)
    out += period * times + period[:rest]

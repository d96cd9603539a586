"""Files of sealed blocks: private, appended to, and told apart from damage without being decoded.

    file   = magic block*
    block  = kind (one byte) | length of the body (u32, little-endian) | seal (16 bytes) | body

A seal is blake2b with 16 bytes of output over the seal before, the kind, the length and the body: nothing can be lost,
moved or changed without the seals showing it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final, NamedTuple

_SEAL_BYTES: Final = 16
_FRAME_BYTES: Final = 1 + 4 + _SEAL_BYTES


class Block(NamedTuple):
    """One block whose seal holds.

    Attributes:
        kind: one byte.
        body: not decoded.
        end: where in the file it ends.
        seal: what the next block's seal goes on from.
    """

    kind: bytes
    body: bytes
    end: int
    seal: bytes


class BlockWriter:
    """Writes blocks to an open file, from where it stands.

    Attributes:
        end: where in the file the last block ends; 0 in an empty file.
        seal: of the last block; empty in an empty file.
    """

    def __init__(self, file: IO[bytes], magic: bytes, end: int = 0, seal: bytes = b"") -> None:
        self._file = file
        self.end = end
        self.seal = seal
        if not end:
            self._write(magic)

    def write(self, kind: bytes, body: bytes) -> None:
        """Write one block."""
        length = len(body).to_bytes(4, "little")
        self.seal = _seal(self.seal, kind, length, body)
        self._write(b"".join((kind, length, self.seal, body)))

    def sync(self) -> None:
        """Wait until the disk has it all."""
        os.fsync(self._file.fileno())

    def _write(self, data: bytes) -> None:
        written = 0
        while written < len(data):  # a disk that fills up takes a part, and refuses only the next call
            written += self._file.write(data[written:])
        self.end += len(data)


def read_blocks(file: IO[bytes], magic: bytes) -> Iterator[Block]:
    """The blocks from the start whose seals hold; a length is believed only as far as the file reaches."""
    size = os.fstat(file.fileno()).st_size
    if file.read(len(magic)) != magic:
        return
    end, seal = len(magic), b""
    while len(frame := file.read(_FRAME_BYTES)) == _FRAME_BYTES:
        kind, length, expected = frame[:1], frame[1:5], frame[5:]
        end += _FRAME_BYTES + int.from_bytes(length, "little")
        if end > size:
            return
        body = file.read(int.from_bytes(length, "little"))
        seal = _seal(seal, kind, length, body)
        if seal != expected:
            return
        yield Block(kind, body, end, seal)


def open_for_reading(path: Path) -> IO[bytes]:
    """Open an existing file; never what a symbolic link points to."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")


def open_for_writing(path: Path) -> IO[bytes]:
    """Open or make a private file (0600), unbuffered: an error shows at the write that it belongs to."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)


def sync_directory(path: Path) -> None:
    """Wait until the disk has the directory's entries: a new file, or another under an old name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(before: bytes, kind: bytes, length: bytes, body: bytes) -> bytes:
    digest = blake2b(before + kind + length, digest_size=_SEAL_BYTES)
    digest.update(body)
    return digest.digest()

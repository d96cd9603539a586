"""A file of exported letters, one JSON object a line: an export that was cut short goes on behind what is in it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from penstock.errors import UsageError


class _Line(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class ExportedLines:
    """Appends to the file, which is made where there is none; nobody else may read it, for it holds payload.

    Whatever ended the export before may have cut its last line: that is taken away and written anew.

    Args:
        path: the file.
        topic: of the letters.

    Attributes:
        next_offsets: {partition: offset} behind what is in it.
        count: lines that were there.

    Raises:
        UsageError: it holds something else, or is no file that we may write.
    """

    def __init__(self, path: Path, topic: str) -> None:
        self._path, self._topic = path, topic
        try:
            self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        except OSError as exc:
            raise UsageError(f"--output {path}: {exc.strerror or exc}; name a file that can be written") from exc
        self.next_offsets: dict[int, int] = {}
        self.count = 0
        try:
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _read(self) -> None:
        whole_bytes = 0
        begins = msgspec.json.encode({"topic": self._topic})[:-1]
        for line in self._file:
            if line.endswith(b"\n"):
                self._take(line)
                whole_bytes += len(line)
            elif not (line.startswith(begins) or begins.startswith(line)):
                raise self._refusal()  # nothing of somebody else's is taken away
        self._file.seek(whole_bytes)
        self._file.truncate()

    def _take(self, line: bytes) -> None:
        try:
            told = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError as exc:
            raise self._refusal() from exc
        if told.topic != self._topic:
            raise UsageError(f"{self._path} holds letters of '{told.topic}', not of '{self._topic}'; name another file")
        self.next_offsets[told.partition] = told.offset + 1
        self.count += 1

    def _refusal(self) -> UsageError:
        return UsageError(f"{self._path}: line {self.count + 1} is no exported letter; name another file")

    def __enter__(self) -> Self:
        """Itself; closed at the end of the block, however that ends."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """Write what is left to be written, and close."""
        self._file.close()

    def append(self, document: object) -> None:
        """One more."""
        self._file.write(msgspec.json.encode(document, enc_hook=str) + b"\n")

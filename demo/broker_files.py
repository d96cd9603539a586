"""What stands in the broker's files, by the headers of its record batches: committed, aborted, or still open.

No client is asked and no record is decoded, so a look costs next to nothing: the live view takes one twice a second
while the broker writes, and the verdict takes the last. A batch's header says whose it is and how many records it has;
the marker behind a transaction says what became of it. https://kafka.apache.org/documentation/#messageformat
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_HEADER: Final = struct.Struct(">qiibIhiqqqhii")
_LENGTH_COUNTS_FROM: Final = 12
_TRANSACTIONAL: Final = 16
_CONTROL: Final = 32
_COMMIT: Final = 1
# A marker's record: length, attributes, two deltas and the key's length, a byte each; then version and type.
_MARKER: Final = struct.Struct(">5xhh")


class Run(NamedTuple):
    """So many records in a row."""

    first_offset: int
    records: int


class Part(NamedTuple):
    """What a transaction has in one partition.

    Attributes:
        life: (producer id, epoch): another one for every start of a producer or worker.
        runs: its batches.
    """

    life: tuple[int, int]
    runs: list[Run]

    @property
    def records(self) -> int:
        """How many."""
        return sum(run.records for run in self.runs)


class BatchHeader(NamedTuple):
    """The last batch that was read. A broker that comes back may cut off what the others never had, and write anew.

    Attributes:
        position: of its first byte in the segment.
        content: the first bytes of it.
    """

    position: int
    content: bytes

    def is_in(self, segment: Path) -> bool:
        """Whether it still stands there; what was deleted as a whole has stood there."""
        try:
            with segment.open("rb") as file:
                file.seek(self.position)
                return file.read(len(self.content)) == self.content
        except FileNotFoundError:
            return True


class PartitionFiles:
    """One partition's folder, read on from where the last look ended.

    Attributes:
        committed: parts of committed transactions, in the order of the log.
        aborted: likewise.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._forget()

    def _forget(self) -> None:
        self.committed: list[Part] = []
        self.aborted: list[Part] = []
        self._open: dict[int, Part] = {}
        self._segment: Path | None = None
        self._position = 0
        self._last = BatchHeader(0, b"")

    @property
    def open_producers(self) -> set[int]:
        """The producer ids of transactions that have not ended."""
        return set(self._open)

    @property
    def open_records(self) -> int:
        """Records of transactions that have not ended."""
        return sum(part.records for part in self._open.values())

    def records_below(self, offset: int) -> int:
        """How many committed records have a smaller offset."""
        runs = sorted(run for part in self.committed for run in part.runs)
        place = bisect_right(runs, offset, key=lambda run: run.first_offset)
        if place == 0:
            return 0
        last = runs[place - 1]
        before = list(accumulate(run.records for run in runs[: place - 1]))
        return (before[-1] if before else 0) + min(last.records, offset - last.first_offset)

    def look(self) -> None:
        """Take in what has been written since the last look. A batch that is half written waits for the next one."""
        if self._segment is not None and not self._last.is_in(self._segment):
            self._forget()
        for segment in sorted(self._folder.glob("*.log")):
            if self._segment is None or segment.name > self._segment.name:
                self._segment, self._position, self._last = segment, 0, BatchHeader(0, b"")
            if segment == self._segment:
                with segment.open("rb") as file:
                    self._read(file, segment.stat().st_size)

    def _read(self, file: BinaryIO, size: int) -> None:
        while self._position + _HEADER.size <= size:
            file.seek(self._position)
            header = file.read(_HEADER.size)
            base_offset, length, _, _, _, attributes, _, _, _, producer, epoch, _, count = _HEADER.unpack(header)
            end = self._position + _LENGTH_COUNTS_FROM + length
            if end > size:
                return
            run = Run(base_offset, count)
            if attributes & _CONTROL:
                _, kind = _MARKER.unpack(file.read(_MARKER.size))
                self._end(producer, committed=kind == _COMMIT)
            elif attributes & _TRANSACTIONAL:
                self._open.setdefault(producer, Part((producer, epoch), [])).runs.append(run)
            else:
                self.committed.append(Part((producer, epoch), [run]))
            self._position, self._last = end, BatchHeader(self._position, header)

    def _end(self, producer: int, *, committed: bool) -> None:
        part = self._open.pop(producer, None)
        if part is not None:
            (self.committed if committed else self.aborted).append(part)


class TopicFiles:
    """All partitions of a topic; it need not be there yet."""

    def __init__(self, log_directory: Path, topic: str) -> None:
        self.partitions: dict[int, PartitionFiles] = {}
        self._log_directory = log_directory
        self._name = re.compile(re.escape(topic) + r"-([0-9]+)")

    def look(self) -> None:
        """See `PartitionFiles.look`."""
        for number, folder in self._folders():
            if number not in self.partitions:
                self.partitions[number] = PartitionFiles(folder)
        for partition in self.partitions.values():
            partition.look()

    def _folders(self) -> Iterator[tuple[int, Path]]:
        for folder in self._log_directory.iterdir():
            match = self._name.fullmatch(folder.name)
            if match:
                yield int(match[1]), folder

    @property
    def committed(self) -> int:
        """Committed records."""
        return sum(part.records for partition in self.partitions.values() for part in partition.committed)

    @property
    def aborted(self) -> int:
        """Records of aborted transactions: in the log, and shown to nobody who reads committed records."""
        return sum(part.records for partition in self.partitions.values() for part in partition.aborted)

    @property
    def open_producers(self) -> set[int]:
        """The producer ids of transactions that have not ended."""
        return {producer for partition in self.partitions.values() for producer in partition.open_producers}

    @property
    def open_records(self) -> int:
        """Records of transactions that have not ended."""
        return sum(partition.open_records for partition in self.partitions.values())

    def aborted_by_life(self) -> dict[tuple[int, int], int]:
        """{(producer id, epoch): records of its aborted transactions}."""
        found: dict[tuple[int, int], int] = {}
        for partition in self.partitions.values():
            for part in partition.aborted:
                found[part.life] = found.get(part.life, 0) + part.records
        return found

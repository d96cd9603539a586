"""How many transactions were committed and aborted, and whose is open, as the coordinator's own log tells it.

The topic `__transaction_state` has a record for every step of every transaction, under the `transactional.id`:

    value = version i16 (1) | producer id i64 | producer epoch i16 | time-out ms i32 | status i8 | partitions | ...
    partitions = list of (topic | list of partition i32 | tags), lengths as varints, one more than they are
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from demo.broker_files import BatchHeader
from penstock.testing.record_batch import batches_in

_TOPIC: Final = "__transaction_state"
_VALUE: Final = struct.Struct(">hqhib")
_KEY: Final = struct.Struct(">hh")
_VERSION: Final = 1
_HEADER_BYTES: Final = 61
_ONGOING, _PREPARE_COMMIT, _COMPLETE_COMMIT, _COMPLETE_ABORT = 1, 2, 4, 5

Partition = tuple[str, int]


@dataclass(slots=True)
class Transactions:
    """What one `transactional.id` has done.

    Attributes:
        committed: transactions.
        aborted: likewise; the coordinator aborts what a dead process left open, when its successor starts.
        life: (producer id, epoch) of its latest transaction.
        is_open: whether nothing has been decided about that one yet.
        touched: the partitions of each that was committed, in their order; `__consumer_offsets` is one of them if it
            has offsets of a group.
    """

    committed: int = 0
    aborted: int = 0
    life: tuple[int, int] = (-1, -1)
    is_open: bool = False
    touched: list[frozenset[Partition]] = field(default_factory=list[frozenset[Partition]])


class CoordinatorLog:
    """The coordinator's log of one broker, read on from where the last look ended."""

    def __init__(self, log_directory: Path) -> None:
        self._log_directory = log_directory
        self._positions: dict[Path, int] = {}
        self._last: dict[Path, BatchHeader] = {}
        self._found: dict[str, Transactions] = {}

    def of(self, transactional_id: str) -> Transactions:
        """What it has done up to the last look."""
        return self._found.setdefault(transactional_id, Transactions())

    def look(self) -> None:
        """Take in what has been written since the last look."""
        if not all(header.is_in(segment) for segment, header in self._last.items()):
            self._positions, self._last, self._found = {}, {}, {}
        for segment in sorted(self._log_directory.glob(f"{_TOPIC}-*/*.log")):
            position = self._positions.get(segment, 0)
            with segment.open("rb") as file:
                file.seek(position)
                data = file.read()
            for batch in batches_in(data, segment.name):
                at = position - self._positions.get(segment, 0)
                self._last[segment] = BatchHeader(position, data[at : at + _HEADER_BYTES])
                position += batch.size
                for record in [] if batch.is_control else batch.records():
                    if record.key is not None and record.value is not None:
                        self._take(record.key, record.value)
            self._positions[segment] = position

    def _take(self, key: bytes, value: bytes) -> None:
        _, length = _KEY.unpack_from(key)
        found = self.of(key[_KEY.size : _KEY.size + length].decode())
        version, producer, epoch, _, status = _VALUE.unpack_from(value)
        if version != _VERSION:
            raise ValueError(f"{_TOPIC}: a record of version {version}; this reader knows {_VERSION} only")
        found.committed += status == _COMPLETE_COMMIT
        found.aborted += status == _COMPLETE_ABORT
        if status == _ONGOING:
            found.life = (producer, epoch)
        if status == _PREPARE_COMMIT:
            found.touched.append(frozenset(_partitions(value)))
        found.is_open = status == _ONGOING


def _partitions(value: bytes) -> Iterator[Partition]:
    topics, at = _length(value, _VALUE.size)
    for _ in range(topics):
        size, at = _length(value, at)
        topic, at = value[at : at + size].decode(), at + size
        numbers, at = _length(value, at)
        for number in struct.unpack_from(f">{numbers}i", value, at):
            yield topic, number
        at += 4 * numbers + 1  # and no tags


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length that is written as one more than it is, and the place behind it."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return max(0, number - 1), at

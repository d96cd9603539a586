"""How many transactions were committed and aborted, and whose is open, as the coordinator's own log tells it.

The topic `__transaction_state` has a record for every step of every transaction, under the `transactional.id`:

    value = version i16 | producer id i64 | producer epoch i16 | time-out ms i32 | status i8 | ...
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.testing.record_batch import batches_in

_TOPIC: Final = "__transaction_state"
_VALUE: Final = struct.Struct(">hqhib")
_KEY: Final = struct.Struct(">hh")
_ONGOING, _COMPLETE_COMMIT, _COMPLETE_ABORT = 1, 4, 5


@dataclass(slots=True)
class Transactions:
    """What one `transactional.id` has done.

    Attributes:
        committed: transactions.
        aborted: likewise; the coordinator aborts what a dead process left open, when its successor starts.
        life: (producer id, epoch) of its latest transaction.
        is_open: whether nothing has been decided about that one yet.
    """

    committed: int = 0
    aborted: int = 0
    life: tuple[int, int] = (-1, -1)
    is_open: bool = False


class CoordinatorLog:
    """The coordinator's log of one broker, read on from where the last look ended."""

    def __init__(self, log_directory: Path) -> None:
        self._log_directory = log_directory
        self._positions: dict[Path, int] = {}
        self._found: dict[str, Transactions] = {}

    def of(self, transactional_id: str) -> Transactions:
        """What it has done up to the last look."""
        return self._found.setdefault(transactional_id, Transactions())

    def look(self) -> None:
        """Take in what has been written since the last look."""
        for segment in sorted(self._log_directory.glob(f"{_TOPIC}-*/*.log")):
            position = self._positions.get(segment, 0)
            with segment.open("rb") as file:
                file.seek(position)
                data = file.read()
            for batch in batches_in(data, segment.name):
                position += batch.size
                for record in [] if batch.is_control else batch.records():
                    if record.key is not None and record.value is not None:
                        self._take(record.key, record.value)
            self._positions[segment] = position

    def _take(self, key: bytes, value: bytes) -> None:
        _, length = _KEY.unpack_from(key)
        found = self.of(key[_KEY.size : _KEY.size + length].decode())
        _, producer, epoch, _, status = _VALUE.unpack_from(value)
        found.committed += status == _COMPLETE_COMMIT
        found.aborted += status == _COMPLETE_ABORT
        if status == _ONGOING:
            found.life = (producer, epoch)
        found.is_open = status == _ONGOING

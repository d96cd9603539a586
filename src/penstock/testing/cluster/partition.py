"""One partition's log: records, markers, and who is shown what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from penstock.kafka.reader import Isolation
from penstock.record import Headers


class Kind(Enum):
    """What stands at an offset."""

    DATA = "data"
    COMMIT = "commit marker"
    ABORT = "abort marker"


_DATA: Final = Kind.DATA  # whose name takes longer to look up than all the rest of an append


@dataclass(slots=True)
class Stored:
    """What stands at one offset.

    Attributes:
        offset: in the partition.
        kind: data, or a marker that ends its producer's transaction here.
        key: None = no key; likewise for markers.
        value: None = tombstone; likewise.
        timestamp_ms: Kafka's, milliseconds since 1970 UTC.
        headers: in their order.
        producer_id: -1 where no transaction is involved.
        epoch: the producer's; of a marker, the coordinator's.
        is_committed: True outside of transactions; None while the transaction is open.
        is_gone: a cleaner has taken it away.
        goes_at_ms: of a tombstone that a cleaner has seen, until when it stays.
    """

    offset: int
    kind: Kind
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers
    producer_id: int
    epoch: int
    is_committed: bool | None
    is_gone: bool = False
    goes_at_ms: int | None = None

    @property
    def size_bytes(self) -> int:
        """Of key, value and headers; nothing where it is gone."""
        if self.is_gone:
            return 0
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


class SimulatedPartition:
    """A log that is appended to, deleted from at its front, and compacted; nothing in it ever moves.

    Attributes:
        begin: the first offset that is still there.
    """

    def __init__(self) -> None:
        self.begin = 0
        self._entries: list[Stored] = []
        self._open: dict[int, list[Stored]] = {}
        self._epochs: dict[int, int] = {}
        self._batches: set[tuple[int, int, int]] = set()
        self._expected: dict[tuple[int, int], int] = {}
        self._clean_end = 0
        self._latest: dict[bytes | None, Stored] = {}

    @property
    def high_watermark(self) -> int:
        """Where the next record will stand."""
        return len(self._entries)

    @property
    def last_stable_offset(self) -> int:
        """Up to here, excluded, everything is decided."""
        if not self._open:  # which is asked for often
            return len(self._entries)
        return min(entries[0].offset for entries in self._open.values())

    def end(self, isolation: Isolation) -> int:
        """Up to here, excluded, a reader is shown something."""
        return self.high_watermark if isolation == "read_uncommitted" else self.last_stable_offset

    @property
    def entries(self) -> list[Stored]:
        """Everything that was ever appended: markers, aborted records, and what is gone; for checkers."""
        return list(self._entries)

    def between(self, begin: int, end: int) -> list[Stored]:
        """As `entries`, from offset `begin` up to `end`, excluded."""
        return self._entries[begin:end]

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: Headers = (),
        *,
        producer_id: int = -1,
        epoch: int = -1,
    ) -> int:
        """Append a record, as part of the producer's transaction if there is a producer; returns its offset."""
        is_open = producer_id >= 0
        entry = Stored(
            len(self._entries),
            _DATA,
            key,
            value,
            timestamp_ms,
            headers,
            producer_id,
            epoch,
            None if is_open else True,
        )
        self._entries.append(entry)
        if is_open:
            self._open.setdefault(producer_id, []).append(entry)
            self._epochs[producer_id] = epoch
        return entry.offset

    def is_fenced(self, producer_id: int, epoch: int) -> bool:
        """Whether a later epoch of the producer has written here, or ended a transaction."""
        return epoch < self._epochs.get(producer_id, epoch)

    def has_open(self, producer_id: int) -> bool:
        """Whether the producer has a transaction here whose marker is still to come."""
        return producer_id in self._open

    def expect(self, producer_id: int, epoch: int, sequence: int) -> int:
        """A batch has come that would begin a transaction here; returns the first that came since the last append.

        As the broker keeps it: whatever becomes of the batch, nothing behind it is taken before it.
        """
        first = min(sequence, self._expected.get((producer_id, epoch), sequence))
        self._expected[producer_id, epoch] = first
        return first

    def has_batch(self, producer_id: int, epoch: int, sequence: int) -> bool:
        """Whether this batch of an idempotent producer was appended before."""
        return (producer_id, epoch, sequence) in self._batches

    def note_batch(self, producer_id: int, epoch: int, sequence: int) -> None:
        """It was appended."""
        self._batches.add((producer_id, epoch, sequence))
        self._expected.pop((producer_id, epoch), None)

    def mark(self, producer_id: int, epoch: int, timestamp_ms: int, *, commit: bool) -> None:
        """Append the marker that ends the producer's transaction here; it takes an offset."""
        for entry in self._open.pop(producer_id, ()):
            entry.is_committed = commit
        self._epochs[producer_id] = epoch
        kind = Kind.COMMIT if commit else Kind.ABORT
        self._entries.append(
            Stored(self.high_watermark, kind, None, None, timestamp_ms, (), producer_id, epoch, commit)
        )

    def fetch(self, offset: int, max_records: int, isolation: Isolation) -> tuple[list[Stored], int]:
        """The next records for a reader at `offset`, and where it is behind them; markers are stepped over."""
        found: list[Stored] = []
        end = self.end(isolation)
        if offset >= end:  # as it is most of the time
            return found, offset
        is_shown_all = isolation == "read_uncommitted"
        for entry in self._entries[offset:end]:
            if len(found) == max_records:
                return found, entry.offset
            if entry.kind is _DATA and not entry.is_gone and (is_shown_all or entry.is_committed):
                found.append(entry)
        return found, end

    def delete_before(self, offset: int) -> None:
        """Delete from the front."""
        self.begin = max(self.begin, min(offset, self.high_watermark))

    def expire(self, before_ms: int) -> None:
        """Delete from the front what is older, up to the first that is not, or that is not decided yet."""
        end = self.last_stable_offset
        while self.begin < end and self._entries[self.begin].timestamp_ms < before_ms:
            self.begin += 1

    def shrink(self, most_bytes: int) -> None:
        """Delete from the front as long as so much is left behind it, and it is decided."""
        end, left_bytes = self.last_stable_offset, sum(entry.size_bytes for entry in self._entries[self.begin :])
        while self.begin < end and left_bytes - self._entries[self.begin].size_bytes >= most_bytes:
            left_bytes -= self._entries[self.begin].size_bytes
            self.begin += 1

    def compact(self, end: int, now_ms: int, tombstones_stay_ms: int) -> int:
        """Leave the last record of each key below `end`, as far as all is decided there; returns how many go.

        Tombstones go, too, when they have stayed this long behind the pass that came to them.
        """
        gone: list[Stored] = []
        end = max(self._clean_end, min(end, self.last_stable_offset))  # never below 0: a list counts that from its end
        for entry in self._entries[self._clean_end : end]:
            self._clean_end += 1
            if entry.kind is not _DATA:
                continue
            if not entry.is_committed:
                gone.append(entry)
                continue
            before = self._latest.get(entry.key)
            if before is not None:
                gone.append(before)
            self._latest[entry.key] = entry
        for key, entry in list(self._latest.items()):
            if entry.value is None:
                if entry.goes_at_ms is None:
                    entry.goes_at_ms = now_ms + tombstones_stay_ms
                elif entry.goes_at_ms <= now_ms:
                    gone.append(self._latest.pop(key))
        for entry in gone:
            entry.is_gone = True
        return len(gone)

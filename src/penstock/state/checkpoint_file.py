"""A task's committed state in one file that is only ever appended to, or replaced as a whole.

Sealed blocks (`sealed_blocks.py`) behind the line "PENSTOCK CHECKPOINT 1", of two kinds:

    E   entries: a MessagePack array key, value, key, value ...; nil = deleted since the checkpoint before
    C   a checkpoint is complete: its header, a MessagePack map (`CheckpointHeader`)

The file's content is what stands before the last C whose seals hold. What follows it is the trace of a process that
died while it wrote, or damage; either way the checkpoint before counts.

Each checkpoint appends what changed since the one before. Once the file has doubled it is written anew, without what
was overwritten, under another name that then takes the place of the old one. Why this and not a database: ADR 0007.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.state.commit_record import CommitRecord
from penstock.state.sealed_blocks import (
    Block,
    BlockWriter,
    open_for_reading,
    open_for_writing,
    read_blocks,
    sync_directory,
)

FORMAT: Final = 1
MAGIC: Final = b"PENSTOCK CHECKPOINT 1\n"
SLACK_BYTES: Final = 1 << 20
"""A file is written anew when it has grown to twice its size after the last time, and by this."""

_ENTRIES: Final = b"E"
_COMPLETE: Final = b"C"
_ENTRIES_PER_BLOCK: Final = 256


class CheckpointHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint covers, as a MessagePack map by field name.

    Attributes:
        format: of the header.
        commit: the commit record of the last transaction in it: input offsets, digest, topology.
        changelog_next_offset: where the replay of the changelog goes on.
        topic_ids: {topic: Kafka's id}, inputs and changelog; a topic made anew under its old name has another one.
        written_ms: milliseconds since 1970 UTC.
    """

    format: int = FORMAT
    commit: CommitRecord
    changelog_next_offset: int
    topic_ids: dict[str, str]
    written_ms: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint file holds; the entries are the receiver's own."""

    header: CheckpointHeader
    entries: dict[bytes, bytes]


class CheckpointLost(OSError):
    """The file is no longer what was written; begin anew with everything."""


class CheckpointCancelled(OSError):
    """The task is closing; what was there before still counts."""


_Pairs = Iterable[tuple[bytes, bytes | None]]

_read_entries = msgspec.msgpack.Decoder(list[bytes | None])
_read_header = msgspec.msgpack.Decoder(CheckpointHeader)


class CheckpointFile:
    """One task's checkpoint file. Not for more than one thread at a time, nor for two processes (`task_directory.py`).

    Args:
        path: of the file; beside it stands `<path>.new` for as long as it is written anew.
        on_step: told "checkpoint write", "checkpoint sync" and "checkpoint written", in the thread that writes.
    """

    def __init__(self, path: Path, on_step: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._on_step = on_step or (lambda _: None)
        self._end = 0  # of the last complete checkpoint
        self._seal = b""
        self._compact_end = 0  # the same, when the file was last written as a whole
        self._is_cancelled = False

    @property
    def size(self) -> int:
        """Bytes of the file that count."""
        return self._end

    @property
    def is_due_for_compaction(self) -> bool:
        """Whether the file holds so much that was overwritten that it should be written anew."""
        return self._end > 2 * self._compact_end + SLACK_BYTES

    def load(self) -> Checkpoint | None:
        """Read the last complete checkpoint; None if there is none. The next `append` goes on behind it.

        Raises:
            FileNotFoundError: there is no file; nothing was written yet.
            OSError: it cannot be read.
        """
        self._forget()
        entries: dict[bytes, bytes] = {}
        header: CheckpointHeader | None = None
        staged: list[_Pairs] = []
        with open_for_reading(self.path) as file:
            for block in read_blocks(file, MAGIC):
                if block.kind == _ENTRIES:
                    staged.append(_pairs(block.body))
                    continue
                for pairs in staged:
                    _merge(entries, pairs)
                staged.clear()
                header = _read_header.decode(block.body)
                self._end, self._seal = block.end, block.seal
                self._compact_end = self._compact_end or block.end
        return None if header is None else Checkpoint(header, entries)

    def append(self, header: CheckpointHeader, changes: Mapping[bytes, bytes | None]) -> None:
        """Make durable what changed since the checkpoint before; into a new file, everything there is.

        Raises:
            CheckpointLost: the file was removed or cut by someone else.
            OSError: the disk is full or failing; what was there before still counts.
        """
        self._on_step("checkpoint write")
        with open_for_writing(self.path) as file:
            if os.fstat(file.fileno()).st_size < self._end:
                raise CheckpointLost(f"{self.path} is shorter than what was written to it")
            try:
                file.truncate(self._end)
                file.seek(self._end)
                writer = BlockWriter(file, MAGIC, self._end, self._seal)
                self._write(writer, header, changes.items())
            except OSError:
                file.truncate(self._end)
                raise
        if not self._end:
            sync_directory(self.path.parent)
            self._compact_end = writer.end
        self._end, self._seal = writer.end, writer.seal
        self._on_step("checkpoint written")

    def compact(self) -> None:
        """Write the file anew without what was overwritten. Memory is needed for what changed since the last time only.

        Raises:
            CheckpointLost: the file is damaged, or was changed by someone else.
            OSError: the disk is full or failing; what was there before still counts.
        """
        header, changes = self._since_compact()
        new = self.path.with_name(f"{self.path.name}.new")
        try:
            new.unlink(missing_ok=True)
            with open_for_writing(new) as file:
                writer = BlockWriter(file, MAGIC)
                present = (pair for pair in changes.items() if pair[1] is not None)
                self._write(writer, header, chain(chain.from_iterable(self._unchanged(changes)), present))
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        sync_directory(self.path.parent)
        self._end = self._compact_end = writer.end
        self._seal = writer.seal
        drain(changes)

    def cancel(self) -> None:
        """Let a write that is under way in another thread end soon, and every later one at once; for ever."""
        self._is_cancelled = True

    def wipe(self) -> None:
        """Remove the file; the next `append` has to bring everything."""
        self._forget()
        self.path.unlink(missing_ok=True)
        self.path.with_name(f"{self.path.name}.new").unlink(missing_ok=True)

    def _write(self, writer: BlockWriter, header: CheckpointHeader, pairs: _Pairs) -> None:
        """Write entries, then the header, and wait for the disk.

        One block at a time: each write lets other threads run, so that the pipeline's loop waits for one block at most.
        """
        flat = chain.from_iterable(pairs)
        while block := list(islice(flat, 2 * _ENTRIES_PER_BLOCK)):
            self._stop_if_cancelled()
            writer.write(_ENTRIES, msgspec.msgpack.encode(block))
        self._stop_if_cancelled()
        writer.write(_COMPLETE, msgspec.msgpack.encode(header))
        self._on_step("checkpoint sync")
        writer.sync()

    def _stop_if_cancelled(self) -> None:
        if self._is_cancelled:
            raise CheckpointCancelled(f"{self.path} is being closed")

    def _forget(self) -> None:
        self._end, self._seal, self._compact_end = 0, b"", 0

    def _since_compact(self) -> tuple[CheckpointHeader, dict[bytes, bytes | None]]:
        """The last header, and the entries that were appended since the file was last written as a whole."""
        changes: dict[bytes, bytes | None] = {}
        header: CheckpointHeader | None = None
        for block in self._own_blocks():
            if block.kind == _COMPLETE:
                header = _read_header.decode(block.body)
            elif block.end > self._compact_end:
                changes.update(_pairs(block.body))
        if header is None:
            raise CheckpointLost(f"{self.path} holds no checkpoint")
        return header, changes

    def _unchanged(self, changes: dict[bytes, bytes | None]) -> Iterator[list[tuple[bytes, bytes | None]]]:
        """What was written as a whole and not overwritten since, block by block."""
        for block in self._own_blocks():
            if block.kind == _COMPLETE:
                return
            yield [pair for pair in _pairs(block.body) if pair[0] not in changes]

    def _own_blocks(self) -> Iterator[Block]:
        """The blocks up to the end of what counts; all of them, or an error."""
        end = 0
        with open_for_reading(self.path) as file:
            for block in read_blocks(file, MAGIC):
                yield block
                end = block.end
                if end == self._end:
                    return
        raise CheckpointLost(f"{self.path} is damaged at byte {end}")


def drain(changes: dict[bytes, bytes | None]) -> None:
    """Empty a map step by step: a million entries freed at once would hold the interpreter for tens of milliseconds."""
    while changes:
        changes.popitem()


def _pairs(body: bytes) -> _Pairs:
    flat: list[Any] = [*_read_entries.decode(body)]
    return zip(flat[::2], flat[1::2], strict=True)


def _merge(entries: dict[bytes, bytes], pairs: _Pairs) -> None:
    for key, value in pairs:
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value

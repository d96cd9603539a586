"""Checkpoints whose content follows from their number; run as a process of its own, it writes them until it is killed.

`entries_after(n)` is what the file has to hold once checkpoint n is in it.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

from penstock.state import checkpoint_file, digest
from penstock.state.checkpoint_file import Checkpoint, CheckpointFile, CheckpointHeader
from penstock.state.checkpoint_rules import Expected
from penstock.state.commit_record import CommitRecord

TOPIC_IDS = {"flights": "A", "changelog": "B"}
EXPECTED = Expected(topology="t", topic_ids=TOPIC_IDS, max_age_ms=5_000, now_ms=2_000)


def header(sequence: int, entries: Mapping[bytes, bytes], next_offset: int = 0) -> CheckpointHeader:
    commit = CommitRecord(
        next_offsets={"flights": sequence},
        sequence=sequence,
        writer="w",
        owner_epoch=1,
        stream_time_ms=None,
        digest=digest.to_bytes(digest.digest_of(entries)),
        topology="t",
    )
    return CheckpointHeader(commit=commit, changelog_next_offset=next_offset, topic_ids=TOPIC_IDS, written_ms=1_000)


def changes(sequence: int) -> dict[bytes, bytes | None]:
    """What checkpoint `sequence` changes: some keys anew, some again, some away."""
    random = Random(sequence)
    found: dict[bytes, bytes | None] = {}
    for _ in range(random.randrange(1, 900)):
        key = b"\x04sums%04d" % random.randrange(3_000)
        found[key] = None if random.random() < 0.2 else random.randbytes(random.randrange(1, 60))
    return found


def merge(entries: dict[bytes, bytes], changed: dict[bytes, bytes | None]) -> None:
    for key, value in changed.items():
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value


def entries_after(sequence: int) -> dict[bytes, bytes]:
    entries: dict[bytes, bytes] = {}
    for n in range(1, sequence + 1):
        merge(entries, changes(n))
    return entries


def write(file: CheckpointFile, first: int, last: int) -> dict[bytes, bytes]:
    """Checkpoints `first` to `last`; returns what is in the file then."""
    entries = entries_after(first - 1)
    for n in range(first, last + 1):
        changed = changes(n)
        merge(entries, changed)
        file.append(header(n, entries), changed)
    return entries


def load(path: Path) -> Checkpoint:
    """What a file holds, read by somebody else."""
    found = CheckpointFile(path).load()
    assert found is not None
    return found


@contextmanager
def disk_full_at(size: int) -> Generator[None]:
    """No file of this process can grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_for_ever(path: Path, sequence: int) -> None:
    """Go on behind `sequence`; prints each number once its checkpoint is durable."""
    checkpoint_file.SLACK_BYTES = 0  # type: ignore[misc] # compaction is to happen often
    file = CheckpointFile(path)
    try:
        loaded = file.load()
    except FileNotFoundError:
        loaded = None
    entries = {} if loaded is None else loaded.entries
    while True:
        sequence += 1
        changed = changes(sequence)
        merge(entries, changed)
        file.append(header(sequence, entries), changed)
        print(sequence, flush=True)  # noqa: T201 -- how the test learns what has to survive
        if file.is_due_for_compaction:
            file.compact()


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]), int(sys.argv[2]))

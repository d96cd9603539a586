from __future__ import annotations

import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.state import checkpoint_file, commit_record
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.checkpoint_file import Checkpoint, CheckpointFile, CheckpointLost
from penstock.state.checkpoint_rules import Rejected, load_checkpoint
from penstock.state.replay import Replay
from penstock.state.sealed_blocks import read_blocks
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState
from tests.unit.state import checkpoint_writing as writing
from tests.unit.state.checkpoint_writing import EXPECTED, disk_full_at, load, write


def test_the_file_holds_all_that_was_appended(file: CheckpointFile) -> None:
    entries = write(file, 1, 5)
    assert load(file.path) == Checkpoint(writing.header(5, entries), entries)
    assert file.path.stat().st_size == file.size
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_compaction_keeps_the_content_and_drops_what_was_overwritten(file: CheckpointFile) -> None:
    entries = write(file, 1, 12)
    before, is_due = file.size, file.is_due_for_compaction
    assert is_due
    file.compact()
    assert not file.is_due_for_compaction
    after = file.size
    assert after < before / 2
    assert load(file.path) == Checkpoint(writing.header(12, entries), entries)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    entries = write(file, 13, 15)
    assert load(file.path).entries == entries
    again = CheckpointFile(file.path)
    again.load()
    again.compact()
    assert load(file.path) == Checkpoint(writing.header(15, entries), entries)


@given(
    steps=st.lists(
        st.dictionaries(st.sampled_from([b"\x01a%d" % n for n in range(5)]), st.none() | st.binary(max_size=2))
        | st.sampled_from(["compact", "reload"]),
        max_size=12,
    )
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_appends_compactions_and_reloads_keeps_the_content(
    tmp_path: Path, steps: list[dict[bytes, bytes | None] | str]
) -> None:
    file = CheckpointFile(tmp_path / "checkpoint")
    file.wipe()
    entries: dict[bytes, bytes] = {}
    file.append(writing.header(0, entries), {})
    for n, step in enumerate(steps, start=1):
        if step == "reload":
            file = CheckpointFile(file.path)
            file.load()
        elif isinstance(step, str):
            file.compact()
        else:
            writing.merge(entries, step)
            file.append(writing.header(n, entries), step)
        assert load(file.path).entries == entries


def test_compaction_replaces_the_old_file_as_a_whole(file: CheckpointFile) -> None:
    """At no moment does the path name a file that is half written: the old one is left untouched."""
    write(file, 1, 6)
    with file.path.open("rb") as old:
        before = old.read()
        file.compact()
        old.seek(0)
        assert old.read() == before != file.path.read_bytes()


def test_an_entry_longer_than_a_block_of_many(file: CheckpointFile) -> None:
    changed: dict[bytes, bytes | None] = {b"\x01a%d" % n: bytes(200_000) for n in range(20)}
    file.append(writing.header(1, {}), changed)
    assert load(file.path).entries == changed


def test_a_file_cut_at_any_byte_holds_the_last_checkpoint_that_is_whole(file: CheckpointFile, tmp_path: Path) -> None:
    """What a process killed in the middle of a write leaves behind is such a file."""
    ends = [0]
    states: list[dict[bytes, bytes] | None] = [None]
    for n in (1, 2, 3):
        changed: dict[bytes, bytes] = {b"\x01a": b"%d" % n, b"\x01b%d" % n: b"x" * n}
        states.append({**(states[-1] or {}), **changed})
        file.append(writing.header(n, {}), changed)
        ends.append(file.size)
    data = file.path.read_bytes()
    cut = tmp_path / "cut"
    for length in range(len(data) + 1):
        cut.write_bytes(data[:length])
        found = CheckpointFile(cut)
        loaded = found.load()
        whole = max(n for n in range(4) if ends[n] <= length)
        assert (None if loaded is None else loaded.entries) == states[whole]
        # And work goes on behind it, over the torn rest.
        found.append(writing.header(9, {}), {b"\x01z": b"z"})
        assert load(cut).entries == {**(states[whole] or {}), b"\x01z": b"z"}
        assert cut.stat().st_size == found.size


# ---------------------------------------------------------------- damage


def test_no_bit_of_a_frame_goes_by_unseen(file: CheckpointFile) -> None:
    for n in (1, 2):
        file.append(writing.header(n, {}), {b"\x01a": b"%d" % n})
    data = file.path.read_bytes()
    with file.path.open("rb") as opened:
        blocks = list(read_blocks(opened, checkpoint_file.MAGIC))
    for number, block in enumerate(blocks):
        begin = block.end - len(block.body) - 21
        for bit in range(21 * 8):
            flipped = bytearray(data)
            flipped[begin + bit // 8] ^= 1 << bit % 8
            file.path.write_bytes(flipped)
            loaded = CheckpointFile(file.path).load()
            assert (0 if loaded is None else loaded.header.commit.sequence) == (0 if number < 2 else 1)


def test_blocks_that_are_gone_doubled_or_in_another_order_end_the_reading(file: CheckpointFile) -> None:
    for n in (1, 2, 3):
        file.append(writing.header(n, {}), {b"\x01a": b"%d" % n})
    data = file.path.read_bytes()
    with file.path.open("rb") as opened:
        ends = [len(checkpoint_file.MAGIC), *(block.end for block in read_blocks(opened, checkpoint_file.MAGIC))]
    blocks = [data[begin:end] for begin, end in pairwise(ends)]
    for order in ([0, 1, 3, 4, 5], [0, 1, 4, 5], [0, 1, 4, 5, 2, 3], [0, 1, 0, 1, 2, 3], [0, 1, 2, 2, 3]):
        file.path.write_bytes(checkpoint_file.MAGIC + b"".join(blocks[number] for number in order))
        assert load(file.path).entries == {b"\x01a": b"1"}


@pytest.mark.parametrize("flips", [pytest.param(250, id="250"), pytest.param(5_000, id="5000", marks=pytest.mark.full)])
def test_no_bit_flip_makes_a_wrong_state(file: CheckpointFile, flips: int) -> None:
    """Each flip is seen; an older checkpoint, or none, and the rest of the changelog give the committed state."""
    keys: list[bytes] = []
    values: list[bytes | None] = []
    state = TaskState(unsaved={})
    store = Store(StoreSpec("sums", key=str, value=int), state)
    random = Random(flips)
    for n in range(1, 7):
        for _ in range(40):
            store.put(f"k{random.randrange(60)}", random.randrange(1_000))
            store.delete(f"k{random.randrange(200)}")
        state.accept_batch()
        prepared = state.prepare()
        state.apply()
        header = writing.header(n, state.committed, len(keys) + len(prepared.keys) + 1)
        keys += [*prepared.keys, COMMIT_RECORD_KEY]
        values += [*prepared.values, commit_record.encode(header.commit)]
        file.append(header, state.take_unsaved())
        if n == 3:
            file.compact()

    data = file.path.read_bytes()
    began_with: Counter[int] = Counter()
    for _ in range(flips):
        flipped = bytearray(data)
        flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
        file.path.write_bytes(flipped)
        loaded = load_checkpoint(CheckpointFile(file.path), EXPECTED)
        checkpoint = None if isinstance(loaded, Rejected) else loaded
        began_with[0 if checkpoint is None else checkpoint.header.commit.sequence] += 1
        assert file.path.exists() == (checkpoint is not None)

        replay = Replay("changelog", 0, checkpoint=checkpoint)
        rest = range(replay.next_offset, len(keys))
        replay.feed([keys[i] for i in rest], [values[i] for i in rest], rest)
        assert replay.digest_fits()
        assert dict(replay.state().committed) == dict(state.committed)
    # Every byte of the file counts, so none of the flips goes by unseen: the newest checkpoint is never taken.
    assert set(began_with) == {0, 3, 4, 5}


@pytest.mark.parametrize("data", [b"", b"PENSTOCK", b"\x00" * 5_000, checkpoint_file.MAGIC, b"SQLite format 3\x00"])
def test_a_file_of_something_else_is_wiped(file: CheckpointFile, data: bytes) -> None:
    file.path.write_bytes(data)
    assert load_checkpoint(file, EXPECTED) == Rejected("damaged", "the file holds no complete checkpoint")
    assert not file.path.exists()


def test_damage_is_found_by_compaction_and_nothing_is_replaced(file: CheckpointFile) -> None:
    write(file, 1, 4)
    data = bytearray(file.path.read_bytes())
    data[len(data) // 3] ^= 1
    file.path.write_bytes(data)
    with pytest.raises(CheckpointLost, match="damaged"):
        file.compact()
    assert file.path.read_bytes() == data
    assert [entry.name for entry in file.path.parent.iterdir()] == ["checkpoint"]


def test_a_file_that_was_removed_is_not_continued_in_the_middle(file: CheckpointFile) -> None:
    write(file, 1, 2)
    file.path.unlink()
    with pytest.raises(CheckpointLost):
        write(file, 3, 3)


def test_a_symbolic_link_is_not_followed(file: CheckpointFile, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    file.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        file.append(writing.header(1, {}), {})
    assert isinstance(load_checkpoint(file, EXPECTED), Rejected)
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


# ---------------------------------------------------------------- crashes and full disks


@pytest.mark.parametrize("kills", [pytest.param(8, id="8"), pytest.param(100, id="100", marks=pytest.mark.full)])
def test_a_kill_while_writing_leaves_the_old_or_the_new_checkpoint(tmp_path: Path, kills: int) -> None:
    path = tmp_path / "checkpoint"
    random = Random(kills)
    reached = 0
    for _ in range(kills):
        command = [sys.executable, str(Path(writing.__file__)), str(path), str(reached)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(random.random() * 0.05)  # where it is killed is to be random
            process.send_signal(signal.SIGKILL)
            durable = max([reached + 1, *(int(line) for line in process.stdout if line.endswith("\n"))])
        found = load(path)
        reached = found.header.commit.sequence
        assert reached in (durable, durable + 1)
        entries = writing.entries_after(reached)
        assert found == Checkpoint(writing.header(reached, entries), entries)


@pytest.mark.parametrize("room", [0, 1, 30, 3_000])
def test_a_full_disk_leaves_the_old_checkpoint(file: CheckpointFile, room: int) -> None:
    entries = write(file, 1, 2)
    with disk_full_at(file.size + room), pytest.raises(OSError, match="File too large"):
        write(file, 3, 3)
    assert file.path.stat().st_size == file.size
    assert load(file.path) == Checkpoint(writing.header(2, entries), entries)
    assert load(file.path).entries == entries
    assert write(file, 3, 4) == load(file.path).entries


def test_a_disk_that_is_full_one_byte_too_early_leaves_the_old_checkpoint(file: CheckpointFile) -> None:
    entries = write(file, 1, 2)
    data = file.path.read_bytes()
    write(file, 3, 3)
    needed = file.size
    file.path.write_bytes(data)
    file.load()
    with disk_full_at(needed - 1), pytest.raises(OSError, match="File too large"):
        write(file, 3, 3)
    assert load(file.path).entries == entries
    with disk_full_at(needed):
        write(file, 3, 3)


def test_a_full_disk_during_compaction_leaves_the_file_as_it_was(file: CheckpointFile) -> None:
    entries = write(file, 1, 6)
    with disk_full_at(1_000), pytest.raises(OSError, match="File too large"):
        file.compact()
    assert [entry.name for entry in file.path.parent.iterdir()] == ["checkpoint"]
    assert load(file.path).entries == entries
    file.compact()
    assert load(file.path).entries == entries

"""A broker's folder becomes a history; the files are built byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from penstock.testing.history import NOBODY, Data, History, Marker, OffsetCommit, Place, Writer, check
from penstock.testing.history.reading import java_hash
from penstock.testing.record_batch import UnreadableLog
from tests.unit.testing.history.by_hand import IN, OUT
from tests.unit.testing.history.cases import ECHO
from tests.unit.testing.log_bytes import TRANSACTIONAL, batch, data, marker, record

ONE, TWO = (1, 0), (2, 3)
ABORT, COMMIT = 0, 1
GROUP_PARTITION = java_hash("p") % 4


def text(word: str) -> bytes:
    return struct.pack(">h", len(word)) + word.encode()


def offset_key(group: str, place: Place) -> bytes:
    return struct.pack(">h", 1) + text(group) + text(place.topic) + struct.pack(">i", place.partition)


def offset_value(next_offset: int, metadata: str, version: int = 4) -> bytes:
    head = struct.pack(">hq", version, next_offset) + (struct.pack(">i", -1) if version >= 3 else b"")
    note = bytes([len(metadata) + 1]) + metadata.encode() if version == 4 else text(metadata)
    return head + note + struct.pack(">q", 7) + b"\0" * (version == 4)


def commit(at: int, group: str, place: Place, next_offset: int, metadata: str = "", version: int = 4) -> bytes:
    pair = (offset_key(group, place), offset_value(next_offset, metadata, version))
    return data(at, pair, producer=ONE, transactional=True)


def write(folder: Path, name: str, content: bytes, start: int = 0) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / f"{start:020d}.log").write_bytes(content)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What ECHO leaves behind of one number, other groups beside it."""
    write(tmp_path, "in-0", data(0, (b"k", b"1")))
    write(tmp_path, "out-0", data(0, (b"k", b"1"), producer=ONE, transactional=True) + marker(1, ONE, COMMIT))
    write(tmp_path, "dlq.p.in-0", b"")
    for partition in range(4):
        write(tmp_path, f"__consumer_offsets-{partition}", b"")
    group = (
        data(0, (struct.pack(">h", 2) + text("p"), b"a member's data"))
        + commit(1, "other", IN, 99)
        + commit(2, "p", IN, 1, "p1;s=1;w=a;oe=1")
        + data(3, (offset_key("p", Place("gone", 0)), None))
        + marker(4, TWO, ABORT)
        + marker(5, ONE, COMMIT)
    )
    write(tmp_path, f"__consumer_offsets-{GROUP_PARTITION}", group)
    return tmp_path


def read(files: Path) -> History:
    return History.read(files, group="p", topics=ECHO.topics)


def test_everything_is_there_as_it_was_appended(files: Path) -> None:
    history = read(files)
    assert sorted(history.logs) == [Place("dlq.p.in", 0), IN, OUT]
    written, marked = history.logs[OUT].entries
    assert isinstance(written, Data)
    assert (written.record.value, written.writer, written.is_transactional) == (b"1", Writer(1, 0), True)
    assert marked == Marker(1, Writer(1, 0), is_commit=True)
    (number,) = history.logs[IN].entries
    assert (number.writer, history.logs[IN].next_offset, history.logs[IN].is_whole) == (NOBODY, 1, True)
    assert not check(history, ECHO)


def test_of_the_group_there_are_its_own_commits_and_their_markers(files: Path) -> None:
    assert read(files).offsets.entries == [
        OffsetCommit(2, IN, 1, "p1;s=1;w=a;oe=1", Writer(1, 0), is_transactional=True),
        Marker(5, Writer(1, 0), is_commit=True),
    ]
    assert read(files).offsets.is_whole


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_older_forms_of_a_commit_are_read_too(files: Path, version: int) -> None:
    write(files, f"__consumer_offsets-{GROUP_PARTITION}", commit(0, "p", IN, 5, "note", version))
    (entry,) = read(files).offsets.entries
    assert isinstance(entry, OffsetCommit)
    assert (entry.next_offset, entry.metadata) == (5, "note")


def test_a_newer_form_is_refused(files: Path) -> None:
    pair = (offset_key("p", IN), struct.pack(">hq", 5, 1))
    write(files, f"__consumer_offsets-{GROUP_PARTITION}", data(0, pair))
    with pytest.raises(UnreadableLog, match="an offset commit of version 5; this reader knows 0 to 4"):
        read(files)


def test_a_group_is_found_where_a_part_of_the_partitions_is(files: Path) -> None:
    """On a node of several: the number of partitions is not known there."""
    folder = files / f"__consumer_offsets-{GROUP_PARTITION}"
    for partition in range(4):
        if partition != GROUP_PARTITION:
            (files / f"__consumer_offsets-{partition}" / f"{0:020d}.log").unlink()
            (files / f"__consumer_offsets-{partition}").rmdir()
    folder.rename(files / "__consumer_offsets-40")
    assert len(read(files).offsets.entries) == 2


def test_a_group_that_has_committed_nothing_has_an_empty_log(files: Path) -> None:
    assert not History.read(files, group="nobody", topics=["in"]).offsets.entries


def test_a_fenced_producers_records_are_read_and_judged(files: Path) -> None:
    """The reader of topics refuses such a file; here it is what the rules are for."""
    late = data(0, (b"k", b"1"), producer=(1, 0), transactional=True) + marker(1, (1, 1), COMMIT)
    late += data(2, (b"k", b"2"), producer=(1, 0), transactional=True)
    write(files, "out-0", late)
    assert [verdict.kind.value for verdict in check(read(files), ECHO)] == ["dual writer"]


def test_a_cleaners_gap_and_a_front_that_was_deleted_are_told_apart(files: Path) -> None:
    write(files, "in-0", data(5, (b"k", b"1")) + data(6, (b"k", b"2")))
    log = read(files).logs[IN]
    assert (log.start_offset, log.has_gaps, log.is_whole) == (5, False, False)
    write(files, "in-0", data(0, (b"k", b"1")) + data(6, (b"k", b"2")))
    log = read(files).logs[IN]
    assert (log.start_offset, log.has_gaps, log.is_whole) == (0, True, False)
    holed = batch(0, [record(0, (b"k", b"1")), record(3, (b"k", b"2"))], last_delta=3)
    write(files, "in-0", holed)
    assert read(files).logs[IN].has_gaps


def test_an_empty_batch_that_a_cleaner_left_is_a_gap_and_no_marker(files: Path) -> None:
    left = batch(0, [], last_delta=2, producer=ONE, attributes=TRANSACTIONAL)
    write(files, "out-0", left + data(3, (b"k", b"1"), producer=ONE, transactional=True) + marker(4, ONE, COMMIT))
    log = read(files).logs[OUT]
    assert (len(log.entries), log.has_gaps) == (2, True)


def test_offsets_that_go_back_are_refused(files: Path) -> None:
    write(files, "in-0", data(3, (b"k", b"1")) + data(2, (b"k", b"2")))
    with pytest.raises(UnreadableLog, match="offsets 2 to 2, and 4 is next"):
        read(files)


def test_a_topic_that_is_not_there_is_refused(files: Path) -> None:
    with pytest.raises(UnreadableLog, match="holds no partition of topic 'nothing'"):
        History.read(files, group="p", topics=["nothing"])

"""What the demo counts in the broker's files, in segments that were built byte by byte and grow between two looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.broker_files import TopicFiles
from tests.unit.testing.log_bytes import data, marker

ONE, TWO, HEIR = (1, 0), (2, 0), (1, 1)
ABORT, COMMIT = 0, 1


def staged(offset: int, count: int, producer: tuple[int, int]) -> bytes:
    return data(offset, *[(b"k", b"v")] * count, producer=producer, transactional=True)


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    (tmp_path / "t-0").mkdir()
    return tmp_path / "t-0" / f"{0:020d}.log"


def append(file: Path, content: bytes) -> None:
    with file.open("ab") as log:
        log.write(content)


def test_a_transaction_is_open_until_its_marker_says_what_became_of_it(tmp_path: Path, segment: Path) -> None:
    files = TopicFiles(tmp_path, "t")
    append(segment, staged(0, 3, ONE))
    files.look()
    assert (files.committed, files.aborted, files.open_producers) == (0, 0, {1})

    append(segment, staged(3, 2, ONE) + marker(5, ONE, COMMIT))
    files.look()
    assert (files.committed, files.aborted, files.open_producers) == (5, 0, set())

    # The successor's epoch is on the marker that aborts what its predecessor left.
    append(segment, staged(6, 4, ONE) + marker(10, HEIR, ABORT) + staged(11, 1, HEIR) + marker(12, HEIR, COMMIT))
    files.look()
    assert (files.committed, files.aborted, files.open_producers) == (6, 4, set())
    assert files.aborted_by_life() == {ONE: 4}
    assert [part.records for part in files.partitions[0].committed] == [5, 1]


def test_a_batch_that_is_half_written_waits_for_the_next_look(tmp_path: Path, segment: Path) -> None:
    whole = staged(0, 3, ONE) + marker(3, ONE, COMMIT)
    files = TopicFiles(tmp_path, "t")
    for end in range(1, len(whole) + 1):
        segment.write_bytes(whole[:end])
        files.look()
        assert files.committed == (3 if end == len(whole) else 0)


def test_what_a_broker_cut_off_and_wrote_anew_is_read_anew(tmp_path: Path, segment: Path) -> None:
    """It comes back, drops what no other broker has, and has fetched more than that by the next look."""
    files = TopicFiles(tmp_path, "t")
    kept = staged(0, 3, ONE) + marker(3, ONE, COMMIT)
    segment.write_bytes(kept + staged(4, 5, ONE))
    files.look()
    assert (files.committed, files.open_producers) == (3, {1})
    segment.write_bytes(kept + staged(4, 2, TWO) + marker(6, TWO, COMMIT) + staged(7, 9, TWO))
    files.look()
    assert (files.committed, files.aborted, files.open_producers) == (5, 0, {2})


def test_records_below_an_offset_step_over_markers_and_what_was_aborted(tmp_path: Path, segment: Path) -> None:
    """Two producers interleave: the second one's transaction ends first."""
    append(segment, staged(0, 3, ONE) + staged(3, 2, TWO) + marker(5, TWO, COMMIT) + staged(6, 2, TWO))
    append(segment, marker(8, TWO, ABORT) + marker(9, ONE, COMMIT) + data(10, (b"k", b"plain")))
    files = TopicFiles(tmp_path, "t")
    files.look()
    counts = [files.partitions[0].records_below(offset) for offset in range(12)]
    assert counts == [0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5, 6]


def test_it_goes_on_in_the_next_segment_and_in_new_partitions(tmp_path: Path, segment: Path) -> None:
    files = TopicFiles(tmp_path, "t")
    append(segment, staged(0, 3, ONE))
    files.look()
    append(segment, staged(3, 1, ONE))
    append(segment.with_name(f"{4:020d}.log"), marker(4, ONE, COMMIT))
    (tmp_path / "t-1").mkdir()
    append(tmp_path / "t-1" / segment.name, data(0, (b"k", b"v")))
    (tmp_path / "t-more-0").mkdir()
    append(tmp_path / "t-more-0" / segment.name, data(0, (b"k", b"v")))
    files.look()
    assert {number: len(files.partitions[number].committed) for number in files.partitions} == {0: 1, 1: 1}
    assert files.committed == 5


def test_a_topic_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    files = TopicFiles(tmp_path, "t")
    files.look()
    assert (files.committed, files.aborted, files.open_producers) == (0, 0, set())

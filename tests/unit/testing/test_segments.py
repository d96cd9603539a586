"""What became of data: markers and producer ids, followed through segment files that were built byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from penstock.testing.record_batch import UnreadableLog
from penstock.testing.segments import Fate, read_partition, read_topic
from tests.unit.testing.log_bytes import TRANSACTIONAL, batch, data, marker

ONE, TWO = (1, 0), (2, 0)
ABORT, COMMIT = 0, 1


def written(folder: Path, segments: Mapping[int, bytes]) -> Path:
    folder.mkdir()
    for start, content in segments.items():
        (folder / f"{start:020d}.log").write_bytes(content)
    return folder


def values(folder: Path, *fates: Fate) -> list[bytes | None]:
    return [record.value for record in read_partition(folder).records(*fates)]


def test_data_without_a_transaction_is_committed(tmp_path: Path) -> None:
    folder = written(tmp_path / "t-0", {0: data(0, (b"k", b"a"), (b"k", b"b"))})
    assert values(folder, Fate.COMMITTED) == [b"a", b"b"]
    assert read_partition(folder).last_stable_offset == 2


def test_two_transactions_that_interleave_are_told_apart(tmp_path: Path) -> None:
    content = (
        data(0, (None, b"one"), producer=ONE, transactional=True)
        + data(1, (None, b"two"), producer=TWO, transactional=True)
        + data(2, (None, b"one again"), producer=ONE, transactional=True)
        + marker(3, TWO, ABORT)
        + data(4, (None, b"plain"))
        + marker(5, ONE, COMMIT)
    )
    log = read_partition(written(tmp_path / "t-0", {0: content}))
    assert [r.value for r in log.records(Fate.COMMITTED)] == [b"one", b"one again", b"plain"]
    assert [r.value for r in log.records(Fate.ABORTED)] == [b"two"]
    assert [(t.producer_id, t.fate, t.marker_offset, t.count) for t in log.transactions] == [
        (1, Fate.COMMITTED, 5, 2),
        (2, Fate.ABORTED, 3, 1),
    ]
    assert log.next_offset == 6


def test_a_transaction_without_a_marker_is_open_and_holds_readers_back(tmp_path: Path) -> None:
    content = (
        data(0, (None, b"before"))
        + data(1, (None, b"open"), (None, b"open too"), producer=ONE, transactional=True)
        + data(3, (None, b"behind"), producer=TWO, transactional=True)
        + marker(4, TWO, COMMIT)
    )
    log = read_partition(written(tmp_path / "t-0", {0: content}))
    assert [r.value for r in log.records(Fate.OPEN)] == [b"open", b"open too"]
    assert log.count(Fate.OPEN) == 2
    assert [t.first_offset for t in log.open_transactions] == [1]
    assert log.last_stable_offset == 1
    assert [r.value for r in log.records(Fate.COMMITTED)] == [b"before", b"behind"]
    assert [r.value for r in log.visible()] == [b"before"]


def test_a_marker_ends_one_transaction_and_not_the_next_of_the_same_producer(tmp_path: Path) -> None:
    content = (
        data(0, (None, b"a"), producer=ONE, transactional=True)
        + marker(1, ONE, COMMIT)
        + data(2, (None, b"b"), producer=ONE, transactional=True)
        + marker(3, ONE, ABORT)
        + data(4, (None, b"c"), producer=ONE, transactional=True)
    )
    folder = written(tmp_path / "t-0", {0: content})
    assert values(folder, Fate.COMMITTED) == [b"a"]
    assert values(folder, Fate.ABORTED) == [b"b"]
    assert values(folder, Fate.OPEN) == [b"c"]
    assert values(folder) == [b"a", b"b", b"c"]


def test_the_successors_epoch_in_an_abort_marker_changes_nothing(tmp_path: Path) -> None:
    content = data(0, (None, b"a"), producer=(1, 4), transactional=True) + marker(1, (1, 5), ABORT)
    assert values(written(tmp_path / "t-0", {0: content}), Fate.ABORTED) == [b"a"]


def test_a_transaction_may_end_in_a_later_segment(tmp_path: Path) -> None:
    segments = {0: data(0, (None, b"a"), producer=ONE, transactional=True), 1: marker(1, ONE, COMMIT)}
    assert values(written(tmp_path / "t-0", segments), Fate.COMMITTED) == [b"a"]


def test_what_a_cleaner_leaves_is_understood(tmp_path: Path) -> None:
    """Gaps between offsets, an emptied batch kept for its producer, and a marker whose data is gone."""
    content = (
        batch(3, [], producer=ONE, attributes=TRANSACTIONAL, last_delta=2)
        + marker(9, TWO, COMMIT)
        + data(12, (b"k", b"kept"))
    )
    folder = written(tmp_path / "t-0", {0: content})
    assert values(folder, Fate.COMMITTED) == [b"kept"]
    assert read_partition(folder).last_stable_offset == 13


def test_files_that_are_no_segments_are_left_alone(tmp_path: Path) -> None:
    folder = written(tmp_path / "t-0", {0: data(0, (None, b"a"))})
    for name in ("00000000000000000000.index", "00000000000000000000.log.deleted", "leader-epoch-checkpoint"):
        (folder / name).write_bytes(b"?")
    assert values(folder) == [b"a"]


def test_an_empty_partition_has_nothing(tmp_path: Path) -> None:
    log = read_partition(written(tmp_path / "t-0", {0: b""}))
    assert (log.records(), log.next_offset, log.last_stable_offset) == ([], 0, 0)


def test_a_torn_batch_is_left_out_at_the_end_and_refused_in_a_closed_segment(tmp_path: Path) -> None:
    torn = data(0, (None, b"a")) + data(1, (None, b"b"))[:-1]
    assert values(written(tmp_path / "t-0", {0: torn})) == [b"a"]
    with pytest.raises(UnreadableLog, match="segment is closed"):
        read_partition(written(tmp_path / "t-1", {0: torn, 2: data(2, (None, b"c"))}))


@pytest.mark.parametrize(
    ("segments", "why"),
    [
        ({0: data(0, (None, b"a")) + data(0, (None, b"b"))}, "offsets 0 to 0, and 1 is next"),
        ({5: data(4, (None, b"a"))}, "offset 4 in a segment that begins at 5"),
        ({0: batch(3, [], last_delta=-1)}, "offsets 3 to 2"),
        ({0: data(0, (None, b"a"), producer=(1, 2)) + data(1, (None, b"b"), producer=(1, 1))}, "a fenced producer"),
        (
            {0: data(0, (None, b"a"), producer=ONE, transactional=True) + data(1, (None, b"b"), producer=ONE)},
            "outside a transaction",
        ),
        (
            {
                0: data(0, (None, b"a"), producer=(1, 0), transactional=True)
                + data(1, (None, b"b"), producer=(1, 1), transactional=True)
            },
            "in another epoch",
        ),
    ],
)
def test_a_log_that_no_broker_writes_is_refused(tmp_path: Path, segments: Mapping[int, bytes], why: str) -> None:
    with pytest.raises(UnreadableLog, match=why):
        read_partition(written(tmp_path / "t-0", segments))


def test_a_topic_is_all_its_partitions_and_no_other_topics(tmp_path: Path) -> None:
    for name in ("t-0", "t-10", "t-2", "t-2-0", "other-0"):
        written(tmp_path / name, {0: data(0, (None, name.encode()))})
    found = read_topic(tmp_path, "t")
    assert {p: [r.value for r in log.records()] for p, log in found.items()} == {
        0: [b"t-0"],
        2: [b"t-2"],
        10: [b"t-10"],
    }
    assert list(found) == [0, 2, 10]


def test_a_topic_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableLog, match="holds no partition of topic 't'"):
        read_topic(tmp_path, "t")

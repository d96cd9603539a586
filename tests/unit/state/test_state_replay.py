from __future__ import annotations

import msgspec
import pytest

from penstock.errors import OperatorMustDecide
from penstock.state import commit_record
from penstock.state import digest as digests
from penstock.state.changelog import COMMIT_RECORD_KEY
from penstock.state.checkpoint_file import Checkpoint, CheckpointHeader
from penstock.state.commit_record import CommitRecord
from penstock.state.replay import Replay
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState

SUMS = StoreSpec("sums", key=str, value=int)


class Changelog:
    """What a task writes to its changelog partition, transaction by transaction."""

    def __init__(self) -> None:
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.state = TaskState()
        self.sums = Store(SUMS, self.state)
        self.commits: list[CommitRecord] = []

    def commit(self) -> None:
        self.state.accept_batch()
        prepared = self.state.prepare()
        record = CommitRecord(
            next_offsets={"flights": len(self.commits) + 1},
            sequence=len(self.commits) + 1,
            writer="w",
            owner_epoch=1,
            stream_time_ms=None,
            digest=digests.to_bytes(prepared.digest),
            topology="t",
        )
        self.keys += [*prepared.keys, COMMIT_RECORD_KEY]
        self.values += [*prepared.values, commit_record.encode(record)]
        self.commits.append(record)
        self.state.apply()

    def feed(self, replay: Replay, start: int = 0) -> Replay:
        replay.feed(self.keys[start:], self.values[start:], range(start, len(self.keys)))
        return replay


@pytest.fixture
def changelog() -> Changelog:
    log = Changelog()
    log.sums.put("a", 1)
    log.sums.put("b", 2)
    log.commit()
    log.sums.delete("a")
    log.sums.put("c", 3)
    log.commit()
    return log


def test_a_replayed_state_is_the_one_that_was_committed(changelog: Changelog) -> None:
    replay = changelog.feed(Replay("changelog", 0))
    assert replay.digest_fits()
    assert replay.last_commit == changelog.commits[-1]
    assert (replay.records, replay.next_offset) == (6, 6)
    restored = replay.state()
    assert dict(restored.committed) == dict(changelog.state.committed)
    assert restored.digest == changelog.state.digest
    assert list(Store(SUMS, restored).scan()) == [("b", 2), ("c", 3)]


def test_a_compacted_changelog_gives_the_same_state(changelog: Changelog) -> None:
    last = {key: place for place, key in enumerate(changelog.keys)}
    kept = sorted(last.values())
    replay = Replay("changelog", 0)
    replay.feed([changelog.keys[i] for i in kept], [changelog.values[i] for i in kept], kept)
    assert replay.digest_fits()
    assert dict(replay.state().committed) == dict(changelog.state.committed)


@pytest.mark.parametrize("lost", [1, 3, 4])
def test_a_lost_record_is_seen_by_the_digest(changelog: Changelog, lost: int) -> None:
    """Without b, without the deletion of a, without c."""
    del changelog.keys[lost], changelog.values[lost]
    assert not changelog.feed(Replay("changelog", 0)).digest_fits()


def test_an_under_read_is_seen_by_the_digest(changelog: Changelog) -> None:
    replay = Replay("changelog", 0)
    replay.feed(changelog.keys[:4], changelog.values[:4], range(4))
    assert not replay.digest_fits()


def test_an_empty_changelog_is_an_empty_state_and_entries_without_a_commit_are_not() -> None:
    assert Replay("changelog", 0).digest_fits()
    replay = Replay("changelog", 0)
    replay.feed([b"\x04sumsa"], [b"\x01\x01"], [0])
    assert not replay.digest_fits()


def test_a_replay_goes_on_behind_a_checkpoint_and_keeps_account_of_the_rest(changelog: Changelog) -> None:
    header = CheckpointHeader(commit=changelog.commits[0], changelog_next_offset=3, topic_ids={}, written_ms=0)
    checkpoint = Checkpoint(header, {b"\x04sumsa": b"\x01\x01", b"\x04sumsb": b"\x01\x02"})
    replay = Replay("changelog", 0, checkpoint=checkpoint)
    assert replay.digest_fits()
    assert replay.next_offset == 3
    changelog.feed(replay, start=3)
    assert replay.digest_fits()
    state = replay.state()
    assert dict(state.committed) == dict(changelog.state.committed)
    assert state.take_unsaved() == {b"\x04sumsa": None, b"\x04sumsc": b"\x01\x03"}


def test_without_a_checkpoint_everything_is_unsaved(changelog: Changelog) -> None:
    state = changelog.feed(Replay("changelog", 0)).state()
    assert {k: v for k, v in state.take_unsaved().items() if v is not None} == dict(state.committed)


def test_a_state_without_checkpoints_keeps_no_account(changelog: Changelog) -> None:
    state = changelog.feed(Replay("changelog", 0, account=False)).state()
    Store(SUMS, state).put("z", 1)
    state.accept_batch()
    state.prepare()
    state.apply()
    assert state.take_unsaved() == {}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (b"foreign", b"x", "did not write"),
        (None, b"x", "did not write"),
        (COMMIT_RECORD_KEY, None, "the commit record was deleted"),
        (COMMIT_RECORD_KEY, msgspec.msgpack.encode({"format": 9}), "format 9"),
    ],
)
def test_a_foreign_record_stops_the_restore_with_its_place(key: bytes | None, value: bytes | None, words: str) -> None:
    with pytest.raises(OperatorMustDecide, match=rf"changelog\[2\]@7: .*{words}"):
        Replay("changelog", 2).feed([key], [value], [7])

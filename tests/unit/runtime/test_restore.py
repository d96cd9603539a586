"""A restored task agrees with the group's offsets and with its digest, or an operator decides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import KafkaUnavailable, OperatorMustDecide, ServerUnreachable
from penstock.kafka.consumer import Committed
from penstock.kafka.reader import RawRecord, Watermarks
from penstock.runtime.deployment_log import History
from penstock.runtime.lineage import Lineage
from penstock.runtime.merge import Partition
from penstock.runtime.restore import STALL_S, DigestDiffers, Restore, Restored
from penstock.runtime.task import TaskId
from penstock.schemas.topic import Topic
from penstock.state import commit_record
from penstock.state import digest as digests
from penstock.state.changelog import COMMIT_RECORD_KEY, store_prefix
from penstock.state.commit_record import CommitRecord
from penstock.topology.deployment import Deployment, DeploymentRecord, Group, deployment_of
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import InMemoryChangelog, metadata, raw

IN = ("in", 0)
KEYS = [store_prefix("sum") + key for key in (b"a", b"b", b"c")]


def changelog(next_offset: int = 30, sequence: int = 4, lost: int | None = None) -> list[RawRecord]:
    """Three keys and a commit record; control records leave gaps. One key can be lost behind the digest's back."""
    entries = dict.fromkeys(KEYS, b"v")
    record = CommitRecord(
        next_offsets={"in": next_offset},
        sequence=sequence,
        writer="p.0",
        owner_epoch=2,
        stream_time_ms=77,
        digest=digests.to_bytes(digests.digest_of(entries)),
        topology="t",
    )
    rows = [raw(2 * n, key, b"v") for n, key in enumerate(KEYS) if n != lost]
    return [*rows, raw(6, COMMIT_RECORD_KEY, commit_record.encode(record))]


def restore(
    committed: Mapping[Partition, Committed], log: InMemoryChangelog | None, clock: ManualClock | None = None
) -> Restore:
    return Restore(
        TaskId("in", 0),
        (IN,),
        committed=lambda _: committed,
        first_offsets=lambda: {IN: 3},
        changelog=log,
        stored=None,
        clock=clock or ManualClock(),
    )


def finish(restoring: Restore) -> Restored:
    for _ in range(100):
        done = restoring.step()
        if done is not None:
            return done
    raise AssertionError("no end")


AT_30: Mapping[Partition, Committed] = {IN: Committed(30, metadata(4))}


def test_state_and_place_come_back() -> None:
    done = finish(restore(AT_30, InMemoryChangelog(changelog(), end=8)))
    assert done.state is not None
    assert sorted(done.state.committed) == KEYS
    progress = done.progress
    assert (progress.next_offsets, progress.sequence, progress.owner_epoch) == ({IN: 30}, 4, 2)
    assert progress.time.now_ms == 77
    assert (done.records, done.checkpoint_bytes) == (4, 0)


def test_it_goes_on_to_the_high_watermark_and_not_to_the_last_stable_offset() -> None:
    """While a dead writer's transaction is open, the rest of what is committed stands behind it."""
    log = InMemoryChangelog(changelog(), end=8, stable=2)
    restoring = restore(AT_30, log)
    assert all(restoring.step() is None for _ in range(5))
    assert restoring.progress == (2, 8)
    log.stable = 8  # the coordinator has ended it
    assert finish(restoring).records == 4


def test_a_new_task_begins_where_its_source_says() -> None:
    done = finish(restore({}, InMemoryChangelog([])))
    assert done.progress.next_offsets == {IN: 3}
    assert (done.progress.sequence, done.progress.owner_epoch) == (0, 0)


def test_a_task_without_stores_continues_the_sequence_of_its_offsets() -> None:
    done = finish(restore({IN: Committed(30, metadata(9))}, None))
    assert done.state is None
    assert (done.progress.next_offsets, done.progress.sequence) == ({IN: 30}, 9)


@pytest.mark.parametrize("group", [20, 40])
def test_a_group_that_is_not_where_its_changelog_is_names_both(group: int) -> None:
    with pytest.raises(
        OperatorMustDecide, match=rf"group is at in\[0\]={group}, its changelog at in\[0\]=30"
    ) as caught:
        finish(restore({IN: Committed(group, "")}, InMemoryChangelog(changelog(), end=8)))
    assert caught.value.exit_code == 5


def test_where_sources_begin_is_waited_for_and_asked_only_of_a_group_that_never_read_one() -> None:
    """The answer takes a moment, in which other tasks go on."""
    asked: list[int] = []

    def first_offsets() -> Mapping[Partition, int]:
        asked.append(len(asked))
        if len(asked) < 3:
            raise KafkaUnavailable("asked, and not answered yet")
        return {IN: 7}

    def begin(committed: Mapping[Partition, Committed], log: InMemoryChangelog) -> Restore:
        return Restore(
            TaskId("in", 0),
            (IN,),
            committed=lambda _: committed,
            first_offsets=first_offsets,
            changelog=log,
            stored=None,
            clock=ManualClock(),
        )

    new = begin({}, InMemoryChangelog([], end=0))
    assert [new.step(), new.step()] == [None, None]
    found = new.step()
    assert found is not None
    assert found.progress.next_offsets == {IN: 7}
    assert len(asked) == 3
    known = begin(AT_30, InMemoryChangelog(changelog(), end=8))
    while known.step() is None:
        pass
    assert len(asked) == 3


def test_a_task_that_somebody_else_took_over_meanwhile_is_compared_with_what_the_group_says_now() -> None:
    """Between the two answers this worker stood still: the other owner's commits are no loss of data."""
    answers: list[Mapping[Partition, Committed]] = [AT_30, {IN: Committed(20, metadata(3))}]
    restoring = Restore(
        TaskId("in", 0),
        (IN,),
        committed=lambda _: answers.pop() if len(answers) > 1 else answers[0],
        first_offsets=lambda: {IN: 0},
        changelog=InMemoryChangelog(changelog(), end=8),
        stored=None,
        clock=ManualClock(),
    )
    done = finish(restoring)
    assert (done.progress.next_offsets, done.progress.sequence) == ({IN: 30}, 4)


class CompactedWhileRead(InMemoryChangelog):
    """Somebody has the task by now: two of its keys are written anew behind the end that this reader goes on to."""

    def __init__(self) -> None:
        first, second, third, commit = changelog()
        again = [raw(8, first.key, b"v"), raw(10, second.key, b"v")]
        super().__init__([third, commit, *again, raw(12, COMMIT_RECORD_KEY, changelog(40, 5)[3].value)], end=14)
        self.ends = [8, 14]

    def watermarks(self) -> Watermarks:
        return Watermarks(0, self.ends.pop(0) if len(self.ends) > 1 else self.ends[0])


def test_what_is_compacted_away_while_it_is_read_is_no_loss_if_somebody_has_committed_since() -> None:
    """Seed 9201 of the simulation: a worker that stood still in its restore ended, for an operator to decide."""
    answers: list[Mapping[Partition, Committed]] = [{IN: Committed(40, metadata(5))}, AT_30]
    log = CompactedWhileRead()
    restoring = Restore(
        TaskId("in", 0),
        (IN,),
        committed=lambda _: answers.pop() if len(answers) > 1 else answers[0],
        first_offsets=lambda: {IN: 0},
        changelog=log,
        stored=None,
        clock=ManualClock(),
    )
    done = finish(restoring)
    assert (done.progress.next_offsets, done.progress.sequence) == ({IN: 40}, 5)
    assert done.state is not None
    assert sorted(done.state.committed) == KEYS


def test_a_group_whose_changelog_is_gone_names_what_it_committed() -> None:
    with pytest.raises(OperatorMustDecide, match=r"committed in\[0\]=30, but its changelog is empty"):
        finish(restore(AT_30, InMemoryChangelog([])))


def test_a_group_whose_offsets_are_gone_is_offered_those_of_the_changelog() -> None:
    with pytest.raises(OperatorMustDecide, match=r"offsets are gone.*changelog says in\[0\]=30"):
        finish(restore({}, InMemoryChangelog(changelog(), end=8)))


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_record_that_is_missing_shows_in_the_digest(lost: int) -> None:
    with pytest.raises(DigestDiffers, match="its changelog"):
        finish(restore(AT_30, InMemoryChangelog(changelog(lost=lost), end=8)))


def test_a_value_that_was_changed_shows_in_the_digest() -> None:
    first, *rest = changelog()
    with pytest.raises(DigestDiffers):
        finish(restore(AT_30, InMemoryChangelog([raw(0, first.key, b"w"), *rest], end=8)))


def test_standing_still_ends_with_a_reason_and_moving_does_not() -> None:
    clock = ManualClock()
    log = InMemoryChangelog(changelog(), end=8, stable=2)
    restoring = restore(AT_30, log, clock)
    for stable in (4, 6, 7):
        clock.now_s += STALL_S - 1
        assert restoring.step() is None
        log.stable = stable
        assert restoring.step() is None
    clock.now_s += STALL_S + 1
    with pytest.raises(ServerUnreachable, match="a transaction is open in its changelog"):
        restoring.step()


def test_offsets_that_are_pending_are_asked_for_again() -> None:
    pending = [KafkaUnavailable("pending"), KafkaUnavailable("pending")]

    def committed(_: tuple[Partition, ...]) -> Mapping[Partition, Committed]:
        if pending:
            raise pending.pop()
        return AT_30

    restoring = Restore(
        TaskId("in", 0),
        (IN,),
        committed=committed,
        first_offsets=lambda: {IN: 0},
        changelog=InMemoryChangelog(changelog(), end=8),
        stored=None,
        clock=ManualClock(),
    )
    assert restoring.step() is None
    assert restoring.step() is None
    assert finish(restoring).progress.sequence == 4


def test_closing_lets_go_of_the_changelog() -> None:
    log = InMemoryChangelog(changelog(), end=8)
    restore(AT_30, log).close()
    assert log.is_closed


def test_what_the_code_does_not_go_on_with_is_deleted_with_the_claim_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The restored state is what was committed, with a transaction over it that the claim commits."""
    source = Topic("in", key=str, value=str)
    other = Pipeline("p")
    other.stream(source).count(name="totals")
    code = deployment_of(other.topology(), {})
    record = DeploymentRecord(deployment=code, writer="p.0", recorded_ms=0)
    before = DeploymentRecord(
        deployment=Deployment(pipeline="p", fingerprint="t", groups=(Group(name="in", nodes=()),)),
        writer="p.0",
        recorded_ms=0,
    )
    history = History({"t": before, code.fingerprint: record})
    restoring = Restore(
        TaskId("in", 0),
        (IN,),
        committed=lambda _: AT_30,
        first_offsets=lambda: {IN: 0},
        changelog=InMemoryChangelog(changelog(), end=8),
        stored=None,
        clock=ManualClock(),
        lineage=Lineage(code, history, lambda: history, accept_state_loss=False),
    )
    done = finish(restoring)
    assert done.state is not None
    assert sorted(done.state.committed) == KEYS
    assert done.state.prepare().keys == KEYS
    assert done.progress.next_offsets == {IN: 30}
    assert "task in[0]: the code does not go on with all of its state; keys deleted: 3" in caplog.text

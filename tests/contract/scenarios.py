"""What is asked of a cluster, and what Kafka answers: played on the simulated cluster and on a real broker.

Each scenario gives what was observed, as plain data. `EXPECTED` is what a broker of today gives; where the simulated
cluster differs, it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from penstock.kafka.group_settings import GroupSettings
from penstock.protocols import TransactionalProducer
from tests.contract.stage import (
    Partitions,
    Stage,
    asked,
    error_of,
    joined,
    producer_of,
    read,
    settled,
    told,
    topic_of,
    until,
    write,
)


def committed_aborted_open(stage: Stage) -> object:
    """Markers take offsets; aborted records are stepped over; an open transaction holds readers back."""
    topic = topic_of(stage)
    first = producer_of(stage)
    write(first, topic, "a", "b")
    first.commit_transaction(30.0)
    write(first, topic, "c", "d")
    first.close()
    second = producer_of(stage)
    write(second, topic, "e")
    second.commit_transaction(30.0)
    settled(stage, topic)
    write(second, topic, "f")
    questions = stage.clients().group(stage.name, "asks")
    extent = tuple(asked(stage, lambda: questions.extent((topic, 0))))
    questions.close()
    committed = read(stage.clients().reader("reads"), topic)
    uncommitted = read(stage.clients().reader("reads", "read_uncommitted"), topic)
    second.close()
    producer_of(stage).close()
    return extent, committed, uncommitted, settled(stage, topic)


def fenced_by_a_successor(stage: Stage) -> object:
    """Whoever initialises last is the only one; the other's transaction is aborted."""
    topic = topic_of(stage)
    found: list[str] = []

    def commits(old: TransactionalProducer) -> None:
        old.commit_transaction(30.0)

    def goes_on(old: TransactionalProducer) -> None:
        old.produce(topic, [b"k"], [b"late"], partitions=[0])
        old.flush(30.0)

    for number, call in enumerate((commits, goes_on)):
        old = producer_of(stage, f"p{number}")
        write(old, topic, "old")
        new = producer_of(stage, f"p{number}")
        found.append(error_of(partial(call, old)))
        old.close()
        write(new, topic, "new")
        new.commit_transaction(30.0)
        new.close()
        settled(stage, topic)
    return found, [value for _, value in read(stage.clients().reader("reads"), topic)]


def fenced_by_its_time_out(stage: Stage) -> object:
    """A transaction that lasts too long is aborted by the coordinator, and its producer fenced."""
    topic = topic_of(stage)
    slow = producer_of(stage, timeout_ms=5_000)  # its record has to be acknowledged by then
    write(slow, topic, "slow")
    settled(stage, topic)
    error = error_of(lambda: slow.commit_transaction(30.0))
    slow.close()
    return error, [value for _, value in read(stage.clients().reader("reads"), topic)]


def offsets_in_a_transaction(stage: Stage) -> object:
    """They are pending until it is over; then they count, or never did."""
    topic = topic_of(stage)
    place = (topic, 0)
    member, listener = joined(stage, topic)
    producer = producer_of(stage)
    questions = stage.clients().group(f"{stage.name}-g", "asks")
    seen: list[object] = [asked(stage, lambda: questions.stable_offsets([place]))]
    for offset, is_committed in ((3, True), (7, False)):
        write(producer, topic, "x")
        producer.send_offsets({place: (offset, f"m{offset}")}, member.group_metadata(), 30.0)
        seen.append(asked(stage, lambda: questions.stable_offsets([place])))
        seen.append(told(asked(stage, lambda: questions.last_offsets([place]))))
        if is_committed:
            producer.commit_transaction(30.0)
        else:
            producer.close()
            producer = producer_of(stage)
        settled(stage, topic)
        until(stage, lambda: asked(stage, lambda: questions.stable_offsets([place])) != "unstable")
        seen.append(told(asked(stage, lambda: questions.stable_offsets([place]))))
    seen.append(listener.held == [place])
    questions.close()
    producer.close()
    member.close()
    return seen


def refused_offsets(stage: Stage) -> object:
    """An old generation and a member that has left are refused; nobody at all is not."""
    topic = topic_of(stage, partitions=2)
    place = (topic, 0)
    member, _ = joined(stage, topic)
    before = member.group_metadata()
    other, _ = joined(stage, topic, beside=member)
    seen: list[str] = []
    for group in (before, member.group_metadata()):
        producer = producer_of(stage)
        write(producer, topic, "x")
        seen.append(error_of(partial(producer.send_offsets, {place: (1, "")}, group, 30.0)))
        producer.close()
    gone = other.group_metadata()
    other.close()
    producer = producer_of(stage)
    write(producer, topic, "x")
    seen.append(error_of(lambda: producer.send_offsets({place: (1, "")}, gone, 30.0)))
    producer.close()
    stranger = stage.clients().member(f"{stage.name}-g", "m", Partitions([]), GroupSettings())
    producer = producer_of(stage)
    write(producer, topic, "x")
    nobody = stranger.group_metadata()
    seen.append(error_of(lambda: producer.send_offsets({place: (1, "")}, nobody, 30.0)))
    producer.close()
    stranger.close()
    member.close()
    return seen, before.is_live, nobody.is_live


def empty_transaction(stage: Stage) -> object:
    """It sends nothing and succeeds."""
    topic = topic_of(stage)
    producer = producer_of(stage)
    producer.begin_transaction()
    producer.flush(30.0)
    error = error_of(lambda: producer.commit_transaction(30.0))
    producer.close()
    return error, settled(stage, topic)


def refused_record(stage: Stage) -> object:
    """A compacted topic takes no record without a key; the refusal names it."""
    topic = topic_of(stage, config={"cleanup.policy": "compact"})
    producer = producer_of(stage)
    producer.begin_transaction()
    producer.produce(topic, [None], [b"x"], partitions=[0])
    error = error_of(lambda: producer.flush(30.0)).split()[0]
    refused = [(record.key, record.value, record.is_certain) for record in producer.refused()]
    producer.close()
    return error, refused


def deleted_records(stage: Stage) -> object:
    """The log begins later; a reader in front of that is told."""
    topic = topic_of(stage)
    producer = producer_of(stage)
    write(producer, topic, "a", "b", "c")
    producer.commit_transaction(30.0)
    settled(stage, topic)
    deleter = stage.clients().record_deleter("deletes")
    deletion = deleter.delete({(topic, 0): 2})
    until(stage, lambda: deletion.outcome() is not None)
    reader = stage.clients().reader("reads")
    reader.assign({(topic, 0): 1})
    error = error_of(lambda: [reader.poll(0.2) for _ in range(50)])
    reader.close()
    producer.close()
    return settled(stage, topic), error, read(stage.clients().reader("reads"), topic)


def lost_position(stage: Stage) -> object:
    """A member in front of the log is told so, once, and goes on from where it is put then."""
    topic = topic_of(stage)
    place = (topic, 0)
    producer = producer_of(stage)
    write(producer, topic, "a", "b", "c")
    producer.commit_transaction(30.0)
    producer.close()
    settled(stage, topic)
    member, _ = joined(stage, topic)
    deleter = stage.clients().record_deleter("deletes")
    deletion = deleter.delete({place: 2})
    until(stage, lambda: deletion.outcome() is not None)
    lost: list[int] = []
    offsets: list[int] = []

    def poll() -> None:
        polled = member.poll(100, 0.1)
        lost.extend(polled.lost.values())
        offsets.extend(offset for batch in polled.batches for offset in batch.offsets)

    def is_told() -> bool:
        poll()
        return bool(lost)

    member.start({place: 1})
    until(stage, is_told)
    for _ in range(10):
        poll()
    marks = member.end_offsets(place)
    member.start({place: marks[0]})

    def is_read() -> bool:
        poll()
        return bool(offsets)

    until(stage, is_read)
    member.close()
    return lost, marks, offsets


def what_a_member_is_shown(stage: Stage) -> object:
    """Partitions come paused; records in offset order; the end is behind markers."""
    topic = topic_of(stage)
    place = (topic, 0)
    producer = producer_of(stage)
    write(producer, topic, "a", "b")
    producer.commit_transaction(30.0)
    settled(stage, topic)
    member, _ = joined(stage, topic)
    before = sum(len(member.poll(100, 0.1).batches) for _ in range(3))
    member.start({place: 1})
    offsets: list[int] = []
    ends: list[int] = []

    def is_read() -> bool:
        polled = member.poll(100, 0.1)
        offsets.extend(offset for batch in polled.batches for offset in batch.offsets)
        ends.extend(polled.ends.values())
        return bool(ends)

    until(stage, is_read)
    marks = member.end_offsets(place)
    first = member.first_offset_from(place, 0), member.first_offset_from(place, 2)
    member.close()
    producer.close()
    return before, offsets, ends, marks, first


def shared_by_range(stage: Stage) -> object:
    """The same partition of each topic goes to the same member."""
    topics = [topic_of(stage, partitions=3, name=name) for name in ("one", "two")]
    first, held = joined(stage, *topics, eager=True)
    second, others = joined(stage, *topics, eager=True, beside=first)
    both = sorted([sorted(number for _, number in each.held) for each in (held, others)], key=len)
    first.close()
    second.close()
    return both, sorted({topic for topic, _ in held.held} | {topic for topic, _ in others.held}) == []


def acknowledged(stage: Stage) -> object:
    """Without transactions a record is visible as soon as it is there, and stays so; the group's offsets follow."""
    topic = topic_of(stage)
    place = (topic, 0)
    member, _ = joined(stage, topic)
    producer = stage.clients().acknowledged_producer(f"{stage.name}-a", 30_000, 1_000_000, member.commit)
    producer.init_transactions(5.0)
    write(producer, topic, "a", "b")
    shown = read(stage.clients().reader("reads"), topic)
    questions = stage.clients().group(f"{stage.name}-g", "asks")
    before = told(asked(stage, lambda: questions.last_offsets([place])))
    producer.send_offsets({place: (2, "m")}, member.group_metadata(), 30.0)
    producer.commit_transaction(30.0)
    until(stage, lambda: told(asked(stage, lambda: questions.last_offsets([place]))) == [(2, "m")])
    write(producer, topic, "c")
    producer.close()
    questions.close()
    member.close()
    return shown, before, settled(stage, topic), read(stage.clients().reader("reads"), topic)


SCENARIOS: Final[dict[str, Callable[[Stage], object]]] = {
    each.__name__: each
    for each in (
        committed_aborted_open,
        fenced_by_a_successor,
        fenced_by_its_time_out,
        offsets_in_a_transaction,
        refused_offsets,
        empty_transaction,
        refused_record,
        deleted_records,
        lost_position,
        what_a_member_is_shown,
        shared_by_range,
        acknowledged,
    )
}

EXPECTED: Final[dict[str, object]] = {
    "committed_aborted_open": (
        (0, 8, 9),
        [(0, "a"), (1, "b"), (6, "e"), (8, "end")],
        [(0, "a"), (1, "b"), (3, "c"), (4, "d"), (6, "e"), (8, "f"), (9, "end")],
        (0, 10, 10),
    ),
    "fenced_by_a_successor": (["Fenced _FENCED", "Fenced _FENCED"], ["new", "new", "end"]),
    "fenced_by_its_time_out": ("Fenced _FENCED", ["end"]),
    "offsets_in_a_transaction": [{}, "unstable", [], [(3, "m3")], "unstable", [(3, "m3")], [(3, "m3")], True],
    "refused_offsets": (
        ["TransactionAborted ILLEGAL_GENERATION", "", "TransactionAborted UNKNOWN_MEMBER_ID", ""],
        True,
        False,
    ),
    "empty_transaction": ("", (0, 0, 0)),
    "refused_record": ("TransactionAborted", [(None, b"x", False)]),
    "deleted_records": ((2, 4, 4), "OperatorMustDecide _AUTO_OFFSET_RESET", [(2, "c"), (4, "end")]),
    "lost_position": ([1], (2, 4), [2]),
    "what_a_member_is_shown": (0, [1], [3], (0, 3), (0, None)),
    "shared_by_range": ([[2, 2], [0, 0, 1, 1]], True),
    "acknowledged": (
        [(0, "a"), (1, "b"), (2, "end")],
        [],
        (0, 3, 3),
        [(0, "a"), (1, "b"), (2, "c"), (3, "end")],
    ),
}

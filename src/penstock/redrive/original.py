"""From a dead letter back to the record that failed, or the reason why it stays where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from penstock.deadletter.dead_letter import REDRIVE_COUNT, REDRIVE_GROUP, REDRIVE_ID, DeadLetter
from penstock.deadletter.envelope import place_of
from penstock.errors import OperatorMustDecide
from penstock.record import Headers, Record

MAX_REDRIVES: Final = 3

RawRecord = Record[bytes | None, bytes | None]
Edit = Callable[[RawRecord], "RawRecord | None"]
"""Given the original, with its place at its source; gives what is to be written instead, or None to leave it."""

Hold = Literal["loop", "partial", "no source", "no topic", "no group", "retention", "left out", "refused"]
WHY: Final[dict[Hold, str]] = {
    "loop": "redriven and failed too often already; mend the cause, then --max-redrives",
    "partial": "holds only a part of the original; see `dlq show`",
    "no source": "nobody says where it came from; --to names a topic",
    "no topic": "the topic it came from is not there; --to names another",
    "no group": "its pipeline has no consumer group that we see, so nobody would take it; --for-all, or --to",
    "retention": "so old that its topic would delete it at once; --timestamp now, or more retention there",
    "left out": "the edit function gave None for it",
    "refused": "its topic refused it; the log says why",
}
"""What holds a letter back, and what to do about it."""


@dataclass(frozen=True, slots=True)
class TargetTopic:
    """What is to be known of a topic that records go to.

    Attributes:
        partitions: how many.
        retention_ms: after this records are deleted by their timestamps; None = they are not.
    """

    partitions: int
    retention_ms: int | None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write. Partition -1 = by key, as Java does; timestamp 0 = now."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Route:
    """How letters become records.

    Attributes:
        topics: {name: topic} of those on the cluster.
        redrive_id: of this run.
        groups: the consumer groups that are there.
        prefix: of the project: precedes the names of pipelines in those of their groups.
        for_all: whoever reads the topic takes the records; else only the pipeline that they failed in, for the others
            have dealt with them.
        to: the topic to write to; None = where each came from.
        edit: changes them; None = as they were.
        now: stamp them with the time of now, instead of their own.
        max_redrives: a letter that was redriven so often stays.
    """

    topics: Mapping[str, TargetTopic]
    redrive_id: str
    groups: Collection[str] = ()
    prefix: str = ""
    for_all: bool = False
    to: str | None = None
    edit: Edit | None = None
    now: bool = False
    max_redrives: int = MAX_REDRIVES

    def outgoing(self, letter: DeadLetter, now_ms: int) -> Outgoing | Hold:
        """The record that a letter becomes, or what holds it back.

        Raises:
            OperatorMustDecide: the edit function failed.
        """
        if letter.redrives >= self.max_redrives:
            return "loop"
        topic = self.to or (letter.source.topic if letter.source is not None else "")
        hold = self._nowhere(topic, letter)
        if hold is not None:
            return hold
        if not letter.is_whole and self.edit is None:
            return "partial"
        record = _original(letter)
        if self.edit is not None:
            edited = _edited(self.edit, record, letter)
            if edited is None:
                return "left out"
            record = edited
        return self._checked(letter, record, topic, now_ms)

    def _nowhere(self, topic: str, letter: DeadLetter) -> Hold | None:
        """Why it cannot go to this topic; None = it can."""
        if not topic:
            return "no source"
        if topic not in self.topics:
            return "no topic"
        group = self._group(letter)
        return None if group is None or group in self.groups else "no group"

    def _checked(self, letter: DeadLetter, record: RawRecord, topic: str, now_ms: int) -> Outgoing | Hold:
        target = self.topics[topic]
        stamp_ms = 0 if self.now else max(0, record.timestamp_ms or 0)
        if stamp_ms and target.retention_ms is not None and stamp_ms <= now_ms - target.retention_ms:
            return "retention"
        marks = [(REDRIVE_ID, self.redrive_id.encode()), (REDRIVE_COUNT, str(letter.redrives + 1).encode())]
        group = self._group(letter)
        if group is not None:
            marks.append((REDRIVE_GROUP, group.encode()))
        headers = (*letter.restored, *record.headers, *marks)
        return Outgoing(topic, self._partition(letter, record, target), record.key, record.value, headers, stamp_ms)

    def _group(self, letter: DeadLetter) -> str | None:
        """The consumer group that the record is for; None = all that read the topic.

        Only pipelines of ours heed it, and only they say where in the topic their dead letters come from.
        """
        if self.for_all or self.to is not None or letter.dialect != "penstock":
            return None
        is_a_pipelines = letter.source is not None and letter.source.partition is not None
        return f"{self.prefix}{letter.pipeline}" if is_a_pipelines and letter.pipeline else None

    def _partition(self, letter: DeadLetter, record: RawRecord, target: TargetTopic) -> int:
        """Where the original stood, whoever chose that partition; by key where this is another topic or key."""
        source = letter.source
        if self.to is not None or source is None or source.partition is None or record.key != letter.key:
            return -1
        return source.partition if source.partition < target.partitions else -1


def _original(letter: DeadLetter) -> RawRecord:
    source = letter.source
    return Record(
        key=letter.key,
        value=letter.value,
        headers=letter.headers,
        timestamp_ms=letter.original_ms,
        topic=None if source is None else source.topic,
        partition=None if source is None else source.partition,
        offset=None if source is None else source.offset,
    )


def _edited(edit: Edit, record: RawRecord, letter: DeadLetter) -> RawRecord | None:
    try:
        edited: Any = edit(record)
    except Exception as exc:  # the user's code may raise anything, and its text may quote the payload
        raise OperatorMustDecide(
            f"{letter}: the edit function failed: {type(exc).__name__} at {place_of(exc)}. What was committed before "
            "is redriven, the rest is as it was: mend the function and run the same command again"
        ) from exc
    if edited is None:
        return None
    if not (isinstance(edited, Record) and _is_raw(edited.key) and _is_raw(edited.value)):
        raise OperatorMustDecide(
            f"{letter}: the edit function has to give a penstock.Record with bytes as key and value, or None. What was "
            "committed before is redriven, the rest is as it was"
        )
    # `with_value` and its siblings drop the coordinates, and a new record may have no time: the original's stays.
    stamp_ms = record.timestamp_ms if edited.timestamp_ms is None else edited.timestamp_ms
    return Record(key=edited.key, value=edited.value, headers=edited.headers, timestamp_ms=stamp_ms)


def _is_raw(data: object) -> bool:
    return data is None or isinstance(data, bytes)

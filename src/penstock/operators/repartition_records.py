"""What stands in a repartition topic: records on their way to another task, and time marks between them.

A record has the bytes that its serdes make, the input's Kafka timestamp, the user's headers, and in front of these

    penstock.origin    where the input it was made of stands, `topic[partition]@offset`: across several repartition
                       topics always the first one's input
    penstock.time      its event time, milliseconds since 1970 UTC as decimal text; left out where it is the timestamp

A **time mark** says how far in event time an upstream task is. Each transaction of that task writes one to every
partition, behind its records, if its stream time has moved; and each claim of the task. It has no key, the header
`penstock.control` = `stream-time`, and a MessagePack map as value (`TimeMark`). Users' headers cannot begin with
`penstock.`, so nothing of theirs is taken for one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from penstock.batch import SourceBatch
from penstock.errors import OperatorMustDecide
from penstock.operators.operator import AnyBatch
from penstock.record import Headers

ORIGIN: Final = "penstock.origin"
EVENT_TIME: Final = "penstock.time"
CONTROL: Final = "penstock.control"
STREAM_TIME: Final = b"stream-time"
FORMAT: Final = 1


class TimeMark(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream task's word on its time, as a MessagePack map by field name; unknown fields are ignored.

    Attributes:
        format: of this map; a newer one is refused.
        task: the number of the upstream task, which is its partition.
        tasks: how many upstream tasks there are, as far as this one knows.
        stream_time_ms: its stream time, milliseconds since 1970 UTC: its next records may be older, but only as much
            as they are late in its own eyes.
    """

    format: int = FORMAT
    task: int
    tasks: int
    stream_time_ms: int


class _Version(msgspec.Struct):
    format: int


_version = msgspec.msgpack.Decoder(_Version)
_mark = msgspec.msgpack.Decoder(TimeMark)

MARK_HEADERS: Final[Headers] = ((CONTROL, STREAM_TIME),)


def encode_mark(mark: TimeMark) -> bytes:
    """The value of its record."""
    return msgspec.msgpack.encode(mark)


def decode_mark(value: bytes | None, where: str) -> TimeMark:
    """The mark in this value, read at `where` (topic, partition, offset).

    Raises:
        OperatorMustDecide: written by a newer release, or by something else.
    """
    try:
        version = _version.decode(value or b"").format
        if version <= FORMAT:
            mark = _mark.decode(value or b"")
            if 0 <= mark.task < mark.tasks:
                return mark
    except msgspec.DecodeError:
        version = 0
    raise OperatorMustDecide(
        f"{where}: a time mark of format {version}, this release reads up to {FORMAT}; run the release that wrote it"
        if version > FORMAT
        else f"{where}: no time mark of ours; find out what else writes to this topic and stop it"
    )


def headers_of(batch: AnyBatch, source: SourceBatch) -> list[Headers]:
    """The headers of a batch on its way into a repartition topic, the user's behind ours.

    Args:
        batch: its rows are places in `source`.
        source: the batch in hand, as it was read.
    """
    origins = _origins(source, batch.rows)
    theirs = batch.headers or [()] * len(batch.rows)
    columns = zip(origins, batch.timestamps_ms, batch.event_times_ms, theirs, strict=True)
    return [
        ((ORIGIN, origin), *user)
        if time_ms == event_time_ms
        else ((ORIGIN, origin), (EVENT_TIME, b"%d" % event_time_ms), *user)
        for origin, time_ms, event_time_ms, user in columns
    ]


def _origins(source: SourceBatch, rows: list[int]) -> list[bytes]:
    place, offsets = f"{source.topic}[{source.partition}]@".encode(), source.offsets
    if source.headers is None:
        return [place + b"%d" % offsets[row] for row in rows]
    return [ours_of(source.headers[row], ORIGIN) or place + b"%d" % offsets[row] for row in rows]


def ours_of(headers: Headers, wanted: str) -> bytes | None:
    """One of our headers; None for a record that came through no repartition topic, or does not have it."""
    return next((value for name, value in headers if name == wanted), None)


@dataclass(frozen=True, slots=True)
class Parted:
    """A batch of a repartition topic, taken apart.

    Attributes:
        places: those of its records.
        event_times_ms: of these, one each.
        marks: {place: time mark}, ascending.
    """

    places: list[int]
    event_times_ms: list[int]
    marks: dict[int, TimeMark]

    def without(self, places: Collection[int]) -> Parted:
        """The same but for the records at these places."""
        kept = [(p, time_ms) for p, time_ms in zip(self.places, self.event_times_ms, strict=True) if p not in places]
        return Parted([place for place, _ in kept], [time_ms for _, time_ms in kept], self.marks)


def part(source: SourceBatch) -> Parted:
    """Tell records and marks apart.

    Raises:
        OperatorMustDecide: something that penstock did not write, or a newer release did.
    """
    if source.headers is None:
        return Parted(list(range(len(source))), source.timestamps_ms, {})
    parted = Parted([], [], {})
    for place, headers in enumerate(source.headers):
        event_time_ms = source.timestamps_ms[place]
        is_mark = False
        for name, value in headers:
            if name == EVENT_TIME:
                event_time_ms = _number(value, source, place)
            elif name == CONTROL:
                is_mark = True
                parted.marks[place] = _mark_of(value, source, place)
        if not is_mark:
            parted.places.append(place)
            parted.event_times_ms.append(event_time_ms)
    return parted


def _mark_of(kind: bytes | None, source: SourceBatch, place: int) -> TimeMark:
    where = f"{source.topic}[{source.partition}]@{source.offsets[place]}"
    if kind != STREAM_TIME:
        raise OperatorMustDecide(
            f"{where}: a control record of a kind that this release does not know; run the release that wrote it"
        )
    return decode_mark(source.values[place], where)


def _number(text: bytes | None, source: SourceBatch, place: int) -> int:
    try:
        return int(text or b"")
    except ValueError:
        raise OperatorMustDecide(
            f"{source.topic}[{source.partition}]@{source.offsets[place]}: header {EVENT_TIME} is no time; find out "
            "what else writes to this topic and stop it"
        ) from None

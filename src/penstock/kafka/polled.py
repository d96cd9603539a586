"""What one poll gave: the client's messages as batches of columns, and what it reached behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message

from penstock.batch import SourceBatch
from penstock.errors import KafkaUnavailable, OperatorMustDecide, PenstockError
from penstock.kafka.error_map import describe, from_call
from penstock.kafka.reader import headers_of
from penstock.kafka.static_instance import raise_if_taken

Partition = tuple[str, int]


class ClientFailed(PenstockError):
    """A fatal error of a group member's client: it is out of the group for ever, and does not say so again."""

    def __init__(self, error: KafkaError) -> None:
        self.error = error
        super().__init__(describe(error))


@dataclass(slots=True)
class Polled:
    """What one poll gave: batches in arrival order, and what was reached behind them.

    Attributes:
        batches: records.
        ends: {partition: offset} at which the next record will stand or behind which it will: control records are
            stepped over.
        lost: {partition: offset} that comes next and is no longer in the log; nothing more comes until `start`.
    """

    batches: list[SourceBatch] = field(default_factory=list[SourceBatch])
    ends: dict[Partition, int] = field(default_factory=dict[Partition, int])
    lost: dict[Partition, int] = field(default_factory=dict[Partition, int])


def sort_into(polled: Polled, messages: list[Message], group: str) -> None:
    """Take in what a member of a group was handed: records, ends of partitions, errors.

    Raises:
        ConfigurationError: a topic does not exist, or there is no right to it.
        InstanceIsTaken: another process is this static member.
        ClientFailed: the client is of no use any more, for another reason.
    """
    errors = [message.error() for message in messages]
    start = 0
    # Never compared: KafkaError == None leaves an exception behind that some later call raises (confluent-kafka 2.16).
    met = list(filter(None, errors))
    for each in met:
        _raise_if_fatal(each)  # whatever else there is, since it is told once
    for place, error in enumerate(errors) if met else ():
        if error is not None:
            _add_records(polled, messages[start:place])
            _add_event(polled, messages[place], error, group)
            start = place + 1
    _add_records(polled, messages[start:] if start else messages)


def _raise_if_fatal(error: KafkaError) -> None:
    raise_if_taken(error)
    if error.code() == KafkaError._FATAL:
        raise ClientFailed(error)


def _add_records(polled: Polled, messages: list[Message]) -> None:
    """Column by column: a list made at once costs two thirds of one that grows by appending."""
    places: Any = zip(map(Message.topic, messages), map(Message.partition, messages), strict=True)
    start = 0
    for (topic, partition), run in groupby(places):
        stop = start + len(list(run))
        records = messages[start:stop]
        headers = map(Message.headers, records)
        polled.ends.pop((topic, partition), None)
        polled.batches.append(
            SourceBatch(
                topic,
                partition,
                cast("list[int]", list(map(Message.offset, records))),
                list(map(Message.key, records)),
                list(map(Message.value, records)),
                [time_ms for _, time_ms in map(Message.timestamp, records)],
                list(map(headers_of, records)) if any(headers) else None,
            )
        )
        start = stop


def _add_event(polled: Polled, message: Message, error: KafkaError, group: str) -> None:
    topic, partition = message.topic() or "", message.partition() or 0
    if error.code() == KafkaError._PARTITION_EOF:
        polled.ends[topic, partition] = message.offset() or 0
        return
    family = from_call(KafkaException(error), f"reading {topic}[{partition}] in group '{group}'")
    if isinstance(family, KafkaUnavailable):
        return  # connections come and go: the client goes on by itself
    if isinstance(family, OperatorMustDecide):
        polled.lost[topic, partition] = message.offset() or 0
        return
    raise family

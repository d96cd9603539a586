"""A dead letter as it was read, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from penstock.record import Headers

Dialect = Literal["penstock", "connect", "streams", "spring", "kafka", "none"]
"""Whose headers tell about the failure: ours, Kafka Connect's, Kafka Streams' (KIP-1034), Spring's, or Kafka's own of
share groups (KIP-1191); `none` where none do."""

REDRIVE_ID = "penstock.dlq.redrive.id"
REDRIVE_COUNT = "penstock.dlq.redrive.count"
REDRIVE_GROUP = "penstock.dlq.redrive.group"
REDRIVE_HEADERS = (REDRIVE_ID, REDRIVE_COUNT, REDRIVE_GROUP)
"""What a redrive puts on a record: which one, how often so far, and the consumer group that is to take it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the original stood. None = not told, or told in a way that makes no sense."""

    topic: str
    partition: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        """`topic[partition]@offset`, as far as it is known."""
        partition = "" if self.partition is None else f"[{self.partition}]"
        return f"{self.topic}{partition}" if self.offset is None else f"{self.topic}{partition}@{self.offset}"


def is_for_others(headers: Headers, group: str) -> bool:
    """Whether this record was redriven for another consumer group: all others have dealt with its original."""
    # The last of a name counts; who redrives replaces what was there.
    return next((value != group.encode() for name, value in reversed(headers) if name == REDRIVE_GROUP), False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """What failed, and what is told about it. Texts are empty where nothing is told, and bounded.

    Attributes:
        topic: where the dead letter itself stands.
        partition: likewise.
        offset: likewise.
        timestamp_ms: its own Kafka timestamp.
        key: the original's, as bytes.
        value: likewise.
        headers: the original's, without those that tell about the failure.
        dialect: whose words these are.
        source: where the original stood; None = nobody says.
        original_ms: the original's Kafka timestamp.
        pipeline: the pipeline, producer, connector or consumer group.
        worker: which of its workers wrote this.
        operator: the step in it: an operator, a connector's class.
        stage: where on the way; our words where the dialect's can be translated.
        exception: the class; of a wrapped exception the cause's.
        reason: a word that our own errors carry.
        message: of the exception. Other systems quote payload in it; ours never does.
        stack: the places of the traceback, cut.
        place: of these the one that tells most.
        fingerprint: equal for failures of the same kind at the same place, 16 hexadecimal digits.
        failed_ms: when; None = not told.
        attempts: how often it was tried; None = not told.
        key_schema_id: the id in front of the original's key; None = there is none, or it is not told.
        value_schema_id: likewise of its value.
        redrives: how often it was redriven before.
        redrive_id: the last redrive that it came from.
        restored: headers of ours that the original had, for a redrive into a repartition topic.
        is_whole: whether key, value and headers of the original are all here.
        problems: what made no sense in the headers.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    dialect: Dialect
    source: Source | None
    original_ms: int
    pipeline: str = ""
    worker: str = ""
    operator: str = ""
    stage: str = ""
    exception: str = ""
    reason: str = ""
    message: str = ""
    stack: str = ""
    place: str = ""
    fingerprint: str = ""
    failed_ms: int | None = None
    attempts: int | None = None
    key_schema_id: int | None = None
    value_schema_id: int | None = None
    redrives: int = 0
    redrive_id: str = ""
    restored: Headers = ()
    is_whole: bool = True
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Where it stands: `topic[partition]@offset`."""
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def seen_ms(self) -> int:
        """When it failed, or else its own timestamp."""
        return self.timestamp_ms if self.failed_ms is None else self.failed_ms

    def in_brief(self) -> DeadLetter:
        """Where it stands and what failed, in few bytes: for those who keep many of a topic with large records."""
        return replace(self, key=None, value=None, headers=(), restored=(), message="", stack="")

    @property
    def may_quote_payload(self) -> bool:
        """Whether message and stack are somebody else's words."""
        return self.dialect != "penstock"

"""What stands beside a committed offset: `p1;s=7;w=flights.a.0;oe=2;ts=1700000000000;ev=;ck=41;tp=a8bf...;st=`.

It is written with every commit, atomically with the offsets. The sequence decides whether a transaction in doubt was
committed, and the times let anyone who may read the group tell its lag in seconds. Kafka takes 4,095 characters at
most; ours stay below 1,000.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from penstock.errors import ConfigurationError, OperatorMustDecide

LONGEST: Final = 1_000
"""Characters."""

_VERSION: Final = 1
_MARK: Final = re.compile(r"p([0-9]{1,9})(?:;|$)")
_WRITER: Final = re.compile(r"[A-Za-z0-9._-]*")
_NUMBER: Final = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetMetadata:
    """The metadata of one task's committed offsets.

    Attributes:
        sequence: of the transaction, as in the commit record.
        writer: who committed, as a `transactional.id`.
        owner_epoch: as in the commit record.
        append_time_ms: Kafka's timestamp of the last record dealt with; None before the first.
        event_time_ms: event time of the same; likewise.
        checkpoint: next changelog offset of the last checkpoint on disk; None without one.
        topology: fingerprint of the topology that made the commit; None where it was not told.
        stream_time_ms: of the task; a task without a changelog has it from here. None before the first record.
    """

    sequence: int
    writer: str
    owner_epoch: int
    append_time_ms: int | None = None
    event_time_ms: int | None = None
    checkpoint: int | None = None
    topology: str | None = None
    stream_time_ms: int | None = None

    def __str__(self) -> str:
        """The form that is committed.

        Raises:
            ConfigurationError: the writer's name is too long or holds a character with a meaning of its own.
        """
        if not _WRITER.fullmatch(self.writer):
            raise ConfigurationError(
                "a transactional.id may hold letters, digits, dots, dashes and underscores; "
                "rename the pipeline or the instance"
            )
        text = (
            f"p{_VERSION};s={self.sequence};w={self.writer};oe={self.owner_epoch}"
            f";ts={_text(self.append_time_ms)};ev={_text(self.event_time_ms)};ck={_text(self.checkpoint)}"
            f";tp={self.topology or ''};st={_text(self.stream_time_ms)}"
        )
        if len(text) > LONGEST:
            raise ConfigurationError(
                f"the transactional.id has {len(self.writer)} characters, too many to stand beside a committed offset; "
                "shorten the names of pipeline and instance"
            )
        return text


def parse(text: str | None) -> OffsetMetadata | None:
    """What such a text says; None for one that is not ours (an operator's reset leaves it empty) or is damaged.

    Raises:
        OperatorMustDecide: written by a newer release.
    """
    mark = _MARK.match(text or "")
    if text is None or mark is None:
        return None
    if int(mark[1]) > _VERSION:
        raise OperatorMustDecide(
            f"offset metadata of version {mark[1]}, this release reads up to {_VERSION}; "
            "run the release that wrote it, or a later one"
        )
    parts = (part.partition("=") for part in text[mark.end() :].split(";"))
    fields = {name: value for name, _, value in parts}
    sequence, owner_epoch, writer = _number(fields.get("s")), _number(fields.get("oe")), fields.get("w")
    if sequence is None or owner_epoch is None or writer is None:
        return None
    return OffsetMetadata(
        sequence=sequence,
        writer=writer,
        owner_epoch=owner_epoch,
        append_time_ms=_number(fields.get("ts")),
        event_time_ms=_number(fields.get("ev")),
        checkpoint=_number(fields.get("ck")),
        topology=fields.get("tp") or None,
        stream_time_ms=_number(fields.get("st")),
    )


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None

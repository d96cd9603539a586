"""Under which subject a registry keeps the schema of a topic's key or value (Confluent's three strategies)."""

from __future__ import annotations

from typing import Literal

from penstock.protocols import Side

SubjectStrategy = Literal["topic", "record", "topic-record"]
"""`topic`: one type per topic; `record`: one lineage per type, anywhere; `topic-record`: several types per topic."""


def subject(strategy: SubjectStrategy, topic: str, side: Side, record: str) -> str:
    """The subject of a schema.

    Args:
        strategy: which of the three.
        topic: where the record goes.
        side: which half of it.
        record: the full name of the schema's top type.
    """
    match strategy:
        case "topic":
            return f"{topic}-{side}"
        case "record":
            return record
        case "topic-record":
            return f"{topic}-{record}"

"""`penstock topics`: what is on the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import counted, print_json, print_table

if TYPE_CHECKING:
    from penstock.kafka.admin import Admin, TopicDescription

BUDGET_S = 5.0
INTERNAL_ENDINGS = (".cursors", ".changelog", ".repartition", ".topology", ".redrives")
FOREVER = "forever"


def topics(
    context: typer.Context,
    show_all: Annotated[bool, typer.Option("--all", "-a", help="Kafka's and penstock's internal topics too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the topics with their partitions, offsets, cleanup and retention.

    Offsets: end minus begin of each partition, summed. Transaction markers and aborted records take offsets too and
    compaction leaves holes, so a topic holds at most as many records.
    """
    from penstock.kafka.admin import Admin  # noqa: PLC0415 - heavy
    from penstock.kafka.client import Connection  # noqa: PLC0415 - heavy

    config = project_config(context)
    admin = Admin(Connection.of(config.kafka), budget_s=BUDGET_S)
    there = admin.topics()
    shown = [topic for name, topic in there.items() if show_all or not is_internal(name)]
    rows = _rows(admin, shown)
    if as_json:
        print_json(rows)
        return
    if rows:
        _print(rows)
    if hidden := len(there) - len(shown):
        typer.echo(f"{counted(hidden, 'internal topic')} not shown; --all shows them", err=True)


def is_internal(name: str) -> bool:
    """Whether a topic is bookkeeping of Kafka, of the registry or of penstock."""
    return name.startswith("_") or name.endswith(INTERNAL_ENDINGS)


def _rows(admin: Admin, described: Iterable[TopicDescription]) -> list[dict[str, Any]]:
    topics = list(described)
    settings = admin.topic_config([topic.name for topic in topics]) if topics else {}
    # A partition without a leader answers nothing: how many offsets its topic has is then unknown.
    asked = [(topic.name, part) for topic in topics if not topic.leaderless for part in range(topic.partitions)]
    begin, end = admin.begin_offsets(asked), admin.end_offsets(asked)
    return [
        {
            "name": topic.name,
            "partitions": topic.partitions,
            "replication": topic.replication,
            "offsets": None
            if topic.leaderless
            else sum(end[topic.name, part] - begin[topic.name, part] for part in range(topic.partitions)),
            "cleanup": settings[topic.name]["cleanup.policy"],
            "retention_ms": int(settings[topic.name]["retention.ms"]),
            "retention_bytes": int(settings[topic.name]["retention.bytes"]),
            "leaderless": list(topic.leaderless),
        }
        for topic in topics
    ]


def _print(rows: list[dict[str, Any]]) -> None:
    print_table(
        ("topic", "partitions", "replication", "offsets", "cleanup", "retention"),
        (
            (
                row["name"],
                row["partitions"],
                row["replication"],
                f"no leader for {row['leaderless']}" if row["offsets"] is None else f"{row['offsets']:,}",
                row["cleanup"],
                _retention(row),
            )
            for row in rows
        ),
        numbers=("partitions", "replication", "offsets"),
    )


def _retention(row: dict[str, Any]) -> str:
    if "delete" not in row["cleanup"]:
        return "-"
    age = FOREVER if row["retention_ms"] < 0 else duration(row["retention_ms"])
    return age if row["retention_bytes"] < 0 else f"{age}, {row['retention_bytes']:,} bytes a partition"


def duration(milliseconds: int) -> str:
    """A duration in the largest unit that divides it: `7 d`, `90 min`, `250 ms`."""
    for unit, length_ms in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds >= length_ms and milliseconds % length_ms == 0:
            return f"{milliseconds // length_ms} {unit}"
    return f"{milliseconds} ms"

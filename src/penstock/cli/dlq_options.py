"""What the commands of `penstock dlq` have in common: which letters are meant, and what is around them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.errors import UndecodableRecord, UsageError

if TYPE_CHECKING:
    from penstock.cli.rendering import DecodeAvro
    from penstock.config import Config
    from penstock.redrive.opening import RedriveSurroundings
    from penstock.redrive.selection import Readable, Selection

Topic = Annotated[str, typer.Argument(help="The dead-letter topic; `penstock dlq ls` lists those of this project.")]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        "-w",
        metavar="NAME=VALUE",
        help="Only letters like this; of several, all have to hold. NAME!=VALUE for the others. Names: stage, "
        "operator, exception, reason, pipeline, source, dialect, partition, offset (17 or 17..42), redrives, redrive, "
        "fingerprint (may be shortened), key, field.PATH of the value; texts may hold *.",
    ),
]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Failed at this time or later; 2026-01-31T12:00, UTC.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Failed before this time.")]
Partition = Annotated[int | None, typer.Option(min=0, help="Only this partition of the dead-letter topic.")]
Newest = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="N", help="Only the newest N letters of each partition.")
]
Fated = Annotated[bool, typer.Option("--all", "-a", help="Those that were redriven or dropped too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def selection_of(
    where: list[str] | None, since: str | None, until: str | None, partition: int | None = None
) -> Selection:
    """The letters that are meant.

    Raises:
        UsageError: a condition or a time makes no sense.
    """
    from penstock.redrive.selection import Condition, Selection  # noqa: PLC0415 - keeps `--help` fast

    texts = where or []
    if partition is not None:
        texts = [f"partition={partition}", *texts]
    conditions = tuple(Condition.of(text) for text in texts)
    return Selection(conditions, _moment(since, "--since"), _moment(until, "--until"))


def _moment(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise UsageError(f"{option} {text}: give a time as 2026-01-31T12:00, in UTC") from err
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def readable_by(decode_avro: DecodeAvro) -> Readable:
    """What bytes say, Avro decoded; for conditions on keys and values.

    A registry that does not answer is an error there: nothing would match, and nobody would know why.
    """
    from penstock.cli.rendering import is_framed, render  # noqa: PLC0415 - keeps `--help` fast

    def readable(data: bytes | None) -> Any:
        if data is None or not is_framed(data):
            return render(data).value
        try:
            return decode_avro(data)
        except UndecodableRecord:
            return data.hex()

    return readable


def surroundings(config: Config) -> RedriveSurroundings:
    """Where the project's dead letters are dealt with."""
    from penstock.kafka.client import Connection  # noqa: PLC0415 - keeps `--help` fast
    from penstock.redrive.opening import RedriveSurroundings  # noqa: PLC0415

    return RedriveSurroundings(
        connection=Connection.of(config.kafka),
        project=config.project.name,
        prefix=config.project.prefixed(""),
        state_directory=config.state.create(),
        transaction_timeout_ms=config.publishing.transaction_timeout_ms,
        transaction_budget_ms=config.publishing.transaction_budget_ms,
    )

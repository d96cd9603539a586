"""`penstock peek TOPIC`: records as a person can read them."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.decoding import avro_decoder
from penstock.cli.invocation import project_config
from penstock.cli.output import console, print_json_line
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.cli.rendering import DecodeAvro, Rendered
    from penstock.cli.tail import Tail
    from penstock.config import Config
    from penstock.kafka.reader import Isolation, RawRecord

DEFAULT_LIMIT = 10
BUDGET_S = 5.0


def peek(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(help="The topic to read.")],
    start: Annotated[
        str,
        typer.Option(
            "--from", metavar="beginning|end|TIME|OFFSET", help="Where to begin; TIME as 2026-01-31T12:00, in UTC."
        ),
    ] = "beginning",
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"Records at most; {DEFAULT_LIMIT} if left out, endless with --follow.")
    ] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="Only this partition.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more at the end; Ctrl-C ends it.")] = False,
    uncommitted: Annotated[
        bool, typer.Option("--uncommitted", help="Records of open and aborted transactions too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the records of a topic: key, time, partition, offset, headers and value.

    Framed Avro is decoded through the registry; other bytes are shown as JSON, text or hex. What cannot be decoded is
    shown as it is, with the reason. Only committed records are shown, unless --uncommitted asks for all. Reading
    changes nothing: no group is joined, no offset committed.

    \b
    penstock peek flights                           the first ten
    penstock peek flights --from 2026-01-31         from a day on, UTC
    penstock peek flights --from end --follow       what comes in from now on
    penstock peek flights --json --limit 1000000    a whole topic as JSON lines
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    config = project_config(context)
    most = limit if limit is not None or follow else DEFAULT_LIMIT
    tail = _tail(config, topic, start, partition, follow=follow, uncommitted=uncommitted)
    with avro_decoder(config) as decode_avro:
        for record in tail.records(most):
            _show(record, decode_avro, as_json=as_json)


def _tail(config: Config, topic: str, start: str, partition: int | None, *, follow: bool, uncommitted: bool) -> Tail:
    from penstock.cli.tail import Tail, start_of  # noqa: PLC0415 - heavy
    from penstock.kafka.admin import Admin  # noqa: PLC0415 - heavy
    from penstock.kafka.client import Connection  # noqa: PLC0415 - heavy

    begin = start_of(start)
    connection = Connection.of(config.kafka)
    there = Admin(connection, budget_s=BUDGET_S).topics()
    if topic not in there:
        close = difflib.get_close_matches(topic, there, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else "; `penstock topics` lists those there are"
        raise UsageError(f"there is no topic '{topic}' on {config.kafka.bootstrap_servers}{hint}")
    count = there[topic].partitions
    if partition is not None and partition >= count:
        raise UsageError(f"topic '{topic}' has partitions 0 to {count - 1}, not {partition}")
    partitions = [partition] if partition is not None else list(range(count))
    isolation: Isolation = "read_uncommitted" if uncommitted else "read_committed"
    return Tail(connection, topic, partitions, begin, isolation=isolation, follow=follow)


def _show(record: RawRecord, decode_avro: DecodeAvro, *, as_json: bool) -> None:
    from penstock.cli.rendering import render  # noqa: PLC0415 - heavy

    key, value = render(record.key, decode_avro), render(record.value, decode_avro)
    headers = [(name, render(data)) for name, data in record.headers]
    if as_json:
        print_json_line(_document(record, key, value, headers))
        return
    out = console()
    out.print(f"{record.topic}[{record.partition}]@{record.offset}  {_time(record)}  key {key}", soft_wrap=True)
    for name, header in headers:
        out.print(f"  {name}: {header}", soft_wrap=True)
    out.print(f"  {value}", soft_wrap=True)


def _document(record: RawRecord, key: Rendered, value: Rendered, headers: list[tuple[str, Rendered]]) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "time": _time(record),
        "key": key.value,
        "key_form": key.form,
        "value": value.value,
        "value_form": value.form,
        "headers": [{"name": name, "value": header.value, "form": header.form} for name, header in headers],
        "problems": [problem for problem in (key.problem, value.problem) if problem is not None],
    }


def _time(record: RawRecord) -> str:
    if record.timestamp_ms is None or record.timestamp_ms < 0:
        return "no time"
    moment = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""`penstock dlq export`: letters as JSON, for other programs and for the archive."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.decoding import avro_decoder
from penstock.cli.dlq_display import document
from penstock.cli.dlq_options import (
    Fated,
    Partition,
    Since,
    Topic,
    Until,
    Where,
    readable_by,
    selection_of,
    surroundings,
)
from penstock.cli.dlq_reading import read_letters
from penstock.cli.invocation import project_config
from penstock.cli.output import counted, print_json_line

if TYPE_CHECKING:
    from penstock.cli.exported_lines import ExportedLines


def add_to(app: typer.Typer) -> None:
    """Make it a command of the group."""
    app.command()(export)


def export(
    context: typer.Context,
    topic: Topic,
    *,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    show_all: Fated = False,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Replace this field of the value; repeated for several, `*` for the whole value. A value that is no "
            "map is replaced whole. Keys and headers are left out then, and so are other systems' messages.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            dir_okay=False,
            help="Append to this file, behind the letters that are in it: an export that was cut short goes on.",
        ),
    ] = None,
) -> None:
    """Print letters with keys and values, one JSON object a line.

    With --output they go to a file; after a crash, or Ctrl-C, give the same command again: it goes on where the file
    ends.

    \b
    penstock dlq export dlq.delays.flights > letters.jsonl
    penstock dlq export dlq.delays.flights --output letters.jsonl
    penstock dlq export dlq.payments.cards --redact card.number --redact holder
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.cli.exported_lines import ExportedLines  # noqa: PLC0415 - keeps `--help` fast
    from penstock.redrive.opening import Cluster  # noqa: PLC0415 - as above

    selection = selection_of(where, since, until, partition)
    config = project_config(context)
    with ExitStack() as stack:
        decode_avro = stack.enter_context(avro_decoder(config))
        cluster = Cluster(surroundings(config))
        cluster.check(topic)
        lines: ExportedLines | None = None if output is None else stack.enter_context(ExportedLines(output, topic))
        starts, count = (None, 0) if lines is None else (lines.next_offsets, lines.count)
        for letter, fate in read_letters(cluster, topic, selection, readable_by(decode_avro), starts):
            if not (show_all or fate == "open"):
                continue
            told = document(letter, fate, decode_avro, redact=redact)
            if lines is None:
                print_json_line(told)
            else:
                lines.append(told)
                count += 1
    if output is not None:
        typer.echo(f"{counted(count, 'letter')} in {output}", err=True)

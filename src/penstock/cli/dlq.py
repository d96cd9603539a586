"""`penstock dlq`: dead letters, found, grouped, exported, brought back."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import dlq_export, dlq_parked, dlq_redrive
from penstock.cli.decoding import avro_decoder
from penstock.cli.dlq_display import document, group_document, print_groups, print_letter, shown_time, topic_row
from penstock.cli.dlq_options import (
    AsJson,
    Fated,
    Newest,
    Partition,
    Since,
    Topic,
    Until,
    Where,
    readable_by,
    selection_of,
    surroundings,
)
from penstock.cli.dlq_reading import read_letters, read_newest
from penstock.cli.invocation import project_config
from penstock.cli.output import print_json, print_json_line, print_table
from penstock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.cli.dlq_reading import Found
    from penstock.redrive.opening import Cluster
    from penstock.redrive.selection import Readable, Selection

DEFAULT_LIMIT = 10
_COORDINATES = re.compile(r"(.+)\[([0-9]+)\]@([0-9]+)")

app = typer.Typer(
    help=(
        "Dead letters: what failed and why, grouped by cause; and the way back, exactly once. Reads what penstock, "
        "Kafka Connect, Kafka Streams, Spring and Kafka's share groups write. Looking changes nothing: no group is "
        "joined, no offset committed. Keys, values and other systems' messages are shown only where they are asked for."
    ),
    no_args_is_help=True,
)
dlq_export.add_to(app)
dlq_redrive.add_to(app)
dlq_parked.add_to(app)


@app.command("ls")
def list_topics(
    context: typer.Context,
    topics: Annotated[
        list[str] | None, typer.Argument(help="Dead-letter topics; left out, all of this project (dlq.*).")
    ] = None,
    *,
    since: Since = None,
    until: Until = None,
    limit: Newest = None,
    as_json: AsJson = False,
) -> None:
    """List dead-letter topics: how many letters are open, redriven, dropped; of how many kinds; since when.

    Reads all of a topic, which takes its time where it is long; with --since or --limit only its end.

    \b
    penstock dlq ls
    penstock dlq ls --since 2026-01-31
    penstock dlq ls connect-errors       one that another system writes
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.redrive.groups import Groups  # noqa: PLC0415 - keeps `--help` fast
    from penstock.redrive.opening import Cluster  # noqa: PLC0415

    selection = selection_of(None, since, until)
    cluster = Cluster(surroundings(project_config(context)))
    rows: list[dict[str, Any]] = []
    for topic in topics or cluster.dead_letter_topics():
        groups = Groups()
        for letter, fate in _counted(cluster, topic, selection, lambda data: data, limit):
            groups.add(letter, fate)
        rows.append(topic_row(topic, groups.largest_first()))
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("no dead-letter topics", err=True)
    else:
        columns = ("topic", "open", "redriven", "dropped", "kinds", "first seen", "last seen")
        print_table(
            columns,
            (
                (
                    row["topic"],
                    *(f"{row[name]:,}" for name in columns[1:5]),
                    shown_time(row["first_ms"] or 0),
                    shown_time(row["last_ms"] or 0),
                )
                for row in rows
            ),
            numbers=columns[1:5],
        )


@app.command()
def stats(
    context: typer.Context,
    topic: Topic,
    *,
    by: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="fingerprint, exception, stage, operator, reason, pipeline, source or dialect.",
        ),
    ] = "fingerprint",
    where: Where = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    limit: Newest = None,
    as_json: AsJson = False,
) -> None:
    """Group the letters of a topic by cause: how many, first and last seen, where the first few stand.

    A fingerprint is equal for failures with the same stage, exception and place in the code. Reads all of the topic,
    which takes its time where it is long; with --since or --limit only its end.

    \b
    penstock dlq stats dlq.delays.flights
    penstock dlq stats dlq.delays.flights --limit 1000
    penstock dlq stats dlq.delays.flights --by operator --since 2026-01-31
    """  # noqa: D301 - as above
    from penstock.redrive.groups import BY, Groups  # noqa: PLC0415 - keeps `--help` fast
    from penstock.redrive.opening import Cluster  # noqa: PLC0415

    if by not in BY:
        raise UsageError(f"--by {by}: choose {', '.join(BY)}")
    selection = selection_of(where, since, until, partition)
    config = project_config(context)
    groups = Groups(by)
    with avro_decoder(config) as decode_avro:
        cluster = Cluster(surroundings(config))
        for letter, fate in _counted(cluster, topic, selection, readable_by(decode_avro), limit):
            groups.add(letter, fate)
    by_size = groups.largest_first()
    if as_json:
        print_json([group_document(group, by) for group in by_size])
    elif not by_size:
        typer.echo("no such letters", err=True)
    else:
        print_groups(by_size, by)


def _counted(
    cluster: Cluster, topic: str, selection: Selection, readable: Readable, newest: int | None
) -> Iterator[Found]:
    if newest is None:
        return read_letters(cluster, topic, selection, readable)
    return read_newest(cluster, topic, selection, readable, newest)


@app.command()
def show(
    context: typer.Context,
    topic: Annotated[
        str,
        typer.Argument(metavar="TOPIC|LETTER", help="The dead-letter topic, or one letter of it: 'TOPIC[0]@17'."),
    ],
    *,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    partition: Partition = None,
    limit: Annotated[int, typer.Option(min=1, help="Letters at most.")] = DEFAULT_LIMIT,
    show_all: Fated = False,
    payload: Annotated[
        bool, typer.Option("--payload", help="Keys, values, headers and other systems' messages too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show letters one by one: where each came from, what failed, where in the code.

    One that is named by its place is read there and nowhere else, and shown whatever became of it.

    \b
    penstock dlq show 'dlq.delays.flights[0]@17'
    penstock dlq show dlq.delays.flights -w fingerprint=3fa9 --limit 1 --payload
    penstock dlq show dlq.delays.flights -w partition=0 -w offset=17..42
    """  # noqa: D301 - as above
    from penstock.redrive.opening import Cluster  # noqa: PLC0415 - keeps `--help` fast

    named = _COORDINATES.fullmatch(topic)
    if named is not None:
        topic, number, offset = named.groups()
        where, show_all = [f"partition={number}", f"offset={offset}", *(where or ())], True
    selection = selection_of(where, since, until, partition)
    config = project_config(context)
    shown = 0
    with avro_decoder(config) as decode_avro:
        cluster = Cluster(surroundings(config))
        found = read_letters(cluster, topic, selection, readable_by(decode_avro))
        for letter, fate in islice((each for each in found if show_all or each[1] == "open"), limit):
            shown += 1
            if as_json:
                print_json_line(document(letter, fate, decode_avro if payload else None))
            else:
                print_letter(letter, fate, decode_avro if payload else None)
    if not (shown or as_json):
        typer.echo("no such letters", err=True)

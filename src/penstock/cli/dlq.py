"""`penstock dlq`: dead letters, found, grouped, exported, brought back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli import dlq_parked, dlq_redrive
from penstock.cli.decoding import avro_decoder
from penstock.cli.dlq_display import document, group_document, print_groups, print_letter, shown_time, topic_row
from penstock.cli.dlq_options import (
    AsJson,
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
from penstock.cli.invocation import project_config
from penstock.cli.output import print_json, print_json_line, print_table
from penstock.errors import UsageError

if TYPE_CHECKING:
    from penstock.deadletter.dead_letter import DeadLetter
    from penstock.redrive.ledger import Fate
    from penstock.redrive.opening import Cluster
    from penstock.redrive.selection import Readable, Selection

DEFAULT_LIMIT = 10

app = typer.Typer(
    help=(
        "Dead letters: what failed and why, grouped by cause; and the way back, exactly once. Reads what penstock, "
        "Kafka Connect, Kafka Streams, Spring and Kafka's share groups write. Looking changes nothing: no group is "
        "joined, no offset committed. Keys, values and other systems' messages are shown only where they are asked for."
    ),
    no_args_is_help=True,
)
dlq_redrive.add_to(app)
dlq_parked.add_to(app)

Fated = Annotated[bool, typer.Option("--all", "-a", help="Those that were redriven or dropped too.")]


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
        for letter, fate in _selected(cluster, topic, None, selection, lambda data: data, newest=limit):
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
    selection = selection_of(where, since, until)
    config = project_config(context)
    groups = Groups(by)
    with avro_decoder(config) as decode_avro:
        cluster = Cluster(surroundings(config))
        found = _selected(cluster, topic, partition, selection, readable_by(decode_avro), newest=limit)
        for letter, fate in found:
            groups.add(letter, fate)
    by_size = groups.largest_first()
    if as_json:
        print_json([group_document(group, by) for group in by_size])
    elif not by_size:
        typer.echo("no such letters", err=True)
    else:
        print_groups(by_size, by)


@app.command()
def show(
    context: typer.Context,
    topic: Topic,
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

    \b
    penstock dlq show dlq.delays.flights -w fingerprint=3fa9 --limit 1 --payload
    penstock dlq show dlq.delays.flights -w partition=0 -w offset=17
    """  # noqa: D301 - as above
    from penstock.redrive.opening import Cluster  # noqa: PLC0415 - keeps `--help` fast

    selection = selection_of(where, since, until)
    config = project_config(context)
    with avro_decoder(config) as decode_avro:
        cluster = Cluster(surroundings(config))
        found = _selected(cluster, topic, partition, selection, readable_by(decode_avro), show_all=show_all)
        for letter, fate in islice(found, limit):
            if as_json:
                print_json_line(document(letter, fate, decode_avro if payload else None))
            else:
                print_letter(letter, fate, decode_avro if payload else None)


@app.command()
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
) -> None:
    """Print letters with keys and values, one JSON object a line.

    \b
    penstock dlq export dlq.delays.flights > letters.jsonl
    penstock dlq export dlq.payments.cards --redact card.number --redact holder
    """  # noqa: D301 - as above
    from penstock.redrive.opening import Cluster  # noqa: PLC0415 - keeps `--help` fast

    selection = selection_of(where, since, until)
    config = project_config(context)
    with avro_decoder(config) as decode_avro:
        cluster = Cluster(surroundings(config))
        found = _selected(cluster, topic, partition, selection, readable_by(decode_avro), show_all=show_all)
        for letter, fate in found:
            print_json_line(document(letter, fate, decode_avro, redact=redact))


# ---------------------------------------------------------------- reading


def _fated(
    cluster: Cluster, topic: str, partition: int | None, since_ms: int | None, newest: int | None
) -> Iterator[tuple[DeadLetter, Fate]]:
    from penstock.cli.reading_display import ReadingDisplay  # noqa: PLC0415 - keeps `--help` fast
    from penstock.redrive.newest import Tail  # noqa: PLC0415 - as above

    letters = cluster.letters(topic, partition)
    ledger = cluster.ledger(topic)
    tail = None if newest is None else Tail(newest)
    with ReadingDisplay() as display:
        display.begin(topic)
        for batch in letters.read(letters.starts(since_ms=since_ms, most=newest)):
            display.advance(letters.done, letters.total)
            if tail is not None:
                tail.take(batch)
                continue
            for letter in batch:
                yield letter, ledger.fate(letter.partition, letter.offset)
    for letter in () if tail is None else tail.letters():
        yield letter, ledger.fate(letter.partition, letter.offset)


def _selected(
    cluster: Cluster,
    topic: str,
    partition: int | None,
    selection: Selection,
    readable: Readable,
    *,
    show_all: bool = True,
    newest: int | None = None,
) -> Iterator[tuple[DeadLetter, Fate]]:
    for letter, fate in _fated(cluster, topic, partition, selection.since_ms, newest):
        if (show_all or fate == "open") and selection.holds(letter, readable):
            yield letter, fate

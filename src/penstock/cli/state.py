"""`penstock state ls | get | scan`: the committed state of a pipeline, out of its changelogs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import print_json, print_json_line, print_table
from penstock.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from penstock.cli.state_tasks import ReadTask, StateTasks
    from penstock.state.store import Store
    from penstock.topology.node import AnyStore

DEFAULT_LIMIT = 20

app = typer.Typer(
    help=(
        "The committed state of a pipeline, as its changelogs have it. Workers are not disturbed: no group is joined, "
        "nothing is committed. Each task is shown as of its last commit, whole, and compared with the digest in it."
    ),
    no_args_is_help=True,
)

Pipeline = Annotated[str, typer.Argument(metavar="NAME|MODULE:ATTRIBUTE", help="The pipeline, or where it is.")]
StoreName = Annotated[str, typer.Argument(metavar="STORE", help="The store; `penstock state ls` lists them.")]
Partition = Annotated[int | None, typer.Option(min=0, help="Only the task of this partition.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("ls")
def list_stores(context: typer.Context, pipeline: Pipeline, as_json: AsJson = False) -> None:
    """List the stores, with keys and bytes, and each task's last commit.

    Exit code 1 if a task's state does not have the digest of its last commit: it is damaged, or is written so fast
    that reading could not keep up.
    """
    with _tasks(context, pipeline) as tasks:
        read = list(tasks.read())
    if as_json:
        print_json({"pipeline": tasks.pipeline, "tasks": [task.as_data() for task in read]})
    else:
        _print_stores(read)
        _print_tasks(read)
    _judge(read)


@app.command()
def get(
    context: typer.Context,
    pipeline: Pipeline,
    store: StoreName,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="By the store's key type: text, a whole number, bytes in hex, or a tuple as a JSON list.",
        ),
    ],
    partition: Partition = None,
    as_json: AsJson = False,
) -> None:
    """Show the value of a key. Exit code 1 if no task has it.

    Every task is looked at, since the record's key decided about its partition, and that need not be the store's key.

    \b
    penstock state get aircraft-rotation last-arrivals N14228
    penstock state get delays by-route '["EWR", 17]'
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.state.key_text import parse_key, shown_key  # noqa: PLC0415 - keeps `--help` fast

    with _tasks(context, pipeline) as tasks:
        spec = _spec(tasks, store)
        wanted = parse_key(spec, key)
        read = list(tasks.read(store, partition))
    found = [_row(tasks, task, spec, wanted, value) for task in read for value in _values(task.store(spec), wanted)]
    if as_json:
        print_json({"store": store, "key": shown_key(wanted), "found": found})
    elif found:
        _print_rows(found)
    _judge(read)
    if not found:
        typer.echo(f"store '{store}' has no such key", err=True)
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def scan(
    context: typer.Context,
    pipeline: Pipeline,
    store: StoreName,
    *,
    prefix: Annotated[
        str | None,
        typer.Option(metavar="P", help="Keys that begin with this: text, bytes in hex, a tuple's first parts as JSON."),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="A", help="Keys from this one on.")] = None,
    stop: Annotated[str | None, typer.Option("--to", metavar="B", help="Keys below this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Entries at most.")] = DEFAULT_LIMIT,
    partition: Partition = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the entries of a store: one task after the other, each in the order of its keys.

    \b
    penstock state scan aircraft-rotation last-arrivals
    penstock state scan delays by-route --prefix '["EWR"]' --json --limit 1000000
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.state.key_text import parse_key, parse_prefix  # noqa: PLC0415 - keeps `--help` fast

    if prefix is not None and (start is not None or stop is not None):
        raise UsageError("give --prefix, or --from and --to, not both")
    with _tasks(context, pipeline) as tasks:
        spec = _spec(tasks, store)
        first, last = (None if text is None else parse_key(spec, text) for text in (start, stop))
        beginning = None if prefix is None else parse_prefix(spec, prefix)
        read: list[ReadTask] = []

        def entries() -> Iterator[dict[str, Any]]:
            for task in tasks.read(store, partition):
                read.append(task)
                there = task.store(spec)
                found = there.scan(first, last) if beginning is None else there.prefix(beginning)
                yield from (_row(tasks, task, spec, key, value) for key, value in found)

        rows = entries()
        shown = islice(rows, limit)
        if as_json:
            for row in shown:
                print_json_line(row)
        else:
            _print_rows(list(shown))
        is_cut = next(rows, None) is not None
    if is_cut:
        typer.echo(f"only {limit:,} entries are shown; --limit shows more", err=True)
    _judge(read)


# ---------------------------------------------------------------- what is shown


def _tasks(context: typer.Context, pipeline: str) -> StateTasks:
    from penstock.cli.state_tasks import StateTasks  # noqa: PLC0415 - heavy
    from penstock.config.modules import package_of  # noqa: PLC0415 - heavy
    from penstock.dsl.discovery import pipeline_named  # noqa: PLC0415 - heavy

    config = project_config(context)
    package = package_of(config.project.processors, config.root, f"{config.file}: project.processors")
    return StateTasks(config, pipeline_named(pipeline, config.root, package).topology())


def _spec(tasks: StateTasks, store: str) -> AnyStore:
    there = tasks.stores
    if store not in there:
        close = difflib.get_close_matches(store, there, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else f"; it keeps: {', '.join(there) or 'nothing'}"
        raise UsageError(f"pipeline '{tasks.pipeline}' keeps no store '{store}'{hint}")
    return there[store]


def _values(store: Store[Any, Any], key: Any) -> Iterator[Any]:
    missing = object()
    value = store.get(key, missing)
    if value is not missing:
        yield value


def _row(tasks: StateTasks, task: ReadTask, spec: AnyStore, key: Any, value: Any) -> dict[str, Any]:
    """An entry as plain data; of a table and an aggregate, the time of the value beside it."""
    from penstock.state.key_text import shown_key  # noqa: PLC0415 - heavy

    row: dict[str, Any] = {"partition": task.partition, "key": shown_key(key)}
    if spec.name in tasks.timed_stores:
        return {**row, "value": value[0], "timestamp_ms": value[1]}
    return {**row, "value": value}


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from penstock.cli.state_tasks import moment, shown_value  # noqa: PLC0415 - heavy

    columns = ["partition", "key", "value", *(["time"] if rows and "timestamp_ms" in rows[0] else [])]
    print_table(
        columns,
        (
            (
                row["partition"],
                shown_value(row["key"]),
                shown_value(row["value"]),
                *([moment(row["timestamp_ms"])] if "timestamp_ms" in row else []),
            )
            for row in rows
        ),
        numbers=("partition",),
    )


def _print_stores(read: list[ReadTask]) -> None:
    sizes: dict[tuple[str, str, str], list[int]] = {}
    for task in read:
        for held in task.held():
            size = sizes.setdefault((task.group, held.name, held.types), [0, 0, 0])
            for place, number in enumerate((held.keys, held.bytes, 1)):
                size[place] += number
    print_table(
        ("store", "keys and values", "task group", "tasks", "keys", "bytes"),
        (
            (name, types, group, tasks, f"{keys:,}", f"{size:,}")
            for (group, name, types), (keys, size, tasks) in sizes.items()
        ),
        numbers=("tasks", "keys", "bytes"),
    )


def _print_tasks(read: list[ReadTask]) -> None:
    typer.echo()
    print_table(
        ("task", "keys", "commit", "at", "by", "next offsets", "digest"),
        (task.line() for task in read),
        numbers=("keys",),
    )


def _judge(read: list[ReadTask]) -> None:
    """Say what a reader should know, and end with exit code 1 if a state is not what was committed."""
    for task in read:
        if task.reading.open_from is not None:
            typer.echo(
                f"task {task}: a transaction is open in its changelog from offset {task.reading.open_from} on, by a "
                "worker that died or takes long; shown is what was committed before",
                err=True,
            )
    differing = [str(task) for task in read if not task.reading.view.is_verified]
    if differing:
        typer.echo(
            f"{', '.join(differing)}: the state read does not have the digest of its last commit. If a worker writes a "
            "lot, try again; if not, records of the changelog are missing or were changed: restore it from a copy",
            err=True,
        )
        raise typer.Exit(ExitCode.FINDINGS)

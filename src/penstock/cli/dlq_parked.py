"""`penstock dlq parked`: keys of a pipeline that wait because a record of theirs failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.dlq_display import shown_time
from penstock.cli.dlq_options import AsJson
from penstock.cli.invocation import project_config
from penstock.cli.output import print_json, print_table

if TYPE_CHECKING:
    from penstock.cli.state_tasks import ReadTask


def add_to(app: typer.Typer) -> None:
    """Make it a command of the group."""
    app.command()(parked)


def parked(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="NAME|MODULE:ATTRIBUTE", help="The pipeline, or where it is.")],
    payload: Annotated[bool, typer.Option("--payload", help="The keys too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the keys that wait because a record of theirs failed: how many records, how often tried, when again.

    It is read from the changelogs: what is committed now, beside running workers.
    """
    from penstock.cli.state_tasks import StateTasks  # noqa: PLC0415 - keeps `--help` fast
    from penstock.config.modules import package_of  # noqa: PLC0415
    from penstock.deadletter.parking import parking_stores  # noqa: PLC0415
    from penstock.dsl.discovery import pipeline_named  # noqa: PLC0415
    from penstock.operators.park import Park  # noqa: PLC0415

    config = project_config(context)
    package = package_of(config.project.processors, config.root, f"{config.file}: project.processors")
    topology = pipeline_named(pipeline, config.root, package).topology()
    rows: list[dict[str, Any]] = []
    with StateTasks(config, topology) as tasks:
        for node in topology.nodes:
            if isinstance(node.operation, Park):
                queues, _ = parking_stores(node.operation.input)
                for task in tasks.read(queues.name):
                    rows += _rows(task, node.operation.input)
    if not payload:
        rows = [{name: value for name, value in row.items() if name != "key"} for row in rows]
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("no key is parked", err=True)
    else:
        _print(rows)


def _rows(task: ReadTask, name: str) -> list[dict[str, Any]]:
    from penstock.cli.rendering import render  # noqa: PLC0415 - keeps `--help` fast
    from penstock.deadletter.parking import parking_stores  # noqa: PLC0415

    queues, _ = parking_stores(name)
    return [
        {
            "task": str(task),
            "input": name,
            "records": queue.records,
            "failures": queue.failures,
            "first_failed_ms": queue.first_failed_ms,
            "due_ms": queue.due_ms,
            "operator": queue.operator,
            "exception": queue.exception,
            "key": str(render(key)),
        }
        for key, queue in task.store(queues).scan()
    ]


def _print(rows: list[dict[str, Any]]) -> None:
    columns = ("task", "records", "failures", "since", "next try", "where", "exception")
    print_table(
        (*columns, "key") if "key" in rows[0] else columns,
        (
            (
                row["task"],
                row["records"],
                row["failures"],
                shown_time(row["first_failed_ms"]),
                shown_time(row["due_ms"]),
                row["operator"],
                row["exception"],
                *([row["key"]] if "key" in row else []),
            )
            for row in rows
        ),
        numbers=("records", "failures"),
    )

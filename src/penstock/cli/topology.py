"""`penstock topology`: the graph of a pipeline, for people and for code review."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import print_json, print_table

if TYPE_CHECKING:
    from penstock.dsl.pipeline import Pipeline
    from penstock.topology.topology import Topology


class Form(StrEnum):
    """How a topology is printed."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"
    JSON = "json"


def topology(
    context: typer.Context,
    pipeline: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|MODULE:ATTRIBUTE", help="The pipeline, or where to import it; left out, they are listed."
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print it.")] = Form.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Show what a pipeline reads, does, keeps and writes.

    Nothing is connected to. The output is the same for the same code, so that a file of it shows in code review what a
    change does to topics and state. Exit code 3, and everything that is wrong, for a pipeline that cannot work.

    \b
    penstock topology                                   list the pipelines
    penstock topology flight-status
    penstock topology flight-status --format mermaid
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.config.modules import package_of  # noqa: PLC0415 - keeps `--help` fast
    from penstock.dsl.discovery import pipeline_named, pipelines  # noqa: PLC0415 - as above

    config = project_config(context)
    package = package_of(config.project.processors, config.root, f"{config.file}: project.processors")
    chosen = Form.JSON if as_json else form
    if pipeline is None:
        _list(pipelines(config.root, package), as_json=chosen is Form.JSON)
    else:
        _show(pipeline_named(pipeline, config.root, package).topology(), chosen)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A line of the list; `problems` of a pipeline that cannot work, else what it reads and writes."""

    name: str
    reads: list[str]
    writes: list[str]
    problems: int | None


def _list(there: dict[str, Pipeline], *, as_json: bool) -> None:
    found = [_listed(pipeline) for pipeline in there.values()]
    if as_json:
        print_json(found)
    else:
        rows = [(line.name, ", ".join(line.reads), ", ".join(line.writes), line.problems) for line in found]
        print_table(("pipeline", "reads", "writes", "problems"), rows)


def _listed(pipeline: Pipeline) -> _Listed:
    from penstock.topology.topology import TopologyError  # noqa: PLC0415 - as above

    try:
        groups = pipeline.topology().groups.values()
    except TopologyError as err:
        return _Listed(pipeline.name, [], [], len(err.problems))
    reads = [topic.name for group in groups for topic in group.source_topics]
    return _Listed(pipeline.name, reads, [topic.name for group in groups for topic in group.sink_topics], None)


def _show(shown: Topology, form: Form) -> None:
    from penstock.topology.description import as_data, as_text  # noqa: PLC0415 - as above
    from penstock.topology.drawing import as_dot, as_mermaid  # noqa: PLC0415 - as above

    if form is Form.JSON:
        print_json(as_data(shown))
        return
    drawings = {Form.TEXT: as_text, Form.MERMAID: as_mermaid, Form.DOT: as_dot}
    sys.stdout.write(drawings[form](shown))

"""`penstock doctor`: one list of what is there, and what to do about what is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.checks.finding import Finding, Mark, bad
from penstock.cli.invocation import project_config
from penstock.cli.output import console, print_json
from penstock.errors import ExitCode, PenstockError

if TYPE_CHECKING:
    from penstock.config import Config

BUDGET_S = 4.0
SIGNS = {Mark.GOOD: ("✓", "green"), Mark.WARNING: ("!", "yellow"), Mark.BAD: ("✗", "bold red")}


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at Python, Java, Kafka, the schema registry and the project's topics, and say what to do.

    ✓ is fine, ! works with a risk, ✗ does not work; ends with exit code 1 if there is a ✗. Outside the profile dev,
    what may lose data is a ✗.
    """
    config = project_config(context)
    found: list[Finding] = []
    for finding in _findings(config):
        found.append(finding)
        if not as_json:
            _print(finding)
    counts = Counter(finding.mark for finding in found)
    if as_json:
        print_json({"profile": config.profile, "healthy": not counts[Mark.BAD], "findings": found})
    else:
        typer.echo(f"\n{counts[Mark.GOOD]} good, {counts[Mark.WARNING]} to think about, {counts[Mark.BAD]} wrong")
    if counts[Mark.BAD]:
        raise typer.Exit(ExitCode.FINDINGS)


def _findings(config: Config) -> Iterator[Finding]:
    """Everything, in the order in which one thing needs the other."""
    from penstock.cli.checks.cluster import cluster  # noqa: PLC0415 - heavy
    from penstock.cli.checks.machine import machine  # noqa: PLC0415 - heavy
    from penstock.cli.checks.project_topics import project_topics  # noqa: PLC0415 - heavy
    from penstock.cli.checks.schema_registry import registry  # noqa: PLC0415 - heavy
    from penstock.kafka.admin import Admin  # noqa: PLC0415 - heavy
    from penstock.kafka.client import Connection  # noqa: PLC0415 - heavy

    yield from machine(config)
    yield registry(config)
    try:
        admin = Admin(Connection.of(config.kafka), budget_s=BUDGET_S)
        yield from cluster(config, admin)
    except PenstockError as err:
        yield bad("Kafka", str(err), f"kafka.bootstrap_servers is {config.kafka.bootstrap_servers}")
        return
    try:
        yield from project_topics(config, admin)
    except PenstockError as err:
        yield bad("topics", str(err), "mend it, then run `penstock doctor` again")


def _print(finding: Finding) -> None:
    from rich.text import Text  # noqa: PLC0415 - heavy

    sign, style = SIGNS[finding.mark]
    line = Text(sign, style).append(f" {finding.subject}: ", "bold").append(finding.found, "not bold default")
    if finding.advice:
        line.append(f"\n  → {finding.advice}", "not bold default")
    console().print(line, soft_wrap=True)

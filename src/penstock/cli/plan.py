"""`penstock plan NAME`: what a deploy of this code would do to what is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import console, print_json
from penstock.errors import ExitCode

if TYPE_CHECKING:
    from penstock.config import Config
    from penstock.runtime.deployment_log import History
    from penstock.topology.change import Change
    from penstock.topology.deployment import Deployment
    from penstock.topology.plan import Plan

BUDGET_S = 10.0
STYLES = {"✓": "green", "!": "yellow", "✗": "bold red"}


def plan(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="NAME|MODULE:ATTRIBUTE", help="The pipeline, or where it is.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the code of a pipeline with what is deployed, and tell what deploying it does.

    ✓ is harmless, ! is harmless if you do what the arrow says, ✗ loses state. Exit code 1 if there is a ✗: a worker
    with this code is refused, unless it is started with --accept-state-loss. Nothing is changed by looking.

    What is deployed is what the last worker was started with. Functions count by the names of their steps only: nobody
    can tell whether two of them do the same.

    \b
    penstock plan flight-status
    penstock plan flight-status --json
    """  # noqa: D301 - \b keeps the lines of the example apart in the help
    from penstock.config.modules import package_of  # noqa: PLC0415 - keeps `--help` fast
    from penstock.dsl.discovery import pipeline_named  # noqa: PLC0415 - as above
    from penstock.runtime.deploy import deployment_on  # noqa: PLC0415 - as above
    from penstock.topology.plan import Plan, plan_of  # noqa: PLC0415 - as above

    config = project_config(context)
    package = package_of(config.project.processors, config.root, f"{config.file}: project.processors")
    topology = pipeline_named(pipeline, config.root, package).topology()
    cluster = _Cluster(config)
    history = cluster.history(topology.name)
    code = deployment_on(cluster.admin, topology)
    latest = history.latest
    found = Plan(()) if latest is None else plan_of(latest.deployment, code)
    unrecorded = cluster.changelogs(topology.name) if latest is None else []
    if as_json:
        print_json(_as_data(history, code, found, unrecorded))
    else:
        _print(history, code, found, unrecorded)
    if not found.is_safe:
        raise typer.Exit(ExitCode.FINDINGS)


class _Cluster:
    """What is asked of Kafka."""

    def __init__(self, config: Config) -> None:
        from penstock.kafka.admin import Admin  # noqa: PLC0415 - heavy
        from penstock.kafka.client import Connection  # noqa: PLC0415 - heavy

        self._connection = Connection.of(config.kafka)
        self._prefix = config.project.prefixed("")
        self.admin = Admin(self._connection, budget_s=BUDGET_S)

    def history(self, pipeline: str) -> History:
        from penstock.runtime.clients import KafkaClients  # noqa: PLC0415 - heavy
        from penstock.runtime.deploy import deployed_history  # noqa: PLC0415 - heavy

        return deployed_history(KafkaClients(self._connection), self.admin, pipeline, self._prefix)

    def changelogs(self, pipeline: str) -> list[str]:
        """Changelogs that a pipeline of this name has left."""
        begin = f"{self._prefix}{pipeline}."
        return [name for name in self.admin.topics() if name.startswith(begin) and name.endswith(".changelog")]


@dataclass(frozen=True, slots=True)
class _Deployed:
    """What `--json` says of what is deployed."""

    fingerprint: str
    writer: str
    recorded_ms: int
    accepted: tuple[str, ...]


def _as_data(history: History, code: Deployment, found: Plan, unrecorded: list[str]) -> dict[str, object]:
    latest = history.latest
    return {
        "pipeline": code.pipeline,
        "deployed": None
        if latest is None
        else _Deployed(latest.deployment.fingerprint, latest.writer, latest.recorded_ms, latest.accepted),
        "code": code.fingerprint,
        "loses_state": bool(found.losses),
        "impossible": bool(found.obstacles),
        "unrecorded_changelogs": unrecorded,
        "changes": found.changes,
    }


def _print(history: History, code: Deployment, found: Plan, unrecorded: list[str]) -> None:
    from penstock.runtime.deployment_log import told  # noqa: PLC0415 - heavy

    latest, name = history.latest, code.pipeline
    typer.echo(f"pipeline {name}")
    typer.echo(f"deployed {told(latest)}" if latest is not None else "deployed nothing that is recorded")
    typer.echo(f"code     {code.fingerprint}\n")
    if latest is None:
        typer.echo(_unrecorded(unrecorded) if unrecorded else "✓ everything is new")
        return
    if not found.changes:
        typer.echo("✓ nothing changes")
    for change in found.changes:
        _print_change(change)
    if found.obstacles:
        typer.echo("\nA worker with this code cannot run on what is there.")
    elif found.losses:
        typer.echo(
            "\nA worker with this code is refused. Mend the code as the arrows say, or accept the loss: "
            f"`penstock run {name} --accept-state-loss` begins without that state and deletes it."
        )


def _print_change(change: Change) -> None:
    from rich.text import Text  # noqa: PLC0415 - heavy

    sign, _, rest = str(change).partition(" ")
    console().print(Text(sign, STYLES[sign]).append(f" {rest}", "not bold default"), soft_wrap=True)


def _unrecorded(changelogs: list[str]) -> str:
    listed = ", ".join(changelogs)
    return (
        f"! there is state, though ({listed}): a release that recorded nothing has run here, or the record was "
        "deleted. What this code would lose of it cannot be told\n"
        "  → run the code that last ran once more: it is recorded then. Other code is refused, unless it is started "
        "with --accept-state-loss: it keeps what it can read and deletes the rest"
    )

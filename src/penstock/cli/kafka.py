"""`penstock kafka up | status | down`: a real Kafka on this machine, for development."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import print_json
from penstock.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from penstock.embedded.owner import Order
    from penstock.embedded.owner_state import OwnerState, StateFolder

REGISTRY_PORT = 8081

app = typer.Typer(help="A real Kafka on this machine, for development.", no_args_is_help=True)


@app.command()
def up(
    context: typer.Context,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it is up, and leave it running.")] = False,
    nodes: Annotated[int, typer.Option(metavar="1|3", help="How many brokers, each a process of its own.")] = 1,
    persist: Annotated[
        Path | None,
        typer.Option(metavar="DIR", file_okay=False, help="Keep data, cluster id and ports in this folder."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65_533, help="Of the first broker; the others follow.")] = 9092,
    registry: Annotated[bool, typer.Option("--registry", help="A schema registry too.")] = False,
    registry_port: Annotated[int, typer.Option(min=1, max=65_535, help="Of the registry.")] = REGISTRY_PORT,
) -> None:
    """Start Kafka and keep it up until Ctrl-C; it listens on 127.0.0.1 only.

    The brokers die with the process that owns them, however it dies. Without --persist nothing is kept.
    """
    from penstock.embedded import owner  # noqa: PLC0415 - heavy
    from penstock.embedded.jvm import prepare_jvm  # noqa: PLC0415

    config = project_config(context)
    folder = _state_folder(config.state.create())
    folder.require_no_owner()
    if nodes not in {1, 3}:
        raise UsageError(f"--nodes {nodes}: 1 or 3; two cannot outvote one")
    order = owner.Order(
        nodes=nodes,
        port=port,
        registry_port=registry_port if registry else None,
        persist=_absolute(persist),
        java=_absolute(config.embedded.java),
        jars=_absolute(config.embedded.jars),
    )
    if not detach:
        _run_in_foreground(order, folder)
        return
    prepare_jvm(java=config.embedded.java, jars=config.embedded.jars)  # here, where its progress is seen
    state = owner.start_detached(order, folder)
    _show(state)
    typer.echo("it stays up until `penstock kafka down`")


@app.command()
def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is up: addresses, processes, where data is kept. Exit code 1 when nothing is."""
    folder = _state_folder(project_config(context).state.directory)
    state = folder.read()
    if as_json:
        print_json({"up": state is not None, "cluster": state})
    elif state is not None:
        _show(state)
    else:
        typer.echo("Kafka is starting" if folder.has_owner else "Kafka is down; start it with `penstock kafka up`")
    if state is None:
        raise typer.Exit(ExitCode.FINDINGS)


@app.command()
def down(context: typer.Context) -> None:
    """Take down what `up` started, from anywhere in the project."""
    from penstock.embedded import owner  # noqa: PLC0415 - heavy

    ended = owner.end(_state_folder(project_config(context).state.directory))
    typer.echo("Kafka was not up" if ended is None else f"Kafka is down ({ended.bootstrap_servers})")


def _run_in_foreground(order: Order, folder: StateFolder) -> None:
    from penstock.embedded import owner  # noqa: PLC0415 - heavy

    def ready(state: OwnerState) -> None:
        _show(state)
        typer.echo("Ctrl-C takes it down")

    try:
        owner.own(order, folder, ready)
    except KeyboardInterrupt:
        typer.echo("Kafka is down")


def _state_folder(directory: Path) -> StateFolder:
    from penstock.embedded.owner_state import StateFolder  # noqa: PLC0415 - heavy

    return StateFolder(directory)


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _show(state: OwnerState) -> None:
    from penstock.embedded.orphans import is_alive  # noqa: PLC0415 - heavy
    from penstock.embedded.ports import is_listened_to  # noqa: PLC0415

    typer.echo(f"Kafka is up: {state.bootstrap_servers}")
    for node in state.nodes:
        gone = "" if node.pid is not None and is_alive(node.pid) else ", gone"
        typer.echo(f"  broker {node.node_id}  port {node.port}, process {node.pid}{gone}")
    if state.registry_url:
        silent = "" if is_listened_to(int(state.registry_url.rpartition(":")[2])) else ", does not answer"
        typer.echo(f"  registry  {state.registry_url}, process {state.registry_pid}{silent}")
    typer.echo(f"  data      {state.persist or 'goes with it (keep it with --persist DIR)'}")

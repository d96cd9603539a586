"""The `penstock` command itself: global options, the command groups, and what becomes of an error."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli import (
    config,
    demo,
    dlq,
    doctor,
    kafka,
    lag,
    lag_exporter,
    peek,
    plan,
    produce,
    registry,
    run,
    schemas,
    state,
    top,
    topics,
    topology,
)
from penstock.cli.invocation import Invocation
from penstock.errors import ExitCode, PenstockError

PUBLISH, LOOK, SERVERS, PROJECT = "Publish", "Look inside", "Servers on this machine", "The project"
INTERRUPTED = 130  # 128 + SIGINT, what a shell expects

_THE_MACHINES = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}
"""Troubles with files that no command can foresee and no code can mend: rights, a full disk, too many open files."""

app = typer.Typer(
    name="penstock",
    help=(
        "Exactly-once Kafka pipelines in plain Python.\n\n"
        "A project is a folder with a [bold]penstock.toml[/bold]; commands find it from the current folder upwards. "
        "Start a broker with [bold]penstock kafka up[/bold], check what is there with [bold]penstock doctor[/bold], "
        "publish with [bold]penstock produce NAME[/bold] and read it back with [bold]penstock peek TOPIC[/bold]."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - costs 10 ms that only this option needs

        typer.echo(f"penstock {version('penstock')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Profile of penstock.toml; else $PENSTOCK_PROFILE, else dev.")
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            exists=True,
            help="Project folder; else the first with a penstock.toml from here upwards.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options that stand before the command."""
    chosen = context.ensure_object(Invocation)
    chosen.profile, chosen.project, chosen.debug = profile, project, debug


app.command("demo", rich_help_panel=PUBLISH)(demo.demo)
app.command("produce", rich_help_panel=PUBLISH)(produce.produce)
app.command("run", rich_help_panel=PUBLISH)(run.run)
app.command("topics", rich_help_panel=LOOK)(topics.topics)
app.command("peek", rich_help_panel=LOOK)(peek.peek)
app.add_typer(state.app, name="state", rich_help_panel=LOOK)
app.command("lag", rich_help_panel=LOOK)(lag.lag)
app.command("lag-exporter", rich_help_panel=LOOK)(lag_exporter.lag_exporter)
app.command("top", rich_help_panel=LOOK)(top.top)
app.add_typer(dlq.app, name="dlq", rich_help_panel=LOOK)
app.command("doctor", rich_help_panel=LOOK)(doctor.doctor)
app.add_typer(kafka.app, name="kafka", rich_help_panel=SERVERS)
app.command("registry", rich_help_panel=SERVERS)(registry.registry)
app.add_typer(schemas.app, name="schemas", rich_help_panel=PROJECT)
app.command("topology", rich_help_panel=PROJECT)(topology.topology)
app.command("plan", rich_help_panel=PROJECT)(plan.plan)
app.add_typer(config.app, name="config", rich_help_panel=PROJECT)


def main() -> None:
    """Run the command line; ends the process with an exit code of `ExitCode` (130 after Ctrl-C)."""
    chosen = Invocation(owns_process=True)
    try:
        app(obj=chosen)
    except PenstockError as err:
        _tell(err, str(err), debug=chosen.debug)
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as err:  # noqa: BLE001 - the outermost frame: whatever arrives here is our own bug
        if isinstance(err, OSError) and err.errno in _THE_MACHINES:
            _tell(err, f"{err.filename or 'writing'}: {err.strerror}", debug=chosen.debug)
            sys.exit(ExitCode.CONFIGURATION)
        _tell(err, _bug_report(err, debug=chosen.debug), debug=chosen.debug)
        sys.exit(ExitCode.BUG)


def _bug_report(err: Exception, *, debug: bool) -> str:
    told = f"this is a bug in penstock, please report it: {type(err).__name__}: {err}"
    return told if debug else f"{told}\nThe report needs what `penstock --debug ...` prints for the same command."


def _tell(err: Exception, message: str, *, debug: bool) -> None:
    if debug:
        traceback.print_exception(err)
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    typer.echo("\n".join([message, *getattr(err, "__notes__", [])]), err=True)

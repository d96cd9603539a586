"""Starting `penstock run` several times over: the command of a worker, and the supervisor that keeps it running."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from penstock.cli.invocation import Invocation

if TYPE_CHECKING:
    from penstock.config import Config


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """What this command was given, and passes on to each worker.

    Attributes:
        options: before the command.
        pipeline: as it was named.
        instance: of all of them.
        accept_state_loss: for the code of now. A worker that is started again later may find newer code, which nobody
            has accepted anything for.
        port: of the supervisor, which hands out those of the workers; None = nobody is to look at them.
    """

    options: Invocation
    pipeline: str
    instance: str
    accept_state_loss: bool
    port: int | None = None

    def command(self, number: int, *, is_first: bool) -> list[str]:
        """What starts a worker: this very program."""
        from penstock.supervisor.discovery import worker_port  # noqa: PLC0415 - keeps `--help` fast

        # -P: the current folder is no place to import from, as it is none for the installed command.
        line = [sys.executable, "-P", "-m", "penstock"]
        if self.options.profile is not None:
            line += ["--profile", self.options.profile]
        if self.options.project is not None:
            line += ["--project", str(self.options.project)]
        if self.options.debug:
            line.append("--debug")
        line += ["run", self.pipeline, "--instance", self.instance]
        port = worker_port(self.port, number)
        if port is not None:
            line += ["--port", str(port)]
        if self.accept_state_loss and is_first:
            line.append("--accept-state-loss")
        return [*line, "--worker", str(number), "--supervisor", str(os.getpid())]


def supervise(config: Config, start: WorkerStart, workers: int) -> None:
    """Run so many workers until a signal comes or nothing is left to run; ends the command with the exit code."""
    from penstock.supervisor.deaths import allowed  # noqa: PLC0415 - keeps `--help` fast
    from penstock.supervisor.discovery import discovery  # noqa: PLC0415 - as above
    from penstock.supervisor.supervisor import Supervisor, SupervisorRules  # noqa: PLC0415 - as above

    processing = config.processing
    supervisor = Supervisor(
        start.command,
        workers,
        SupervisorRules(
            max_deaths=processing.max_deaths_per_minute or allowed(workers),
            grace_s=processing.shutdown_grace_ms / 1000,
        ),
        name_of=lambda number: f"{start.instance}.{number}",
    )
    monitoring = config.monitoring
    with discovery(config.state.create(), monitoring.host, monitoring.port):
        code = supervisor.run()
    if code:
        raise typer.Exit(code)

"""How a supervisor starts the command again for each worker."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from penstock.cli.invocation import Invocation
from penstock.cli.supervised import WorkerStart

PROGRAM = [sys.executable, "-P", "-m", "penstock"]
SUPERVISOR = ["--supervisor", str(os.getpid())]


def test_a_worker_is_given_what_the_command_was_given() -> None:
    options = Invocation(profile="prod", project=Path("/srv/river"), debug=True)
    start = WorkerStart(options, "levels", "rack-7", accept_state_loss=True)
    given = ["--profile", "prod", "--project", "/srv/river", "--debug", "run", "levels", "--instance", "rack-7"]
    assert start.command(3, is_first=True) == [
        *PROGRAM, *given, "--accept-state-loss", "--worker", "3", *SUPERVISOR
    ]  # fmt: skip
    assert start.command(3, is_first=False) == [*PROGRAM, *given, "--worker", "3", *SUPERVISOR]


def test_and_nothing_else() -> None:
    start = WorkerStart(Invocation(), "levels", "0", accept_state_loss=False)
    assert start.command(0, is_first=True) == [
        *PROGRAM,
        "run",
        "levels",
        "--instance",
        "0",
        "--worker",
        "0",
        *SUPERVISOR,
    ]

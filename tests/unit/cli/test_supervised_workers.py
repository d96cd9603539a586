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


def test_each_worker_has_a_port_of_its_own_behind_the_supervisors() -> None:
    """Two that were given one port would each think that it is taken; with 0 each finds a free one."""
    ports = {}
    for port in (9460, 0, None):
        start = WorkerStart(Invocation(), "levels", "0", accept_state_loss=False, port=port)
        lines = [start.command(number, is_first=False) for number in range(3)]
        ports[port] = [line[line.index("--port") + 1] if "--port" in line else None for line in lines]
    assert ports == {9460: ["9461", "9462", "9463"], 0: ["0", "0", "0"], None: [None, None, None]}

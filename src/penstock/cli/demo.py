"""`penstock demo`: what the project shows of itself, in a package `demo` beside its `penstock.toml`."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.invocation import project_config
from penstock.errors import UsageError


def demo(
    context: typer.Context,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the verdict there, for scripts.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="For the moments of the kills; else drawn, and printed.")] = None,
    rate: Annotated[
        int | None, typer.Option(metavar="N", help="Flights a second at most, so that there is time to watch.")
    ] = None,
    all_pipelines: Annotated[
        bool, typer.Option("--all", help="The re-keyed pipelines too, which takes three times as long.")
    ] = False,
    nodes: Annotated[
        int | None, typer.Option(metavar="1|3", help="Brokers: 1, or 3 of which one after the other fails.")
    ] = None,
) -> None:
    """Publish and process real data while producer and workers are killed, and prove that nothing was lost or doubled.

    Starts a broker and a registry of its own; needs penstock's extras `embedded` and `demo`. Takes some minutes, and
    ends with exit code 1 if anything is missing, doubled or wrong, or if too little was killed to prove anything.
    """
    root = project_config(context).root
    if not (root / "demo" / "__main__.py").is_file():
        raise UsageError(
            f"{root} has no package `demo`; it comes with penstock's own repository, where `make demo` runs it"
        )
    sys.path.insert(0, str(root))
    sys.argv = ["demo"]
    if json_file is not None:
        sys.argv += ["--json", str(json_file)]
    if seed is not None:
        sys.argv += ["--seed", str(seed)]
    if rate is not None:
        sys.argv += ["--rate", str(rate)]
    if all_pipelines:
        sys.argv.append("--all")
    if nodes is not None:
        sys.argv += ["--nodes", str(nodes)]
    # Run and not imported: the engine knows no project, and the package ends the process with its own exit code.
    runpy.run_module("demo", run_name="__main__", alter_sys=True)

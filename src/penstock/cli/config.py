"""`penstock config`: what is in force, and what can be set."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock.cli.invocation import project_config
from penstock.cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Show the configuration in force, or what can be set.")


@app.command()
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show every value in force and where it was set; secrets are starred."""
    from penstock.config.show import settings  # noqa: PLC0415 - heavy

    config = project_config(context)
    found = list(settings(config))
    if as_json:
        print_json(
            {
                "file": str(config.file) if config.file else None,
                "profile": config.profile,
                "settings": {each.key: {"value": each.value, "origin": each.origin} for each in found},
            }
        )
        return
    typer.echo(f"file     {config.file or 'none found: defaults and environment'}\nprofile  {config.profile}\n")
    print_table(("key", "value", "from"), ((each.key, _written(each.value), each.origin) for each in found))


@app.command()
def schema() -> None:
    """Print the JSON schema of penstock.toml, for editors that check and complete TOML."""
    from penstock.config.schema import json_schema  # noqa: PLC0415 - heavy

    print_json(json_schema())


def _written(value: object) -> str:
    return "-" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)

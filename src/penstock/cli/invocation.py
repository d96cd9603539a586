"""What the options before the command said: which project, which profile, how much to tell on errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from penstock.errors import ConfigurationError

if TYPE_CHECKING:
    from penstock.config import Config


@dataclass(slots=True)
class Invocation:
    """One run of the `penstock` command.

    Attributes:
        profile: from `--profile`; None leaves the choice to PENSTOCK_PROFILE.
        project: from `--project`; None looks from the current folder upwards.
        debug: show tracebacks, and log records of every level.
        owns_process: whether logging may be set up for the whole process.
    """

    profile: str | None = None
    project: Path | None = None
    debug: bool = False
    owns_process: bool = False


def invocation(context: typer.Context) -> Invocation:
    """The options that stood before the command."""
    found = context.find_object(Invocation)
    return found if found is not None else Invocation()


def project_config(context: typer.Context) -> Config:
    """The project's configuration, as `--project` and `--profile` chose it; sets up logging by it.

    Raises:
        ConfigurationError: every problem of the configuration at once, each with its file and key.
    """
    from penstock.config import load  # noqa: PLC0415 - `penstock --help` must not pay for it
    from penstock.logs import configure  # noqa: PLC0415 - as above

    options = invocation(context)
    config = load(options.project, options.profile)
    if options.project is not None and config.file is None:
        raise ConfigurationError(f"there is no penstock.toml in {options.project}, nor in a folder above it")
    if options.owns_process:
        configure(_level(options, config), config.logging.format)
    return config


def log_as_a_service(context: typer.Context, config: Config, **coordinates: object) -> None:
    """From now on librdkafka's warnings are shown too, and every line carries these coordinates."""
    from penstock.logs import configure  # noqa: PLC0415 - as above

    options = invocation(context)
    if options.owns_process:
        configure(_level(options, config), config.logging.format, is_service=True, always=coordinates)


def _level(options: Invocation, config: Config) -> str:
    return "debug" if options.debug else config.logging.level

"""This machine: Python, Java, the native client, the folder for state."""

from __future__ import annotations

import platform
import stat
from collections.abc import Iterator
from importlib.metadata import version

from penstock.cli.checks.finding import Finding, bad, good, warning
from penstock.cli.checks.memory import memory
from penstock.config import Config
from penstock.embedded.java import find_java
from penstock.errors import PenstockError
from penstock.kafka.client import librdkafka_version


def machine(config: Config) -> Iterator[Finding]:
    """What needs no server."""
    system = f"{platform.system()} {platform.machine()}"
    yield good("penstock", f"{version('penstock')} on Python {platform.python_version()}, {system}")
    yield _project(config)
    yield good("librdkafka", f"{librdkafka_version()}, confluent-kafka {version('confluent-kafka')}")
    yield _java(config)
    yield _state(config)
    yield memory(config)


def _project(config: Config) -> Finding:
    if config.file is None:
        return warning(
            "project",
            f"no penstock.toml in {config.root} or above it: defaults and environment apply",
            'make one with [project] name = "..."; without it producers cannot be run',
        )
    return good("project", f"{config.project.name}, profile {config.profile}, {config.file}")


def _java(config: Config) -> Finding:
    try:
        java = find_java(config.embedded.java)
    except PenstockError as err:
        reason, *_ = str(err).splitlines()
        return warning("Java", reason, "needed for `penstock kafka up` only: pip install 'penstock[embedded]'")
    return good("Java", f"{java.major}, {java.executable}")


def _state(config: Config) -> Finding:
    directory = config.state.directory
    if not directory.exists():
        return good("state directory", f"{directory}, made when it is needed")
    if not directory.is_dir():
        return bad("state directory", f"{directory} is no folder", "move it away, or set state.directory")
    mode = stat.S_IMODE(directory.stat().st_mode)
    if mode & 0o077:
        return bad("state directory", f"{directory} is open to others ({mode:04o})", f"chmod 700 {directory}")
    return good("state directory", f"{directory}, private")

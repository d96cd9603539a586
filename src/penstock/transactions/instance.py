"""The name of this place among all places where a pipeline runs: drawn once, kept in the state directory.

A drawn name is as good as a given one, as long as it stays: a worker that comes back under its old name ends at once
what its predecessor left open. Where the state directory does not outlive the process, as in a container without a
volume, give a name that does (`processing.instance`).
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

from penstock.config.model import INSTANCE
from penstock.errors import ConfigurationError

_FILE: Final = "instance"


def kept_instance(state_directory: Path) -> str:
    """The name that is kept there; drawn and written if there is none yet, the same for all who ask at once.

    Raises:
        ConfigurationError: what is kept there is no name.
    """
    file = state_directory / _FILE
    try:
        name = file.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        _keep(file, secrets.token_hex(4))
        return kept_instance(state_directory)
    if not re.fullmatch(INSTANCE, name):
        raise ConfigurationError(f"{file} holds no name of an instance: remove it, or set processing.instance")
    return name


def _keep(file: Path, name: str) -> None:
    """Write it, whole or not at all; does nothing if somebody else was faster."""
    draft = file.with_name(f"{_FILE}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{name}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""Importing the modules of a project's folder: producers, processors."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from penstock.errors import ConfigurationError


def package_of(folder: Path, root: Path, setting: str) -> str:
    """The name by which modules in a project's folder are imported.

    Raises:
        ConfigurationError: the folder is not in the project.
    """
    try:
        return ".".join(folder.relative_to(root).parts)
    except ValueError as exc:
        raise ConfigurationError(
            f"{setting} is {folder}, outside of {root}: its modules are imported from the project's folder; move them "
            "there"
        ) from exc


def folder_of(root: Path, package: str) -> Path:
    """The folder that a package of the project is in."""
    return root.joinpath(*package.split("."))


def modules(root: Path, package: str) -> Iterator[tuple[str, ModuleType]]:
    """(name, module) for every module in the package, by name. Imports them; `root` is put on `sys.path` for it.

    Raises:
        ConfigurationError: one cannot be imported; the message names its file.
    """
    for file in sorted(folder_of(root, package).glob("*.py")):
        name = package if file.stem == "__init__" else f"{package}.{file.stem}"
        yield name, import_module(name, root, str(file))


def import_module(name: str, root: Path, where: str) -> ModuleType:
    """One module of the project, by name; `where` is what a message calls it.

    Raises:
        ConfigurationError: it cannot be imported.
    """
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        return importlib.import_module(name)
    except Exception as exc:
        raise ConfigurationError(f"{where}: cannot be imported: {type(exc).__name__}: {exc}") from exc

"""The function that changes records on their way back: a function of the project, found by `module:attribute`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from penstock.config.modules import import_module
from penstock.errors import UsageError
from penstock.redrive.original import Edit


def edit_at(reference: str, root: Path) -> Edit:
    """The function at this import string; the project's folder is put on `sys.path`.

    Nothing is evaluated: what runs is code that is checked in, as a pipeline's is.

    Raises:
        UsageError: there is no function.
        ConfigurationError: its module cannot be imported.
    """
    module_name, colon, attribute = reference.partition(":")
    if not (colon and module_name and attribute):
        raise UsageError(f"--edit {reference}: write module:function, such as mending:price")
    found: object = import_module(module_name, root, f"--edit {reference}")
    for name in attribute.split("."):
        found = getattr(found, name, None)
    if not callable(found):
        raise UsageError(f"--edit {reference}: there is no function '{attribute}' in {module_name}")
    return cast("Edit", found)  # what it gives is looked at each time

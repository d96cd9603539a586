"""Which penstock this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version


@cache
def release() -> str:
    """The version that is installed; its files are read once, for a process does not outlive an installation."""
    return version("penstock")

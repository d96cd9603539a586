"""The class of an error as a label: a closed set, since every word of a label is a series for ever."""

from __future__ import annotations

from typing import Final

from penstock.errors import PenstockError

OTHER: Final = "other"
_KNOWN_TO_ALL: Final = (PenstockError.__module__, "builtins")


def error_name(error: BaseException) -> str:
    """The name of its class, or of the nearest one above it that is ours or Python's; else `other`."""
    for each in type(error).__mro__:
        if each in (Exception, BaseException):
            break
        if each.__module__ in _KNOWN_TO_ALL:
            return each.__name__
    return OTHER

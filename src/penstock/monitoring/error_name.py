"""What an error is called as a label: closed sets, since every word of a label is a series for ever."""

from __future__ import annotations

from typing import Final

from penstock.errors import PenstockError
from penstock.kafka.error_map import answer_behind

OTHER: Final = "other"
NOT_ANSWERED: Final = "_TIMED_OUT"
"""What a call that ends a transaction is nearly always answered with when it is made again: nothing, in time."""

_KNOWN_TO_ALL: Final = (PenstockError.__module__, "builtins")


def error_name(error: BaseException) -> str:
    """The name of its class, or of the nearest one above it that is ours or Python's; else `other`."""
    for each in type(error).__mro__:
        if each in (Exception, BaseException):
            break
        if each.__module__ in _KNOWN_TO_ALL:
            return each.__name__
    return OTHER


def answer_name(error: BaseException) -> str:
    """Kafka's name of what a call was answered with, such as `_TIMED_OUT`, where it stands behind the error."""
    answer = answer_behind(error)
    return error_name(error) if answer is None else answer.name()

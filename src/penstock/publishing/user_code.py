"""What a run says when the code of a producer's author fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from penstock.deadletter.envelope import place_of
from penstock.errors import OperatorMustDecide, PenstockError

T = TypeVar("T")


def mistake(exc: Exception, producer: str, where: str) -> OperatorMustDecide:
    """An error to raise for a foreign one: its class and place are told, its text is not, since it may quote a row."""
    return OperatorMustDecide(
        f"producer '{producer}': {type(exc).__name__} at {place_of(exc)}, in {where}. Nothing is lost: mend the cause "
        "and start again (--debug shows the whole trace)"
    )


def asked(function: Callable[[], T], producer: str, where: str) -> T:
    """What a function of the author's says.

    Raises:
        OperatorMustDecide: it failed; the message names the place.
    """
    try:
        return function()
    except PenstockError:
        raise
    except Exception as exc:
        raise mistake(exc, producer, where) from exc

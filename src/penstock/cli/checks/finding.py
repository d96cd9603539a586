"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """How a finding was judged."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's list.

    Attributes:
        mark: how it was judged.
        subject: what was looked at.
        found: what is there.
        advice: what to do; empty where all is well.
    """

    mark: Mark
    subject: str
    found: str
    advice: str = ""


def good(subject: str, found: str) -> Finding:
    """All is well."""
    return Finding(Mark.GOOD, subject, found)


def warning(subject: str, found: str, advice: str) -> Finding:
    """It works, with a risk or a loss."""
    return Finding(Mark.WARNING, subject, found, advice)


def bad(subject: str, found: str, advice: str) -> Finding:
    """It does not work, or puts data at risk."""
    return Finding(Mark.BAD, subject, found, advice)


def risky(subject: str, found: str, advice: str, *, in_production: bool) -> Finding:
    """It puts data at risk: bad in production, a warning elsewhere."""
    return Finding(Mark.BAD if in_production else Mark.WARNING, subject, found, advice)

"""Which dead letters are meant: conditions `NAME=VALUE`, and a span of time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from penstock.deadletter.dead_letter import DeadLetter
from penstock.errors import UsageError

Readable = Callable[[bytes | None], Any]
"""What bytes say: text, a number, a map, a list; whatever a person would be shown."""

MAX_OFFSET: Final = (1 << 63) - 1
_FIELD: Final = "field."
_CONDITION: Final = re.compile(r"([a-z]+(?:\..+?)?)(!?=)(.*)", re.DOTALL)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _short(name: str) -> str:
    return name.rpartition(".")[2]


_ASKED: Final[dict[str, Callable[[DeadLetter], Sequence[str]]]] = {
    "stage": lambda letter: [letter.stage],
    "operator": lambda letter: [letter.operator, _short(letter.operator)],
    "exception": lambda letter: [letter.exception, _short(letter.exception)],
    "reason": lambda letter: [letter.reason],
    "pipeline": lambda letter: [letter.pipeline],
    "source": lambda letter: [letter.source.topic if letter.source else ""],
    "dialect": lambda letter: [letter.dialect],
    "partition": lambda letter: [str(letter.partition)],
    "redrives": lambda letter: [str(letter.redrives)],
    "redrive": lambda letter: [letter.redrive_id],
}
NAMES: Final = (*_ASKED, "fingerprint", "offset", "key", "field.PATH")


@dataclass(frozen=True, slots=True)
class Condition:
    """One `NAME=VALUE` or `NAME!=VALUE`.

    Texts may hold `*`; a fingerprint may be shortened; an offset may be a span, `17..42`.
    """

    name: str
    value: str
    is_negated: bool = False

    @staticmethod
    def of(text: str) -> Condition:
        """Read it.

        Raises:
            UsageError: it is none, or of a name that is not known.
        """
        found = _CONDITION.fullmatch(text)
        if found is None:
            raise UsageError(f"--where {text}: write NAME=VALUE or NAME!=VALUE; names are {', '.join(NAMES)}")
        name, sign, value = found.groups()
        if name not in NAMES and not (name.startswith(_FIELD) and name != _FIELD):
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"names are {', '.join(NAMES)}"
            raise UsageError(f"--where {text}: there is no '{name}'; {hint}")
        if name == "offset":
            _span(value)
        return Condition(name, value, sign == "!=")

    def holds(self, letter: DeadLetter, readable: Readable) -> bool:
        """Whether the letter is as it says."""
        return self._is_met(letter, readable) != self.is_negated

    def _is_met(self, letter: DeadLetter, readable: Readable) -> bool:
        if self.name == "fingerprint":
            return bool(self.value) and letter.fingerprint.startswith(self.value.lower())
        if self.name == "offset":
            first, last = _span(self.value)
            return first <= letter.offset <= last
        if self.name == "key":
            return fnmatchcase(_text(readable(letter.key)), self.value)
        if self.name.startswith(_FIELD):
            found = _at(readable(letter.value), self.name.removeprefix(_FIELD).split("."))
            return any(fnmatchcase(_text(each), self.value) for each in found)
        return any(fnmatchcase(each, self.value) for each in _ASKED[self.name](letter))


@dataclass(frozen=True, slots=True)
class Selection:
    """Conditions that all have to hold, and when it failed.

    Attributes:
        conditions: none = all letters.
        since_ms: not before, milliseconds since 1970 UTC.
        until_ms: before.
    """

    conditions: tuple[Condition, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def span(self) -> tuple[int, int]:
        """(first offset, behind the last) between which all stand that are meant; equal where none can be."""
        spans = [_span(each.value) for each in self.conditions if each.name == "offset" and not each.is_negated]
        first = max((first for first, _ in spans), default=0)
        return first, max(first, min((last + 1 for _, last in spans), default=MAX_OFFSET))

    def partitions(self, count: int) -> list[int]:
        """Which of so many partitions may hold letters that are meant."""
        asked = [each for each in self.conditions if each.name == "partition"]
        return [
            partition
            for partition in range(count)
            if all(fnmatchcase(str(partition), each.value) != each.is_negated for each in asked)
        ]

    def holds(self, letter: DeadLetter, readable: Readable) -> bool:
        """Whether the letter is meant."""
        if self.since_ms is not None and letter.seen_ms < self.since_ms:
            return False
        if self.until_ms is not None and letter.seen_ms >= self.until_ms:
            return False
        return all(condition.holds(letter, readable) for condition in self.conditions)

    def __str__(self) -> str:
        """As it was asked for; empty for all."""
        told = [f"{c.name}{'!=' if c.is_negated else '='}{c.value}" for c in self.conditions]
        if self.since_ms is not None:
            told.append(f"since {self.since_ms}")
        if self.until_ms is not None:
            told.append(f"until {self.until_ms}")
        return " ".join(told)


def _span(text: str) -> tuple[int, int]:
    first, dots, last = text.partition("..")
    if not first.isdecimal() or not (last.isdecimal() if dots else not last):
        raise UsageError(f"--where offset={text}: write an offset as 17, or a span as 17..42")
    return int(first), int(last) if dots else int(first)


def _at(value: Any, path: list[str]) -> list[Any]:
    """What stands at this path; of a list, in any of its elements."""
    if isinstance(value, list):
        return [found for each in value for found in _at(each, path)]
    if not path:
        return [value]
    if isinstance(value, dict) and path[0] in value:
        return _at(value[path[0]], path[1:])
    return []

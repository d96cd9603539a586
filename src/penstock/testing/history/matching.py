"""What is visible, put beside what is expected: pairs, what is missing, what is too much.

Only contents are compared here. Where several inputs have the same result nobody can say which record is whose: of such
a pair it is known at most between which offsets the record stands, and the rules about transactions pass it over.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock.testing.history.evidence import Evidence, Seen
from penstock.testing.history.run import Expected
from penstock.testing.segments import Fate


class Pair(NamedTuple):
    """An effect and the record that shows it.

    Attributes:
        expected: the effect.
        seen: the record, or one that looks the same.
        between: the first and the last offset, in the partition of `seen`, at which the effect can stand; None where it
            can stand elsewhere.
    """

    expected: Expected
    seen: Seen
    between: tuple[int, int] | None

    @property
    def is_certain(self) -> bool:
        """No other input could have made this record."""
        return self.between == (self.seen.data.offset,) * 2


@dataclass(slots=True)
class Matching:
    """All of them.

    Attributes:
        pairs: what is expected and there.
        missing: what is expected and not there, in the order of expectation.
        surplus: what is there and not expected, in the order of the logs.
    """

    pairs: list[Pair] = field(default_factory=list[Pair])
    missing: list[Expected] = field(default_factory=list[Expected])
    surplus: list[Seen] = field(default_factory=list[Seen])


def match(evidence: Evidence) -> Matching:
    """Put them together, content by content."""
    seen: dict[Hashable, list[Seen]] = {}
    for each in evidence.visible:
        seen.setdefault(each.content, []).append(each)
    expected: dict[Hashable, list[Expected]] = {}
    for wanted in evidence.expected:
        expected.setdefault(wanted.content, []).append(wanted)
    found = Matching()
    for content, wanted_here in expected.items():
        there = seen.pop(content, [])
        if len(there) == len(wanted_here) == 1:  # as it is nearly always
            one, record = wanted_here[0], there[0]
            at = record.data.offset
            is_sure = not _is_in_flight(evidence, content) or _is_of_one_writer(evidence, one, record)
            found.pairs.append(Pair(one, record, (at, at) if is_sure else None))
        elif len(there) == len(wanted_here):
            pairs = list(zip(wanted_here, there, strict=True))
            if len({each.place for each in there}) > 1 or (
                # One of them may be in flight for another input, and the other's own not be there yet.
                _is_in_flight(evidence, content) and not all(_is_of_one_writer(evidence, *pair) for pair in pairs)
            ):
                found.pairs += [Pair(e, s, None) for e, s in pairs]
            elif len({each.chain for each in wanted_here}) == 1:
                found.pairs += [Pair(e, s, (s.data.offset, s.data.offset)) for e, s in pairs]
            else:
                between = (there[0].data.offset, there[-1].data.offset)
                found.pairs += [Pair(e, s, between) for e, s in pairs]
        else:
            # Of a compacted topic the latest are left.
            step = -1 if wanted_here[0].topic in evidence.history.compacted else 1
            _unequal(evidence, wanted_here[::step], there[::step], found)
    for left in seen.values():
        found.surplus += left
    found.surplus.sort(key=lambda each: (each.place, each.data.offset))
    order = {id(each): n for n, each in enumerate(evidence.expected)}
    found.missing.sort(key=lambda each: order[id(each)])
    return found


def _is_in_flight(evidence: Evidence, content: Hashable) -> bool:
    return content in evidence.ahead or (
        content in evidence.hidden and any(each.part.fate is Fate.OPEN for each in evidence.hidden[content])
    )


def _is_of_one_writer(evidence: Evidence, expected: Expected, seen: Seen) -> bool:
    """Whether whoever committed the input wrote the record as well.

    Then the record is the input's own, whatever is in flight: its writer begins no transaction before the marker of the
    last one is everywhere.
    """
    commit = evidence.covering(expected)
    return commit is not None and commit.writer == seen.data.writer


def _unequal(evidence: Evidence, wanted: Sequence[Expected], there: Iterable[Seen], found: Matching) -> None:
    """One is missing or too much: take first those whose writer has committed the input as well."""
    left = list(there)
    rest: list[Expected] = []
    for each in wanted:
        commit = evidence.covering(each)
        own = next((s for s in left if commit is not None and s.data.writer == commit.writer), None)
        if own is None:
            rest.append(each)
        else:
            left.remove(own)
            found.pairs.append(Pair(each, own, None))
    for each in rest:
        if left:
            found.pairs.append(Pair(each, left.pop(0), None))
        else:
            found.missing.append(each)
    found.surplus += left

"""What is visible and should not be: both fates, twice, torn, of an aborted input, of nothing."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from penstock.testing.history.alternatives import aborted_verdict
from penstock.testing.history.case import Case
from penstock.testing.history.evidence import Evidence, Seen, input_witness
from penstock.testing.history.log import Place
from penstock.testing.history.matching import Pair
from penstock.testing.history.model import DeadLetter, Input, Output
from penstock.testing.history.notes import origin_of, traced
from penstock.testing.history.run import Expected, Task, content_of, play
from penstock.testing.history.verdict import Kind, Verdict
from penstock.testing.segments import Fate

Where = tuple[Place, int]


def both(case: Case) -> Iterator[Verdict]:
    """An output beside a dead letter of the same input, whichever of the two is wrong."""
    letters: dict[Where, Seen] = {}
    outputs: dict[Where, Seen] = {}
    withheld: dict[Hashable, Where] = {}
    for pair in case.matching.pairs:
        source = pair.expected.input
        where = (Place(source.topic, source.partition), source.offset)
        (letters if isinstance(pair.expected.effect, DeadLetter) else outputs).setdefault(where, pair.seen)
        if isinstance(pair.expected.effect, DeadLetter):
            for kept_back in pair.expected.effect.instead_of:
                withheld.setdefault(content_of(pair.expected.task.stage, source, kept_back), where)
    dead = case.evidence.dead_letter_topics

    def other(seen: Seen) -> tuple[Where, Seen] | None:
        if seen.place.topic in dead:
            origin = origin_of(seen.record.headers)
            return None if origin is None or origin not in outputs else (origin, outputs[origin])
        origin = withheld.get(seen.content) or traced(seen.record.headers)
        return None if origin is None or origin not in letters else (origin, letters[origin])

    known = {id(seen): found for seen in case.left.surplus if (found := other(seen)) is not None}
    for seen in case.left.take_surplus(lambda each: id(each) in known):
        (place, offset), beside = known[id(seen)]
        expected = next(pair.expected for pair in case.matching.pairs if pair.seen is beside)
        case.left.judged.add(expected.task)
        letter, output = (seen, beside) if seen.place.topic in dead else (beside, seen)
        yield Verdict(
            Kind.OUTPUT_AND_DEAD_LETTER,
            place,
            offset,
            "it was processed, and dead-lettered as well",
            (input_witness(expected.input), output.witness(), letter.witness("dead letter")),
        )


def copies(case: Case) -> Iterator[Verdict]:
    """The result of an input that is there once already: in a whole transaction twice, else torn off its offset."""
    pairs: dict[Hashable, list[Pair]] = {}
    for pair in case.matching.pairs:
        pairs.setdefault(pair.expected.content, []).append(pair)
    for seen in case.left.take_surplus(lambda each: each.content in pairs):
        # Where several inputs have this result it is nobody's in particular: one whose offset fits is enough.
        whole = [pair for pair in pairs[seen.content] if case.evidence.is_committed_by(pair.expected, seen.data.writer)]
        pair = (whole or pairs[seen.content])[0]
        expected, is_whole = pair.expected, bool(whole) or not seen.data.is_transactional
        case.left.judged.add(expected.task)
        case.left.torn_writers.update(() if is_whole else (seen.data.writer,))
        yield Verdict(
            Kind.DUPLICATE if is_whole else Kind.TORN,
            seen.place,
            seen.data.offset,
            f"it is the result of {expected.input} once more"
            + ("" if is_whole else ", in a transaction whose offsets were not committed"),
            (input_witness(expected.input), pair.seen.witness(), seen.witness()),
        )


def ahead(case: Case) -> Iterator[Verdict]:
    """The result of an input that is not committed as done."""
    evidence = case.evidence
    for seen in case.left.take_surplus(lambda each: each.content in evidence.ahead):
        expected = evidence.ahead[seen.content][0]
        case.left.judged.add(expected.task)
        case.left.torn_writers.add(seen.data.writer)
        yield Verdict(
            Kind.TORN,
            seen.place,
            seen.data.offset,
            f"it is visible, and the offset of {expected.input}, of which it comes, is not committed",
            (input_witness(expected.input), seen.witness()),
        )


def aborted_reads(case: Case) -> Iterator[Verdict]:
    """The result of an input that was never committed."""
    if case.left.surplus:
        known = _of_aborted_inputs(case.evidence)
        for seen in case.left.take_surplus(lambda each: each.content in known):
            expected = known[seen.content]
            case.left.judged.add(expected.task)
            yield aborted_verdict(expected.task, expected.input, seen.witness())


def _of_aborted_inputs(evidence: Evidence) -> dict[Hashable, Expected]:
    """{content: effect} of each aborted or open input, as if it stood alone among the committed ones."""
    found: dict[Hashable, Expected] = {}
    for task in evidence.tasks:
        strays = {
            (stray.topic, stray.offset): stray
            for place in task.sources
            for part in evidence.inputs(task, place, Fate.ABORTED, Fate.OPEN)
            for stray in part
        }
        state: dict[Any, Any] = {}
        done: dict[str, int] = {}
        for own in [*evidence.intervals[task], []]:
            for record in own:
                _try(task, strays, record, state, done, found)
                play(task, [record], state, None)
        for stray in strays.values():  # behind everything that is committed
            for effect in play(task, [stray], dict(state), None):
                found.setdefault(effect.content, effect)
    return found


def _try(
    task: Task,
    strays: dict[tuple[str, int], Input],
    record: Input,
    state: dict[Any, Any],
    done: dict[str, int],
    found: dict[Hashable, Expected],
) -> None:
    """The strays between the record before and this one, each on a copy of the state."""
    for offset in range(done.get(record.topic, 0), record.offset):
        stray = strays.get((record.topic, offset))
        if stray is not None:
            for effect in play(task, [stray], dict(state), None):
                found.setdefault(effect.content, effect)
    done[record.topic] = record.offset + 1


def wrong_values(case: Case) -> Iterator[Verdict]:
    """An output under the right key, with another value than the one that is missing."""
    evidence = case.evidence
    waiting: dict[tuple[str, bytes | None], list[Expected]] = {}
    for each in case.left.missing:
        if isinstance(each.effect, Output):
            waiting.setdefault((each.effect.topic, each.effect.key), []).append(each)
    partner: dict[int, Expected] = {}
    for seen in case.left.surplus:
        group = waiting.get((seen.place.topic, seen.record.key))
        if group and seen.place.topic not in evidence.dead_letter_topics:
            partner[id(seen)] = group.pop(0)
    taken = {id(each) for each in partner.values()}
    case.left.take_missing(lambda expected: id(expected) in taken)
    for seen in case.left.take_surplus(lambda each: id(each) in partner):
        expected = partner[id(seen)]
        yield Verdict(
            Kind.WRONG_VALUE,
            seen.place,
            seen.data.offset,
            f"it is not what comes of {expected.input}",
            (input_witness(expected.input), seen.witness()),
        )


def beside_torn(case: Case) -> Iterator[Verdict]:
    """What else stands in a transaction that was torn off is told by that; its values depend on what it had read."""
    case.left.take_surplus(lambda seen: seen.data.is_transactional and seen.data.writer in case.left.torn_writers)
    yield from ()


def phantoms(case: Case) -> Iterator[Verdict]:
    """What is left."""
    for seen in case.left.take_surplus(lambda _: True):
        role = "dead letter" if seen.place.topic in case.evidence.dead_letter_topics else "output"
        yield Verdict(Kind.PHANTOM, seen.place, seen.data.offset, "no input explains it", (seen.witness(role),))

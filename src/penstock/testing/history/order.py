"""The rules about order: results of one input partition and key stand in the order of their inputs, in one place."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.testing.history.case import Case
from penstock.testing.history.evidence import Seen, input_witness
from penstock.testing.history.log import Place
from penstock.testing.history.matching import Pair
from penstock.testing.history.model import DeadLetter, Output
from penstock.testing.history.verdict import Kind, Verdict


def reordered(case: Case) -> Iterator[Verdict]:
    """Two results that have changed places; also where each may be one of several records, if all of these have."""
    last: dict[tuple[object, ...], tuple[int, Pair]] = {}
    order = {id(each): n for n, each in enumerate(case.evidence.expected)}
    for pair in sorted(case.matching.pairs, key=lambda each: order[id(each.expected)]):
        if pair.between is None or (pair.expected.task.stage.parks and isinstance(pair.expected.effect, DeadLetter)):
            continue  # what cannot be decoded does not wait for a key that is parked
        chain = (pair.expected.task, pair.expected.chain, pair.seen.place)
        earliest, latest = pair.between
        bound, before = last.get(chain, (-1, pair))
        if latest < bound:
            yield Verdict(
                Kind.REORDERED,
                pair.seen.place,
                pair.seen.data.offset,
                f"it comes of {pair.expected.input}, and stands before what comes of {before.expected.input}",
                (
                    input_witness(before.expected.input),
                    input_witness(pair.expected.input),
                    pair.seen.witness(),
                    before.seen.witness(),
                ),
            )
        if earliest > bound:
            last[chain] = earliest, pair


def in_two_partitions(case: Case) -> Iterator[Verdict]:
    """A key whose results stand in two partitions of a topic: their order is nobody's."""
    first: dict[tuple[str, bytes], Seen] = {}
    for pair in case.matching.pairs:
        effect, seen = pair.expected.effect, pair.seen
        if isinstance(effect, Output) and effect.key is not None and effect.partition is None:
            other = first.setdefault((effect.topic, effect.key), seen)
            if other.place != seen.place:
                yield Verdict(
                    Kind.REORDERED,
                    seen.place,
                    seen.data.offset,
                    f"its key stands in {other.place} as well",
                    (other.witness(), seen.witness()),
                )


def unlike(case: Case) -> Iterator[Verdict]:
    """Key and value are right; partition, headers or timestamp, or what a dead letter keeps, are not."""
    for pair in case.matching.pairs:
        wrong = list(_differences(pair))
        if wrong:
            yield Verdict(
                Kind.WRONG_VALUE,
                pair.seen.place,
                pair.seen.data.offset,
                f"its {' and '.join(wrong)} is not what comes of {pair.expected.input}",
                (input_witness(pair.expected.input), pair.seen.witness()),
            )


def _differences(pair: Pair) -> Iterator[str]:
    effect, record, source = pair.expected.effect, pair.seen.record, pair.expected.input
    if isinstance(effect, Output):
        if effect.partition is not None and pair.seen.place != Place(effect.topic, effect.partition):
            yield "partition"
        if effect.headers is not None and effect.headers != record.headers:
            yield "headers"
        if effect.timestamp_ms is not None and effect.timestamp_ms != record.timestamp_ms:
            yield "timestamp"
        return
    told = dict(record.headers)
    if "penstock.dlq.timestamp" in told:  # a pointer: it holds nothing of the original
        return
    if record.key != source.key:
        yield "key"
    if record.value != source.value and "penstock.dlq.truncated.bytes" not in told:
        yield "value"
    if record.timestamp_ms != source.timestamp_ms:
        yield "timestamp"

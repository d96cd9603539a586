"""The judgement: every rule over one history, and what pytest shows of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from penstock.testing.history import (
    explanation,
    missing,
    order,
    positions,
    states,
    surplus,
    transactions,
    writers,
)
from penstock.testing.history.case import Case, Rule
from penstock.testing.history.evidence import Evidence
from penstock.testing.history.log import History, Place
from penstock.testing.history.model import Model
from penstock.testing.history.verdict import Verdict, summed_up

RULES: Final[tuple[Rule, ...]] = (
    # What does not match is named by the first rule that knows it, so these stand in an order.
    missing.on_its_way,
    missing.cleaned,
    missing.torn_off,
    explanation.explained,
    surplus.both,
    surplus.copies,
    surplus.ahead,
    surplus.aborted_reads,
    surplus.beside_torn,
    surplus.wrong_values,
    missing.dropped,
    missing.lost,
    surplus.phantoms,
    # These look at what does match, at the offsets and at the state.
    writers.fenced,
    writers.replaced_owners,
    writers.at_the_same_time,
    order.reordered,
    order.in_two_partitions,
    order.unlike,
    transactions.other_writer,
    transactions.other_transaction,
    transactions.state_without_offsets,
    transactions.offsets_without_state,
    transactions.state_without_commit_record,
    transactions.sequences,
    positions.regressions,
    positions.beyond_the_end,
    states.values,
    states.outcome,
    states.digests,
)
"""All of them."""

_SHOWN = 10


def check(history: History, model: Model, *, rules: tuple[Rule, ...] = RULES) -> list[Verdict]:
    """What is wrong with a history; nothing, if it is what exactly-once processing leaves behind.

    What is in flight is not judged: outputs whose marker is still to come, inputs that no commit covers.

    Args:
        history: all logs that the model reads and writes, and the group's offsets.
        model: what should have come of the inputs.
        rules: others than all of them, for those who look for one thing.

    Returns:
        The first of each kind in each partition, `more` saying how many there are behind it.

    Raises:
        ConfigurationError: the history lacks a topic of the model, or the beginning of one that is read.
    """
    return _verdicts(Evidence(history, model), rules)


def behind(history: History, model: Model) -> dict[Place, int]:
    """{source partition: committed records that the group has not dealt with}; those that are at their end left out."""
    return _left(Evidence(history, model))


def judged(history: History, model: Model) -> tuple[list[Verdict], dict[Place, int]]:
    """What `check` and `behind` say, for the price of one look at the history."""
    evidence = Evidence(history, model)
    return _verdicts(evidence, RULES), _left(evidence)


def _verdicts(evidence: Evidence, rules: Iterable[Rule]) -> list[Verdict]:
    case = Case(evidence)
    return summed_up(verdict for rule in rules for verdict in rule(case))


def _left(evidence: Evidence) -> dict[Place, int]:
    return {place: count for place, count in sorted(evidence.left_to_read().items()) if count}


def assert_exactly_once(history: History, model: Model, *, drained: bool = False, payloads: bool = False) -> None:
    """Fail, telling each verdict with its witnesses, unless there is none.

    Args:
        history: as for `check`.
        model: likewise.
        drained: also fail where the group has not dealt with all that is there.
        payloads: show keys and values of the witnesses.

    Raises:
        AssertionError: with the first ten verdicts.
    """
    __tracebackhide__ = True
    verdicts, left = judged(history, model)
    if verdicts:
        told = [verdict.told(payloads=payloads) for verdict in verdicts[:_SHOWN]]
        rest = [] if len(verdicts) <= _SHOWN else [f"and {len(verdicts) - _SHOWN} verdicts more"]
        raise AssertionError("\n".join([f"'{model.group}' is not exactly-once:", *told, *rest]))
    if left and drained:
        told = [f"{count} records of {place}" for place, count in sorted(left.items())]
        raise AssertionError(f"'{model.group}' has not dealt with {', '.join(told)}")

"""What is known about an input record: the broker refused what it came to, or the process died on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from penstock.batch import SourceBatch
from penstock.deadletter.letter import Form
from penstock.protocols import RefusedRecord

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one input record, found alone in a transaction that was refused.

    Attributes:
        refused: the record of its outputs that a topic refuses; None = only its dead letter was.
        form: the most that its dead letter may hold.
        last_refusal: of its dead letter in its smallest form: nothing of it can be written; None = it was not tried.
        deaths: how often a process died on it; such a record is not run again.
    """

    refused: RefusedRecord | None = None
    form: Form = Form.WHOLE
    last_refusal: RefusedRecord | None = None
    deaths: int = 0

    def refused_again(self, refused: Sequence[RefusedRecord], dead_letter_topic: str) -> Verdict:
        """What is known now that a transaction with nothing else in it was refused, for these records of it.

        Its dead letter is to hold less and less; each step is another one, so there is no refusal without an end.
        """
        output = next((each for each in refused if each.topic != dead_letter_topic), None)
        if output is not None:
            return replace(self, refused=output)
        if self.form is not Form.POINTER:
            return replace(self, form=Form(self.form + 1))
        return replace(self, last_refusal=refused[0])


class Attempts(Protocol):
    """Which records have killed the process; see `attempts.py`."""

    def verdict(self, batch: SourceBatch) -> Verdict | None:
        """What is known of the record, alone in its batch; None = run it."""
        ...

    def begin(self, batch: SourceBatch) -> None:
        """These records are about to be touched."""
        ...

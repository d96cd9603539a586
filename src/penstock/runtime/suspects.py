"""Finding the input record that makes a transaction impossible.

A broker that refuses a record (too large for the topic, a timestamp it does not take, no key where one is needed)
refuses the whole batch of records it came in, and so the transaction; it does not say which input record is behind it.
Doing the same again would fail for ever. So what the discarded transaction had dealt with is done again in transactions
of one task each and half as many input records, and half again while they are refused:

* it goes through: on with half of what is left of the last that did not, or else with twice as many, until all of it
  has gone through and all is as before
* it is refused with one input record in it: that one is at fault, and its policy decides
* its dead letter is refused: with less and less in it, and at last the task stops in front of the record

Each round moves on or halves or judges, so there is no round without end. Nothing of it is kept on disk: another worker
finds the record in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from penstock.batch import SourceBatch
from penstock.errors import OperatorMustDecide
from penstock.protocols import RefusedRecord
from penstock.runtime.merge import Partition
from penstock.runtime.staging import LOGGER
from penstock.runtime.task import Task, TaskId
from penstock.runtime.verdict import Place, Verdict


@dataclass(slots=True)
class _Search:
    """Among one task's records.

    Attributes:
        until: {partition: offset} behind what the refused transaction had dealt with.
        limit: records in the next transaction.
        within: records from here on among which one is at fault; 0 = as far as is known, none.
        verdicts: what was found and is not dealt with yet; such a record is to be alone in its batch.
    """

    until: dict[Partition, int] = field(default_factory=dict[Partition, int])
    limit: int = 1
    within: int = 0
    verdicts: dict[Place, Verdict] = field(default_factory=dict[Place, Verdict])

    def halve(self, count: int) -> None:
        """One of the next `count` is at fault."""
        self.within = count
        self.limit = max(1, count // 2)

    def advance(self, count: int) -> None:
        """`count` have gone through."""
        self.within = max(0, self.within - count)
        self.limit = max(1, self.within // 2) if self.within else 2 * self.limit


class Suspects:
    """Which tasks work in small transactions now, how small, and what was found.

    Args:
        dead_letter_topic: of a source topic.
    """

    def __init__(self, dead_letter_topic: Callable[[str], str]) -> None:
        self._dead_letter_topic = dead_letter_topic
        self._searches: dict[TaskId, _Search] = {}
        self._in_hand: tuple[TaskId, SourceBatch] | None = None

    def limit(self, task: TaskId) -> int | None:
        """How many records of this task may be in one transaction, with nothing else in it; None = as usual."""
        search = self._searches.get(task)
        if search is None:
            return None
        return 1 if search.verdicts else search.limit

    def verdicts(self, task: TaskId) -> Mapping[Place, Verdict]:
        """What was found among this task's records and is not dealt with yet."""
        return self._searches[task].verdicts if task in self._searches else {}

    def take(self, task: TaskId, batch: SourceBatch) -> None:
        """The open transaction is to hold what this batch came to, and nothing else."""
        self._in_hand = (task, batch)

    def refused(self, refused: Sequence[RefusedRecord], touched: Sequence[Task], records: int) -> None:
        """A transaction was refused. To be called before the tasks are discarded: they know how far they were.

        Args:
            refused: by the broker, with neighbours.
            touched: the tasks in the transaction.
            records: input records in it.

        Raises:
            OperatorMustDecide: there is no input record in it that could be at fault.
        """
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is not None:
            task, batch = in_hand
            search = self._searches[task]
            search.halve(len(batch))
            if len(batch) == 1:
                self._judge(search, batch, refused)
        elif records and touched:
            for each in touched:
                self._suspect(each, records, is_alone=len(touched) == 1)
            LOGGER.warning(
                "topic %s refuses a record: %s; looking for it among the %d of this transaction",
                refused[0].topic,
                refused[0].reason,
                records,
                extra={"topic": refused[0].topic},
            )
        else:
            raise OperatorMustDecide(
                f"topic '{refused[0].topic}' refuses a record of ours: {refused[0].reason}. Nothing is lost: mend that "
                "topic's settings, then start again"
            )

    def discarded(self) -> None:
        """The open transaction is gone, for another reason."""
        self._in_hand = None

    def committed(self, tasks: Mapping[TaskId, Task]) -> None:
        """A transaction was committed.

        Args:
            tasks: all of the worker.
        """
        in_hand, self._in_hand = self._in_hand, None
        if not self._searches:
            return
        if in_hand is not None and in_hand[0] in self._searches:
            self._searches[in_hand[0]].advance(len(in_hand[1]))
        next_offsets = {p: offset for task in tasks.values() for p, offset in task.committed.next_offsets.items()}
        for search in self._searches.values():
            search.verdicts = {
                (topic, partition, offset): verdict
                for (topic, partition, offset), verdict in search.verdicts.items()
                if next_offsets.get((topic, partition), 0) <= offset
            }
        self._searches = {
            task: search
            for task, search in self._searches.items()
            if any(next_offsets.get(partition, offset) < offset for partition, offset in search.until.items())
        }
        if not self._searches:
            LOGGER.info("all records of the transaction that was refused are dealt with; going on as usual")

    def forget(self, task: TaskId) -> None:
        """It stands still."""
        self._searches.pop(task, None)

    def _suspect(self, task: Task, records: int, *, is_alone: bool) -> None:
        search = self._searches.setdefault(task.id, _Search())
        search.halve(records)
        if not is_alone:
            search.within = 0
        for partition, offset in task.next_offsets.items():
            search.until[partition] = max(offset, search.until.get(partition, 0))

    def _judge(self, search: _Search, batch: SourceBatch, refused: Sequence[RefusedRecord]) -> None:
        place, dead_letters = (batch.topic, batch.partition, batch.offsets[0]), self._dead_letter_topic(batch.topic)
        search.verdicts[place] = search.verdicts.get(place, Verdict()).refused_again(refused, dead_letters)
        output = next((each for each in refused if each.topic != dead_letters), None)
        of_it = "its dead letter" if output is None else "what it came to"
        told = output or refused[0]
        LOGGER.warning(
            "%s[%d]@%d: topic %s refuses %s: %s",
            *place,
            told.topic,
            of_it,
            told.reason,
            extra=dict(zip(("topic", "partition", "offset"), place, strict=True)),
        )

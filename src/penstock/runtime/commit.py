"""The commit sequence. The steps carry the letters of docs/explanation/exactly-once-processing.md.

a. each touched task's changed keys to its changelog partition, its commit record last; its time marks to the
   repartition topics it writes, behind its records there
b. flush, always before the offsets: back to back, send_offsets as the coordinator's first call would wait for the
   previous transaction's markers
c. our membership, read now; one that is no live membership is refused, for the coordinator does not check it
d. a touched task that is not wholly ours any more: the whole transaction is discarded. Its offsets are never just left
   out: its outputs are staged already, and committing them without their offsets would be torn
e. the next offset of *every* source partition of every touched task, unchanged ones too
f. commit
g. only then is the overlay applied
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from penstock.errors import TransactionAborted
from penstock.kafka.consumer import Committed
from penstock.protocols import GroupMetadata, InputOffsets, TransactionHooks
from penstock.runtime.merge import Partition
from penstock.runtime.task import Task, TaskId
from penstock.state.offset_metadata import parse
from penstock.transactions.session import TransactionSession


class Membership(Protocol):
    """What a commit asks of the consumer."""

    def group_metadata(self) -> GroupMetadata:
        """Our membership as of now."""
        ...

    def committed(self, partitions: Sequence[Partition], timeout_s: float) -> dict[Partition, Committed]:
        """The group's stable committed positions."""
        ...


class Committer:
    """Commits what tasks have staged in the session's open transaction.

    Args:
        session: holds the transaction; opened lazily by whoever stages first.
        membership: the consumer.
        changelog_of: the changelog topic of a task group; None where it has none.
        is_ours: whether a partition is in the live assignment.
        hooks: told each step.
    """

    def __init__(
        self,
        session: TransactionSession,
        membership: Membership,
        *,
        changelog_of: Callable[[TaskId], str | None],
        is_ours: Callable[[Partition], bool],
        hooks: TransactionHooks,
    ) -> None:
        self._session = session
        self._hooks = hooks
        self._membership = membership
        self._changelog_of = changelog_of
        self._is_ours = is_ours

    def commit(self, tasks: Sequence[Task], *, claim: bool = False) -> None:
        """Commit the open transaction for these tasks, all that are touched.

        Args:
            tasks: theirs.
            claim: take ownership of them.

        Raises:
            TransactionAborted: nothing became visible; discard.
            OutcomeUnknown: open the session anew, then `settle`.
            Fenced: likewise.
        """
        offsets: dict[Partition, tuple[int, str]] = {}
        for task in tasks:
            prepared = task.prepare(claim=claim)
            changelog = self._changelog_of(task.id)
            if changelog is not None:
                self._hooks.on_step("changelog")
                self._changed(changelog, task, prepared.keys[:-1], prepared.values[:-1])
                self._hooks.on_step("commit record")
                self._changed(changelog, task, prepared.keys[-1:], prepared.values[-1:])
            for marks in prepared.marks:
                self._hooks.on_step("marks")
                marks.hand_to(self._session.producer)
            offsets.update(prepared.offsets)
        self._session.commit(lambda: InputOffsets(offsets, self._live_membership(tasks)))
        self.apply(tasks)

    def _changed(
        self, changelog: str, task: Task, keys: Sequence[bytes | None], values: Sequence[bytes | None]
    ) -> None:
        if keys:  # a claim changes no key
            self._session.producer.produce(changelog, keys, values, partitions=[task.id.partition] * len(keys))

    def _live_membership(self, tasks: Sequence[Task]) -> GroupMetadata:
        """Steps c and d."""
        self._hooks.on_step("metadata")
        group = self._membership.group_metadata()
        if not group.is_live:
            raise TransactionAborted("this worker is no member of its group now; discarding")
        for task in tasks:
            for topic, partition in task.sources:
                if not self._is_ours((topic, partition)):
                    raise TransactionAborted(f"task {task.id}: {topic}[{partition}] was given away; discarding")
        return group

    def apply(self, tasks: Sequence[Task]) -> None:
        """The transaction is committed: make it so in memory."""
        self._hooks.on_step("apply")
        for task in tasks:
            task.apply()

    def settle(self, tasks: Sequence[Task], timeout_s: float) -> bool:
        """Ask the log whether the transaction in doubt was committed; to be called after `session.open()`.

        The sequence in the offsets' metadata decides, task by task; offsets alone cannot, since a transaction may leave
        them as they were.

        Returns:
            Whether it was.

        Raises:
            KafkaUnavailable: the transaction is still pending; ask again.
            TornTransaction: some of it was, or somebody else has committed.
        """
        answers: set[bool] = set()
        for task in tasks:
            found = self._membership.committed(list(task.sources), timeout_s)
            for partition in task.sources:
                committed = found.get(partition)
                metadata = parse(committed.metadata) if committed is not None else None
                sequence = metadata.sequence if metadata is not None else 0
                intended = task.committed.sequence + 1
                is_there = sequence == intended and metadata is not None and metadata.writer == task.writer
                if not is_there and sequence != task.committed.sequence:
                    raise TornTransaction(task.id, intended, sequence)
                answers.add(is_there)
        if len(answers) > 1:
            raise TornTransaction(tasks[0].id, tasks[0].committed.sequence + 1, None)
        return answers == {True}


class TornTransaction(TransactionAborted):
    """The log holds neither the transaction whole nor its absence: another writer, or a broker's failure.

    The tasks are wiped and restored; their cross-check then says what is wrong.
    """

    def __init__(self, task: TaskId, intended: int, found: int | None) -> None:
        what = "differs between partitions" if found is None else f"is {found}"
        if found == intended:
            what += ", by another writer"
        super().__init__(f"task {task}: transaction {intended} was in doubt, and the sequence in the log {what}")

"""How many dead letters of a topic wait for somebody, since when the oldest of them does, and what became of others.

There is no position to ask for: letters are dealt with in any order, and the ledger has a bit for each. So the letters
are read once, and of each that is open its place and its time are kept, 16 bytes; what is new is read on from there.
All of them are gone through only when the ledger has changed, for there may be millions, and a worker runs beside.
What was reopened is read again, with all the rest: that is rare, and nothing needs to be remembered for it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from penstock.deadletter.dead_letter import DeadLetter
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.redrive.ledger import Ledger, read_ledger
from penstock.redrive.letters import DeadLetters

_BUDGET_S: Final = 10.0


class Backlog(NamedTuple):
    """Of one dead-letter topic.

    Attributes:
        letters: that are neither redriven nor dropped.
        oldest_ms: when the oldest of them failed, milliseconds since 1970 UTC; None where there is none.
        redriven: that were redriven, by the ledger, and not reopened; also those that retention has deleted since.
        dropped: likewise.
    """

    letters: int
    oldest_ms: int | None
    redriven: int = 0
    dropped: int = 0


class Fates(Protocol):
    """What became of letters; `ledger.Ledger` knows."""

    def fate(self, partition: int, offset: int) -> str:
        """Of the letter at this place."""
        ...


class OpenLetters:
    """Those of one topic that are open, as far as it was read."""

    def __init__(self) -> None:
        self._offsets: dict[int, array[int]] = {}
        self._times_ms: dict[int, array[int]] = {}
        self.next_offsets: dict[int, int] = {}

    def take(self, letters: Iterable[DeadLetter], fates: Fates) -> None:
        """These were read, in offset order per partition; one that is dealt with is not kept."""
        for letter in letters:
            self.next_offsets[letter.partition] = letter.offset + 1
            if fates.fate(letter.partition, letter.offset) == "open":
                self._offsets.setdefault(letter.partition, array("q")).append(letter.offset)
                self._times_ms.setdefault(letter.partition, array("q")).append(letter.seen_ms)

    def forget_deleted(self, begins: Mapping[int, int]) -> None:
        """What stands in front of these is gone: {partition: where it begins}."""
        for partition, offsets in self._offsets.items():
            gone = bisect_left(offsets, begins.get(partition, 0))
            if gone:
                del offsets[:gone], self._times_ms[partition][:gone]

    def forget_settled(self, fates: Fates) -> None:
        """The ledger has changed: forget what is dealt with. Goes through all of them."""
        for partition, offsets in self._offsets.items():
            times_ms = self._times_ms[partition]
            kept = [place for place, offset in enumerate(offsets) if fates.fate(partition, offset) == "open"]
            if len(kept) < len(offsets):
                self._offsets[partition] = array("q", [offsets[place] for place in kept])
                self._times_ms[partition] = array("q", [times_ms[place] for place in kept])

    @property
    def backlog(self) -> Backlog:
        """Of those that are kept."""
        oldest_ms = [min(times_ms) for times_ms in self._times_ms.values() if times_ms]
        return Backlog(sum(map(len, self._offsets.values())), min(oldest_ms, default=None))


class PipelinesTopics:
    """The dead-letter topics of one pipeline.

    Args:
        connection: the cluster.
        prefix: what their names begin with.
    """

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._connection, self._prefix = connection, prefix
        self._admin: Admin | None = None

    def names(self) -> list[str]:
        """Of those that are there now.

        Raises:
            ServerUnreachable: the cluster does not answer.
        """
        if self._admin is None:
            self._admin = Admin(self._connection, budget_s=_BUDGET_S)
        return sorted(name for name in self._admin.topics() if name.startswith(self._prefix))


class BacklogReader:
    """Looks at one topic, again and again. For one thread.

    Args:
        connection: the cluster.
        topic: of dead letters; it exists.
        ledger: the project's, which need not exist.
    """

    def __init__(self, connection: Connection, topic: str, ledger: str) -> None:
        self._connection, self._topic, self._ledger_topic = connection, topic, ledger
        self._admin = Admin(connection, budget_s=_BUDGET_S)
        self._open = OpenLetters()
        self._ledger = Ledger(topic, "")
        self._ledger_end = 0
        self._reopened = 0

    def look(self) -> Backlog:
        """As of now. Reads what is new.

        Raises:
            PenstockError: the cluster does not answer, or what stands there is no ledger; look again.
        """
        there = self._admin.topics()
        topic_id = self._admin.topic_ids([self._topic])[self._topic]
        if topic_id != self._ledger.topic_id:
            self._open, self._ledger, self._ledger_end = OpenLetters(), Ledger(self._topic, topic_id), 0
        self._read_ledger(self._ledger_topic in there)
        places = [(self._topic, partition) for partition in range(there[self._topic].partitions)]
        begins = {partition: at for (_, partition), at in self._admin.begin_offsets(places).items()}
        ends = {partition: at for (_, partition), at in self._admin.end_offsets(places, "read_committed").items()}
        behind = [partition for partition, end in ends.items() if self._open.next_offsets.get(partition, 0) < end]
        if behind:
            for letters in DeadLetters(self._connection, self._topic, behind).read(self._open.next_offsets):
                self._open.take(letters, self._ledger)
            for partition in behind:  # over markers behind the last letter
                self._open.next_offsets[partition] = max(self._open.next_offsets.get(partition, 0), ends[partition])
        self._open.forget_deleted(begins)
        return self._open.backlog._replace(redriven=self._ledger.redriven, dropped=self._ledger.dropped)

    def _read_ledger(self, is_there: bool) -> None:
        if not is_there:
            return
        place = (self._ledger_topic, 0)
        end = self._admin.end_offsets([place], "read_committed")[place]
        if end == self._ledger_end:
            return
        found = read_ledger(self._connection, self._ledger_topic, self._topic, self._ledger.topic_id)
        self._open.forget_settled(found)
        self._ledger, self._ledger_end = found, end
        reopened = sum(
            run.letters for run in found.runs.values() if run.action == "reopen" and run.topic == self._topic
        )
        if reopened != self._reopened:
            self._reopened, self._open = reopened, OpenLetters()

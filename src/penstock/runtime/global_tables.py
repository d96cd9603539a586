"""Global tables: topics that every task of a worker sees whole.

Each worker reads them for itself, by a consumer that joins no group, and keeps the latest bytes of each key in memory.
No task begins before every partition was read to its end; from then on, what comes in is there at the worker's next
step. That is no part of the exactly-once order: a record that is processed again may meet a newer value.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from penstock.clock import Clock
from penstock.deadletter.dead_letter import is_for_others
from penstock.errors import OperatorMustDecide, UndecodableRecord
from penstock.kafka.reader import BEGINNING, RawRecord
from penstock.runtime.merge import Partition
from penstock.schemas.topic import BoundTopic

_BOOTSTRAP_SLICE_S: Final = 0.2
_WAIT_S: Final = 0.02


class TableReader(Protocol):
    """What is asked of the consumer; `kafka.reader.Reader` on a real cluster."""

    @property
    def at_end(self) -> Collection[Partition]:
        """Partitions that have no more now."""
        ...

    def assign(self, starts: Mapping[Partition, int]) -> None:
        """Read these partitions from these positions."""
        ...

    def poll(self, timeout_s: float) -> list[RawRecord]:
        """The next committed records."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class TableContent:
    """One global table: `operators.operator.GlobalContent`.

    Keys are decoded when they come in; values when they are asked for, so that what is given is the caller's own.

    Args:
        name: of its node, for messages.
        bound: its topic.
        consumer_group: of the pipeline.

    Attributes:
        name: see there.
    """

    def __init__(self, name: str, bound: BoundTopic[Any, Any], consumer_group: str = "") -> None:
        self.name = name
        self._consumer_group = consumer_group
        self._bound = bound
        self._values: dict[Any, bytes] = {}

    def __len__(self) -> int:
        """Number of keys."""
        return len(self._values)

    def take(self, records: Sequence[RawRecord]) -> None:
        """Fold the next records in, in their order.

        Raises:
            OperatorMustDecide: a record without a key, or with one that cannot be decoded.
            RegistryUnavailable: nothing was taken; call again.
        """
        # What was redriven for another group was taken when it came first, and may be older than what is here now.
        records = [record for record in records if not is_for_others(record.headers, self._consumer_group)]
        decoded = self._bound.decode_keys([record.key for record in records])
        for index, (key, record) in enumerate(zip(decoded.values, records, strict=True)):
            if key is None:
                why = decoded.failures[index].args[0] if index in decoded.failures else "it has none"
                raise OperatorMustDecide(
                    f"{record.topic}[{record.partition}]@{record.offset}: global table '{self.name}' cannot read the "
                    f"key ({why}): mend the declaration of the topic, or delete the record"
                )
            if record.value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = record.value

    def find(self, keys: Sequence[Any]) -> list[Any]:
        """The values of these keys, each the caller's own; None where there is none.

        Raises:
            UndecodableRecord: the table's record under one of them cannot be read.
            RegistryUnavailable: retry the same call.
        """
        found: list[Any] = [None if key is None else self._values.get(key) for key in keys]
        places = [index for index, value in enumerate(found) if value is not None]
        decoded = self._bound.decode_values([found[index] for index in places])
        for index, failure in decoded.failures.items():
            raise UndecodableRecord(
                f"what global table '{self.name}' holds for it cannot be read: {failure.args[0]}",
                reason=failure.reason,
                schema_id=failure.schema_id,
                index=places[index],
            )
        for index, value in zip(places, decoded.values, strict=True):
            found[index] = value
        return found


class GlobalTables:
    """All global tables of a worker.

    Args:
        reader: reads their topics, and nothing else.
        contents: {topic: the tables of it}.
        partitions: {topic: how many}.
        clock: bounds a step.
    """

    def __init__(
        self,
        reader: TableReader,
        contents: Mapping[str, TableContent],
        partitions: Mapping[str, int],
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._contents = contents
        self._clock = clock
        self._behind: set[Partition] = {(topic, p) for topic in contents for p in range(partitions[topic])}
        self._untaken: list[RawRecord] = []
        reader.assign(dict.fromkeys(self._behind, BEGINNING))

    @property
    def by_name(self) -> dict[str, TableContent]:
        """{name of a table's node: what it holds}."""
        return {content.name: content for content in self._contents.values()}

    @property
    def is_ready(self) -> bool:
        """Whether each partition was read to its end once."""
        return not self._behind

    def step(self) -> None:
        """Take what has come in; while a partition's end was not reached yet, for a while.

        Raises:
            OperatorMustDecide: see `TableContent.take`.
            RegistryUnavailable: call again; nothing is lost.
        """
        until_s = self._clock.monotonic_s() + _BOOTSTRAP_SLICE_S
        while self._take(0.0 if self.is_ready else _WAIT_S) or not self.is_ready:
            if self._clock.monotonic_s() >= until_s:
                return

    def close(self) -> None:
        """Let go of the connections."""
        self._reader.close()

    def _take(self, timeout_s: float) -> bool:
        """Take the next records; whether there were any."""
        if not self._untaken:
            self._untaken = self._reader.poll(timeout_s)
        records = self._untaken
        for topic, content in self._contents.items():
            content.take([record for record in records if record.topic == topic])
        self._untaken = []
        self._behind.difference_update(self._reader.at_end)
        return bool(records)

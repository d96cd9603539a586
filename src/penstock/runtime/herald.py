"""Tells the tasks behind a repartition topic how far in event time a task in front of it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.operators.repartition_records import MARK_HEADERS, TimeMark, encode_mark
from penstock.runtime.staged import OutputBatch


@dataclass(frozen=True, slots=True)
class Herald:
    """Makes one task's time marks.

    Attributes:
        task: its number.
        tasks: how many its group has.
        topics: {repartition topic: partitions} that the group writes.
    """

    task: int
    tasks: int
    topics: Mapping[str, int]

    def marks(self, stream_time_ms: int, timestamp_ms: int) -> list[OutputBatch]:
        """A mark for every partition, to be produced behind the transaction's records.

        Args:
            stream_time_ms: the task's, behind these records.
            timestamp_ms: Kafka's, of the marks: that of the last record dealt with, so that a task which merges its
                inputs by timestamp waits for nothing on account of a mark.
        """
        value = encode_mark(TimeMark(task=self.task, tasks=self.tasks, stream_time_ms=stream_time_ms))
        return [
            OutputBatch(
                topic,
                [None] * partitions,
                [value] * partitions,
                [timestamp_ms] * partitions,
                list(range(partitions)),
                [MARK_HEADERS] * partitions,
            )
            for topic, partitions in self.topics.items()
        ]

"""`to`: writes records to a topic."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.operators.writing import encoded
from penstock.topology.node import AnyTopic, slug


@dataclass(frozen=True, slots=True, eq=False)
class To(Operator):
    """Encodes keys and values for the topic; timestamps are Kafka's of the input, headers as they stand."""

    kind = "to"
    is_end = True

    topic: AnyTopic

    @property
    def writes(self) -> AnyTopic:
        """The topic."""
        return self.topic

    @property
    def suggested_name(self) -> str:
        """After the topic."""
        return f"to-{slug(self.topic.name)}"[:63].strip("-")

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run; gives a batch of bytes."""
        del place
        opened = task.topics[self.topic.name]

        def run(batch: AnyBatch) -> AnyBatch:
            return encoded(batch, opened, task.clock)

        return run

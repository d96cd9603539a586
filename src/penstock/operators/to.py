"""`to`: writes records to a topic."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.errors import UnencodableValue
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext
from penstock.record import Headers
from penstock.topology.node import AnyTopic, slug

RESERVED_HEADERS = "penstock."


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
        bound, bounds, clock = opened.bound, opened.bounds, task.clock

        def run(batch: AnyBatch) -> AnyBatch:
            encoded = batch.with_keys(bound.encode_keys(batch.keys)).with_values(bound.encode_values(batch.values))
            if batch.headers is not None:
                _check_headers(batch.headers)
            bounds.check(encoded, bound.topic.name, clock.now_ms())
            return encoded

        return run


def _check_headers(headers: list[Headers]) -> None:
    for index, row in enumerate(headers):
        for name, _ in row:
            if name.startswith(RESERVED_HEADERS):
                raise UnencodableValue(
                    f"headers that begin with '{RESERVED_HEADERS}' are penstock's own; name it otherwise",
                    field="headers",
                    index=index,
                    reason="header",
                )

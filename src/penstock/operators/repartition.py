"""`key_by` and `repartition`: records go through a topic to the task of their key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.errors import UnencodableValue
from penstock.operators.operator import AnyBatch, Operator, Place, Run, TaskContext, no_key
from penstock.operators.repartition_records import headers_of
from penstock.operators.writing import encoded
from penstock.topology.node import AnyTopic


@dataclass(frozen=True, slots=True, eq=False)
class Repartition(Operator):
    """Writes records under the keys they have; what stands behind it reads them from there, in another task.

    Timestamps are Kafka's of the input; event time and the input's coordinates travel as headers.
    """

    kind = "repartition"
    is_cut = True

    topic: AnyTopic | None
    """None only where it could not be made; then the graph has a problem and never runs."""

    @property
    def writes(self) -> AnyTopic | None:
        """The repartition topic, by its name without the project's prefix."""
        return self.topic

    def settings(self) -> Mapping[str, str]:
        """The number of partitions, where it was said."""
        if self.topic is None or self.topic.partitions is None:
            return {}
        return {"partitions": str(self.topic.partitions)}

    def open(self, task: TaskContext, place: Place) -> Run:
        """Ready to run; gives a batch of bytes."""
        if self.topic is None:
            raise RuntimeError(f"'{place.name}' was opened without a topic; please report this")
        opened = task.topics[self.topic.name]
        rekeyed = self._rekeyed(place)

        def run(batch: AnyBatch) -> AnyBatch:
            try:
                return encoded(rekeyed(batch), opened, task.clock, headers_of(batch, task.source))
            except UnencodableValue as err:
                if err.reason != "misfit":
                    raise
                told = f"{err}; if it is not this record's fault, say the type by key= or value= of '{place.name}'"
                raise UnencodableValue(told, field=err.field, index=err.index, reason=err.reason) from err

        return run

    def _rekeyed(self, place: Place) -> Run:
        del place
        return lambda batch: batch


@dataclass(frozen=True, slots=True, eq=False)
class KeyBy(Repartition):
    """As `Repartition`, under the keys that a function gives for the values. A record that is given none fails."""

    kind = "key-by"

    function: Callable[[Any], Any]

    def _rekeyed(self, place: Place) -> Run:
        function = self.function

        def rekeyed(batch: AnyBatch) -> AnyBatch:
            keys = list(map(function, batch.values))
            if None in keys:
                raise no_key(place)
            return batch.with_keys(keys)

        return rekeyed

"""A metric as a fact: its name, what it counts, and by which labels it is told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["counter", "gauge", "histogram"]

LABELS: Final = frozenset(
    {
        "pipeline", "stage", "topic", "partition", "outcome", "reason", "error", "kind", "status", "task_group",
        "group", "cluster", "clock", "isolation", "version", "commit", "librdkafka", "api", "state", "op",
        "client", "subject", "producer",
        "dlq_topic", "store", "generation",
        "consumergroup", "cluster_name",  # of other exporters, and nowhere else
    }
)  # fmt: skip
"""All that a label may be. Never one of these: key, offset, schema id, member id, the text of an error: each of their
values would be a series for ever."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the catalogue.

    Attributes:
        name: in Prometheus' form: base unit and `_total` at the end.
        kind: counter, gauge or histogram.
        labels: names, in the order in which values are given.
        help: one sentence.
        buckets: upper edges of a histogram, ascending, without +Inf.
        values: {label: all that it can be} of closed labels.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __str__(self) -> str:
        """The name, so that it can stand in a query."""
        return self.name

    @property
    def series(self) -> tuple[str, ...]:
        """The names that stand in front of the values."""
        if self.kind != "histogram":
            return (self.name,)
        return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")

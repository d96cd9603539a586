"""The pipelines of the demo, with the topics they read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SLOTS: Final = 3
"""Workers of a pipeline at most."""


def instance(slot: int) -> str:
    """The name of the place where a worker runs; each has one of its own."""
    return f"demo-{slot}"


@dataclass(frozen=True, slots=True)
class PipelineInDemo:
    """A pipeline with the topics it reads and writes; its name is its consumer group's.

    Attributes:
        name: of the pipeline.
        inputs: topics; the first one gives its tasks their name.
        outputs: likewise.
        keyed_anew: by which its records find their way to further tasks, through a topic each.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    keyed_anew: tuple[str, ...] = ()

    @property
    def repartition_topics(self) -> tuple[str, ...]:
        """What it both writes and reads."""
        return tuple(f"{self.name}.{key}.repartition" for key in self.keyed_anew)

    @property
    def read_topics(self) -> tuple[str, ...]:
        """All that its group has offsets in."""
        return (*self.inputs, *self.repartition_topics)

    @property
    def dead_letter_topics(self) -> tuple[str, ...]:
        """One for each input; what fails behind a repartition topic has one of its own."""
        return tuple(f"dlq.{self.name}.{topic}" for topic in self.inputs) + tuple(
            f"dlq.{topic}" for topic in self.repartition_topics
        )

    @property
    def changelog(self) -> str:
        """The topic that the state of its first tasks is restored from."""
        return f"{self.name}.{self.inputs[0]}.changelog"

    @property
    def written(self) -> tuple[str, ...]:
        """All that a transaction of its workers writes to."""
        behind = tuple(f"{self.name}.{key}.changelog" for key in self.keyed_anew)
        return (*self.outputs, *self.dead_letter_topics, *self.repartition_topics, self.changelog, *behind)

    def transactional_id(self, slot: int) -> str:
        """Of the worker in that slot."""
        return f"{self.name}.{instance(slot)}.0"

    @property
    def transactional_ids(self) -> tuple[str, ...]:
        """Of all workers that it may have."""
        return tuple(self.transactional_id(slot) for slot in range(SLOTS))


FLIGHT_STATUS = PipelineInDemo("flight-status", ("flights", "planes"), ("flight-status", "cancelled-flights"))
AIRCRAFT_ROTATION = PipelineInDemo("aircraft-rotation", ("flights",), ("aircraft-rotations",))
CARRIER_TOTALS = PipelineInDemo(
    "carrier-totals", ("flights",), ("carrier-totals", "route-totals"), ("by-carrier", "by-route")
)
AIRPORT_BALANCE = PipelineInDemo("airport-balance", ("flights",), ("airport-balances",), ("by-airport",))

FOLDED = (FLIGHT_STATUS, AIRCRAFT_ROTATION)
"""What they come to is known after each commit: each task's output follows from its own input alone."""
TOTALLED = (CARRIER_TOTALS, AIRPORT_BALANCE)
"""What they come to is known in the end: in which order records of several tasks arrive behind a new key is open."""
PIPELINES = (*FOLDED, *TOTALLED)

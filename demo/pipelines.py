"""The pipelines of the demo, with the topics they read and write."""

from __future__ import annotations

from dataclasses import dataclass

INSTANCE = "demo"
"""Part of the workers' names."""


@dataclass(frozen=True, slots=True)
class PipelineInDemo:
    """A pipeline with the topics it reads and writes; its name is its consumer group's.

    Attributes:
        name: of the pipeline.
        inputs: topics; the first one gives its tasks their name.
        outputs: likewise.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def dead_letter_topics(self) -> tuple[str, ...]:
        """One for each input."""
        return tuple(f"dlq.{self.name}.{topic}" for topic in self.inputs)

    @property
    def changelog(self) -> str:
        """The topic that its state is restored from."""
        return f"{self.name}.{self.inputs[0]}.changelog"

    @property
    def written(self) -> tuple[str, ...]:
        """All that a transaction of its worker writes to."""
        return (*self.outputs, *self.dead_letter_topics, self.changelog)

    @property
    def transactional_id(self) -> str:
        """Of its one worker."""
        return f"{self.name}.{INSTANCE}.0"


FLIGHT_STATUS = PipelineInDemo("flight-status", ("flights", "planes"), ("flight-status", "cancelled-flights"))
AIRCRAFT_ROTATION = PipelineInDemo("aircraft-rotation", ("flights",), ("aircraft-rotations",))
PIPELINES = (FLIGHT_STATUS, AIRCRAFT_ROTATION)

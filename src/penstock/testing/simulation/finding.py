"""What is wrong with what a scenario has left: the history checker's verdicts, and workers that did not go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.history import Kind, judged
from penstock.testing.simulation.model import model_of
from penstock.testing.simulation.recorded import history_of
from penstock.testing.simulation.scenario import Scenario
from penstock.testing.simulation.shape import PIPELINE

LEFT_BEHIND: Final = "left behind"
"""The history checker's too: there are records that the group has not dealt with (`history.behind`)."""

_PROMISED_AT_LEAST_ONCE: Final = frozenset(
    {Kind.LOST, Kind.SILENT_DROP, Kind.PHANTOM, Kind.WRONG_VALUE, Kind.ABORTED_READ, Kind.OUTPUT_AND_DEAD_LETTER}
)
"""What work that is done again excuses is not among them: duplicates, and what stands in no one transaction."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: a verdict of the history checker, by its name, or what became of the workers: `stands still` = there is
            work, and it is not done; `stopped` = an operator must decide; `broken` = an error that is nobody's.
        told: the evidence.
        is_in_the_logs: the history checker has found it there.
    """

    name: str
    told: str
    is_in_the_logs: bool = False

    def __str__(self) -> str:
        """For messages."""
        return f"{self.name}: {self.told}"


def findings(cluster: SimulatedCluster, scenario: Scenario) -> list[Finding]:
    """What the history checker says of a cluster on which nothing is open any more; empty = nothing is wrong."""
    verdicts, left = judged(history_of(cluster, PIPELINE), model_of(scenario.shape))
    if scenario.guarantee == "at_least_once":
        verdicts = [verdict for verdict in verdicts if verdict.kind in _PROMISED_AT_LEAST_ONCE]
    found = [Finding(verdict.kind.value, str(verdict), is_in_the_logs=True) for verdict in verdicts]
    told = ", ".join(f"{count} records of {place}" for place, count in left.items())
    return [*found, *([Finding(LEFT_BEHIND, told, is_in_the_logs=True)] if left else [])]

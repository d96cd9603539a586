"""Which tasks a set of partitions makes up, and which of them are torn between workers.

A task is one partition number of all topics that its group reads; it runs where all of these are. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from penstock.errors import ConfigurationError
from penstock.runtime.merge import Partition
from penstock.runtime.task import TaskId
from penstock.topology.topology import Topology


class Assignment:
    """The tasks of a topology.

    Args:
        topology: whose.
        partitions: {topic on the cluster: how many it has}.
        name: what a topic of the topology is called on the cluster; None = as in the topology.

    Attributes:
        tasks: {task: its partitions, in the order that decides ties}.
    """

    def __init__(
        self, topology: Topology, partitions: Mapping[str, int], name: Callable[[str], str] | None = None
    ) -> None:
        self.tasks: dict[TaskId, tuple[Partition, ...]] = {}
        self._partitions = partitions
        for group in topology.groups.values():
            names = [topic.name if name is None else name(topic.name) for topic in group.input_topics]
            for number in range(max(partitions[name] for name in names)):
                self.tasks[TaskId(group.name, number)] = tuple(
                    (name, number) for name in names if number < partitions[name]
                )

    def complete(self, assigned: Collection[Partition]) -> dict[TaskId, tuple[Partition, ...]]:
        """The tasks all of whose partitions are there."""
        held = set(assigned)
        return {task_id: sources for task_id, sources in self.tasks.items() if held.issuperset(sources)}

    def split(self, assigned: Collection[Partition]) -> dict[TaskId, tuple[Partition, ...]]:
        """The tasks that have some of their partitions there and some not; with those that are missing."""
        held = set(assigned)
        missing = {
            task_id: tuple(p for p in sources if p not in held)
            for task_id, sources in self.tasks.items()
            if held.intersection(sources)
        }
        return {task_id: partitions for task_id, partitions in missing.items() if partitions}

    def check(self, assigned: Collection[Partition]) -> None:
        """Whether an assignment that is final tears no task.

        Raises:
            ConfigurationError: it tears some; they could not run anywhere.
        """
        split = self.split(assigned)
        if not split:
            return
        task_id, missing = next(iter(split.items()))
        counts = {name: self._partitions[name] for name, _ in self.tasks[task_id]}
        told = ", ".join(f"'{name}' has {count}" for name, count in counts.items())
        raise ConfigurationError(
            f"task {task_id} can run nowhere: another worker has {', '.join(f'{t}[{p}]' for t, p in missing)} of it. "
            f"Its topics are read together, so several workers need equally many partitions in each: {told}. Run one "
            "worker only, or publish one of them anew into a topic with as many as the other"
        )


def needs_copartitioning(topology: Topology) -> bool:
    """Whether some task needs the same partition of several topics on one worker."""
    return any(len(group.inputs) > 1 for group in topology.groups.values())

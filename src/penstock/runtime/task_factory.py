"""Makes tasks out of a topology: which there are, their way back from the log, and what goes on beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from penstock.deadletter.topic import DeadLetterTopic
from penstock.errors import ServerUnreachable
from penstock.kafka.consumer import Committed
from penstock.kafka.extents import Extent
from penstock.kafka.group_view import Answer, Asked
from penstock.operators.operator import OpenTopic
from penstock.runtime.assignment import Assignment
from penstock.runtime.changelog_reader import PartitionReader
from penstock.runtime.checkpoints import Checkpoints
from penstock.runtime.clients import GroupQuestions
from penstock.runtime.global_tables import GlobalTables
from penstock.runtime.herald import Herald
from penstock.runtime.internal_topics import PipelineTopics, renew_bounds
from penstock.runtime.lineage import Lineage
from penstock.runtime.merge import Partition
from penstock.runtime.program import Program
from penstock.runtime.purge import Purge
from penstock.runtime.restore import Restore, Restored
from penstock.runtime.savepoint import SavepointLogic
from penstock.runtime.staging import LOGGER
from penstock.runtime.task import Task, TaskId
from penstock.runtime.task_checkpoint import TaskCheckpoint
from penstock.schemas.serdes import AvroSerde
from penstock.schemas.topic import Topic
from penstock.state.task_state import TaskState
from penstock.topology.groups import TaskGroup, upstream_groups
from penstock.topology.node import AnyTopic
from penstock.topology.topology import Topology

if TYPE_CHECKING:
    from penstock.runtime.opening import WorkerSurroundings

_BOUNDS_BUDGET_S: Final = 5.0


class TaskFactory:
    """`worker.Tasks` for one topology on one cluster.

    Args:
        topology: what to run.
        topics: as they were found.
        around: see there.
        writer: our `transactional.id`.
        view: of the group.
        checkpoints: of tasks with state; None = neither read nor written.
        lineage: what was deployed before; None = no other topology has ever run here.
        purge: of the repartition topics; None = they are kept whole.
        global_tables: all of the topology's; None where it has none.
    """

    def __init__(
        self,
        topology: Topology,
        topics: PipelineTopics,
        around: WorkerSurroundings,
        writer: str,
        view: GroupQuestions,
        checkpoints: Checkpoints | None = None,
        lineage: Lineage | None = None,
        *,
        purge: Purge | None = None,
        global_tables: GlobalTables | None = None,
    ) -> None:
        self._view = view
        self._assignment = Assignment(topology, topics.partitions, topics.name)
        self._topology = topology
        self._topics = topics
        self._around = around
        self._writer = writer
        self._checkpoints = checkpoints
        self._lineage = lineage
        self._purge = purge
        self._global_tables = global_tables
        self._has_schemas = {
            topics.name(topic.name): (isinstance(topic.key, AvroSerde), isinstance(topic.value, AvroSerde))
            for topic in topology.topics.values()
        }
        self._open = {name: self._opened(topic) for name, topic in topology.topics.items()}
        self._starts = {
            node.source.topic.name: node.source.start
            for group in topology.groups.values()
            for node in group.sources
            if node.source is not None
        }

    def _opened(self, topic: AnyTopic) -> OpenTopic:
        name = self._topics.name(topic.name)
        is_ours = topic.name in self._topics.repartitions
        if is_ours:
            topic = Topic(name, key=topic.key, value=topic.value, tombstones=topic.tombstones)
        # A topic of ours has subjects of ours: nobody else would register them.
        bound = topic.bind(self._around.registry, auto_register=self._around.auto_register or is_ours)
        return OpenTopic(bound, self._topics.partitions[name], self._topics.bounds[name])

    def complete(self, assigned: set[Partition]) -> dict[TaskId, tuple[Partition, ...]]:
        """The tasks all of whose partitions are there; none while a global table was not read to its end."""
        if self._global_tables is not None and not self._global_tables.is_ready:
            return {}
        return self._assignment.complete(assigned)

    def check(self, assigned: set[Partition]) -> None:
        """Whether an assignment that is final tears no task.

        Raises:
            ConfigurationError: it tears some; they could not run anywhere.
        """
        self._assignment.check(assigned)

    def stable_offsets(self, partitions: tuple[Partition, ...]) -> Answer[Mapping[Partition, Committed]]:
        """Ask for the group's stable offsets, without waiting."""
        return self._view.stable_offsets(partitions)

    def tend(self, tasks: Iterable[Task]) -> None:
        """Read global tables, purge repartition topics.

        Raises:
            OperatorMustDecide: a record of a global table has no key that could be read.
            RegistryUnavailable: call again.
        """
        if self._global_tables is not None:
            self._global_tables.step()
        if self._purge is not None:
            self._purge.step(tasks)

    def starved(self, stopped: Collection[TaskId]) -> set[TaskId]:
        """The tasks that get no more input, because all that write for them have stopped, or starve themselves."""
        silent = set(stopped)
        writers = upstream_groups(self._topology.groups.values())
        waiting = [group for group in self._topology.groups.values() if not group.sources]
        for _ in waiting:  # as often as the longest chain could need
            for group in waiting:
                upstream = {self._topology.groups[writers[node.name]] for node in group.upstream_cuts}
                if all(silent.issuperset(self._tasks_of(each)) for each in upstream):
                    silent.update(self._tasks_of(group))
        return silent - set(stopped)

    def _tasks_of(self, group: TaskGroup) -> list[TaskId]:
        return [TaskId(group.name, number) for number in range(self._topics.tasks(group))]

    def restore(self, task_id: TaskId, sources: tuple[Partition, ...]) -> Restore:
        """Begin to bring a task back from the log.

        Raises:
            CheckpointHeld: not yet.
        """
        kafka, clock = self._around.kafka, self._around.clock
        changelog = self.changelog_of(task_id)
        reader: PartitionReader | None = None
        stored: TaskCheckpoint | None = None
        if changelog is not None:
            place = (changelog, task_id.partition)
            reader = PartitionReader(
                lambda: kafka.reader(f"{self._writer}.restore"),
                place,
                Asked(lambda: self._view.extent(place), clock.monotonic_s),
            )
            if self._checkpoints is not None:
                stored = self._checkpoints.open(task_id, changelog, sources)
        offsets = Asked(lambda: self.stable_offsets(sources), clock.monotonic_s)
        extents = Asked(lambda: self._view.extents(sources), clock.monotonic_s)
        return Restore(
            task_id,
            sources,
            committed=lambda _: offsets.get(),
            first_offsets=lambda: {place: self._first_offset(place, extent) for place, extent in extents.get().items()},
            changelog=reader,
            stored=stored,
            clock=clock,
            lineage=self._lineage,
        )

    def _first_offset(self, source: Partition, extent: Extent) -> int:
        is_earliest = self._starts.get(source[0], "earliest") == "earliest"
        return extent.begin if is_earliest else extent.last_stable

    def start(self, task_id: TaskId, sources: tuple[Partition, ...], restored: Restored) -> Task:
        """The task, its processors open."""
        state = restored.state if restored.state is not None else TaskState()
        group = self._topology.groups[task_id.group]
        contents = {} if self._global_tables is None else self._global_tables.by_name
        program = Program(
            group,
            self._open,
            state,
            self._around.clock,
            task_id.partition,
            contents,
            consumer_group=self._around.group(self._topology),
        )
        program.open()
        tables = {node.source.topic.name for node in group.sources if node.source is not None and node.operation.stores}
        return Task(
            task_id,
            sources,
            SavepointLogic(program, state, self._around.clock, self._around.limits.parking),
            restored.state,
            restored.progress,
            writer=self._writer,
            topology=self._topology.fingerprint,
            checkpoint=restored.checkpoint,
            tables=[partition for partition in sources if partition[0] in tables],
            herald=self._herald(group, task_id.partition),
        )

    def _herald(self, group: TaskGroup, partition: int) -> Herald | None:
        names = [self._topics.name(node.input_topic.name) for node in group.cuts if node.input_topic is not None]
        topics = {name: self._topics.partitions[name] for name in names}
        return Herald(partition, self._topics.tasks(group), topics) if topics else None

    def changelog_of(self, task_id: TaskId) -> str | None:
        """Its changelog topic; None for a group with nothing to remember."""
        return self._topics.changelogs.get(task_id.group)

    def dead_letter_topic(self, source: str) -> DeadLetterTopic:
        """Where a source's dead letters go."""
        name = self._topics.dead_letters[source]
        most = self._topics.bounds[name].max_record_bytes
        return DeadLetterTopic(name, self._topics.partitions[name], most, *self._has_schemas[source])

    def renew_bounds(self) -> None:
        """Ask anew what the topics take; if Kafka does not say, what was known before holds."""
        try:
            renew_bounds(self._around.kafka.admin(_BOUNDS_BUDGET_S), self._topics.bounds)
        except ServerUnreachable as exc:
            LOGGER.warning("what the topics take is not answered: %s", exc)

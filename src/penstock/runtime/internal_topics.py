"""The topics of a pipeline: those of the user are looked at, ours are made where they are missing and looked at too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from penstock.deadletter.topic import ANY_TIME, dead_letter_topic
from penstock.errors import ConfigurationError
from penstock.kafka.admin import TopicSettings
from penstock.operators.topic_bounds import TopicBounds
from penstock.runtime.clients import TopicAdmin
from penstock.runtime.partition_counts import PartitionCounts
from penstock.topology.groups import TaskGroup
from penstock.topology.node import Node
from penstock.topology.topology import Topology

CLIENT_MAX_BYTES = 1_000_000
OVERHEAD_BYTES = 512
_ANY_DISTANCE_MS = 2**62  # the default of what is unbounded is Java's largest long

UNTIL_PURGED: Final = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "CreateTime",
    **ANY_TIME,
}
"""Settings of a repartition topic: what was not processed yet stays, however old its timestamp."""


@dataclass(frozen=True, slots=True)
class PipelineTopics:
    """What a worker found or made; topics by their names on the cluster.

    Attributes:
        partitions: {topic: how many} of everything that is read or written.
        bounds: {topic: what it takes}; brought up to date by `renew_bounds`.
        changelogs: {task group: changelog topic} of the groups with something to remember.
        dead_letters: {topic that is read: dead-letter topic}.
        sinks: what the task groups write, repartition topics too.
        repartitions: {repartition topic by its name in the topology: by its name on the cluster}.
    """

    partitions: Mapping[str, int]
    bounds: Mapping[str, TopicBounds]
    changelogs: Mapping[str, str]
    dead_letters: Mapping[str, str]
    sinks: tuple[str, ...] = ()
    repartitions: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def written(self) -> list[tuple[str, int]]:
        """Every partition that the pipeline writes."""
        names = [*self.sinks, *self.changelogs.values(), *self.dead_letters.values()]
        return [(name, partition) for name in names for partition in range(self.partitions[name])]

    def name(self, topic: str) -> str:
        """The name on the cluster of a topic of the topology."""
        return self.repartitions.get(topic, topic)

    def inputs(self, group: TaskGroup) -> list[str]:
        """What a group reads, in the order that decides ties."""
        return [self.name(topic.name) for topic in group.input_topics]

    def tasks(self, group: TaskGroup) -> int:
        """How many tasks a group has."""
        return max(self.partitions[name] for name in self.inputs(group))


def changelog_topic(pipeline: str, group: TaskGroup, partitions: int, prefix: str) -> TopicSettings:
    """A task group's changelog: compacted, never deleted from, one partition per task."""
    return TopicSettings(
        f"{prefix}{pipeline}.{group.name}.changelog",
        partitions=partitions,
        config={"cleanup.policy": "compact", **ANY_TIME},
    )


def ensure_topics(admin: TopicAdmin, topology: Topology, prefix: str) -> PipelineTopics:
    """Make what is missing, refuse what does not fit.

    Sources must be there; sinks are made as they are declared.

    Raises:
        ConfigurationError: everything that does not fit, at once.
        ServerUnreachable: Kafka does not answer.
    """
    there = {name: topic.partitions for name, topic in admin.topics().items()}
    sources = [node.source.topic.name for node in topology.nodes if node.source is not None]
    _refuse(
        topology,
        [
            f"topic '{name}' is read, and is not there: create it, or run its producer"
            for name in dict.fromkeys(sources)
            if name not in there
        ],
    )
    counts = PartitionCounts(topology, there, prefix)
    _refuse(topology, list(counts.problems()))
    between = topology.repartition_topics
    sinks = [
        TopicSettings(topic.name, topic.partitions or 1, config=topic.config)
        for name, topic in topology.topics.items()
        if name not in there and name not in between
    ]
    ours = _Ours.of(topology, counts, prefix)
    _refuse(topology, list(ours.problems(there)))
    admin.create([*sinks, *ours.all()])
    return _described(admin, topology, ours)


@dataclass(frozen=True, slots=True)
class _Ours:
    """Internal topics as they are to be: dead letters and repartition topics by what the topology calls them."""

    repartitions: dict[str, TopicSettings]
    changelogs: dict[str, TopicSettings]
    dead_letters: dict[str, TopicSettings]

    @staticmethod
    def of(topology: Topology, counts: PartitionCounts, prefix: str) -> _Ours:
        ours = _Ours({}, {}, {})
        for group in topology.groups.values():
            if group.has_changelog:
                ours.changelogs[group.name] = changelog_topic(topology.name, group, counts.tasks(group), prefix)
            for node in group.inputs:
                ours.add(topology.name, node, counts.of(node), prefix)
        return ours

    def add(self, pipeline: str, node: Node, partitions: int, prefix: str) -> None:
        """What an input needs."""
        if node.input_topic is None:
            return
        name = node.input_topic.name
        if node.source is None:
            self.repartitions[name] = TopicSettings(prefix + name, partitions=partitions, config=UNTIL_PURGED)
        origin = f"{pipeline}.{name}" if node.source is not None else name  # its own begins with the pipeline's already
        self.dead_letters[name] = dead_letter_topic(origin, partitions, prefix)

    def all(self) -> list[TopicSettings]:
        return [*self.repartitions.values(), *self.changelogs.values(), *self.dead_letters.values()]

    def problems(self, there: Mapping[str, int]) -> Iterator[str]:
        for name, count in Counter(settings.name for settings in self.all()).items():
            if count > 1:
                yield f"{count} topics of ours would be named '{name}'; give a repartition or a source another name="
        for settings in self.changelogs.values():
            found = there.get(settings.name, settings.partitions)
            if found != settings.partitions:
                yield (
                    f"changelog '{settings.name}' has {found} partitions and what its group reads has "
                    f"{settings.partitions}: an input was given more partitions, so keys have moved away from their "
                    "state. Begin anew under another pipeline name, and put .repartition(n, name=...) in front of the "
                    "first step that keeps state: from then on the input's partitions move no keys"
                )


def _described(admin: TopicAdmin, topology: Topology, ours: _Ours) -> PipelineTopics:
    between = {name: settings.name for name, settings in ours.repartitions.items()}
    everywhere = (node.source.topic.name for node in topology.global_tables if node.source is not None)
    theirs = (*(between.get(name, name) for name in topology.topics), *everywhere)
    names = list(dict.fromkeys([*theirs, *(settings.name for settings in ours.all())]))
    there = admin.described(names)
    config = admin.topic_config(names)
    problems = [
        f"changelog '{settings.name}' has cleanup.policy={config[settings.name].get('cleanup.policy')}, not compact: "
        "state would be deleted with time"
        for settings in ours.changelogs.values()
        if config[settings.name].get("cleanup.policy") != "compact"
    ]
    problems += [line for settings in ours.repartitions.values() for line in _settings(settings, config[settings.name])]
    _refuse(topology, problems)
    return PipelineTopics(
        partitions={name: there[name].partitions for name in names},
        bounds={name: bounds_of(config[name]) for name in names},
        changelogs={group: settings.name for group, settings in ours.changelogs.items()},
        dead_letters={between.get(name, name): settings.name for name, settings in ours.dead_letters.items()},
        sinks=tuple({between.get(t.name, t.name): None for g in topology.groups.values() for t in g.sink_topics}),
        repartitions=between,
    )


def _settings(wanted: TopicSettings, found: Mapping[str, str]) -> Iterator[str]:
    for name, value in wanted.config.items():
        if name in found and found[name] != value:  # brokers before 3.6 do not know all of them
            yield (
                f"repartition topic '{wanted.name}' has {name}={found[name]}, and needs {value}: records on their way "
                "between two tasks would be lost; alter the topic, or let it be made anew once it is read to its end"
            )


def _refuse(topology: Topology, problems: Sequence[str]) -> None:
    if problems:
        raise ConfigurationError("\n".join([f"pipeline '{topology.name}':", *(f"  - {line}" for line in problems)]))


def renew_bounds(admin: TopicAdmin, bounds: Mapping[str, TopicBounds]) -> None:
    """Ask anew what the topics take: somebody may have changed it.

    Raises:
        ServerUnreachable: Kafka does not answer.
    """
    for name, config in admin.topic_config(list(bounds)).items():
        now = bounds_of(config)
        bounds[name].max_record_bytes = now.max_record_bytes
        bounds[name].max_ahead_ms = now.max_ahead_ms
        bounds[name].max_behind_ms = now.max_behind_ms


def bounds_of(config: Mapping[str, str]) -> TopicBounds:
    """What a topic with these settings takes; where the broker stamps records itself, any timestamp."""
    is_stamped = config.get("message.timestamp.type") == "LogAppendTime"
    return TopicBounds(
        min(CLIENT_MAX_BYTES, int(config.get("max.message.bytes", CLIENT_MAX_BYTES))) - OVERHEAD_BYTES,
        max_ahead_ms=None if is_stamped else _bound_ms(config.get("message.timestamp.after.max.ms")),
        max_behind_ms=None if is_stamped else _bound_ms(config.get("message.timestamp.before.max.ms")),
    )


def _bound_ms(setting: str | None) -> int | None:
    return None if setting is None or int(setting) >= _ANY_DISTANCE_MS else int(setting)

"""The topics of a pipeline: those of the user are looked at, ours are made where they are missing and looked at too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.deadletter.topic import ANY_TIME, dead_letter_topic
from penstock.errors import ConfigurationError
from penstock.kafka.admin import Admin, TopicDescription, TopicSettings
from penstock.operators.topic_bounds import TopicBounds
from penstock.topology.groups import TaskGroup
from penstock.topology.topology import Topology

CLIENT_MAX_BYTES = 1_000_000
OVERHEAD_BYTES = 512
_ANY_DISTANCE_MS = 2**62  # the default of what is unbounded is Java's largest long


@dataclass(frozen=True, slots=True)
class PipelineTopics:
    """What a worker found or made.

    Attributes:
        partitions: {topic: how many} of everything that is read or written.
        bounds: {topic: what it takes}; brought up to date by `renew_bounds`.
        changelogs: {task group: changelog topic} of the groups with state.
        dead_letters: {source topic: dead-letter topic}.
        sinks: the user's topics that are written.
    """

    partitions: Mapping[str, int]
    bounds: Mapping[str, TopicBounds]
    changelogs: Mapping[str, str]
    dead_letters: Mapping[str, str]
    sinks: tuple[str, ...] = ()

    @property
    def written(self) -> list[tuple[str, int]]:
        """Every partition that the pipeline writes."""
        names = [*self.sinks, *self.changelogs.values(), *self.dead_letters.values()]
        return [(name, partition) for name in names for partition in range(self.partitions[name])]


def changelog_topic(pipeline: str, group: TaskGroup, partitions: int, prefix: str) -> TopicSettings:
    """A task group's changelog: compacted, never deleted from, one partition per task."""
    return TopicSettings(
        f"{prefix}{pipeline}.{group.name}.changelog",
        partitions=partitions,
        config={"cleanup.policy": "compact", **ANY_TIME},
    )


def ensure_topics(admin: Admin, topology: Topology, prefix: str) -> PipelineTopics:
    """Make what is missing, refuse what does not fit.

    Sources must be there; sinks are made as they are declared.

    Raises:
        ConfigurationError: everything that does not fit, at once.
        ServerUnreachable: Kafka does not answer.
    """
    there = admin.topics()
    read = {topic.name: topic for group in topology.groups.values() for topic in group.source_topics}
    problems = [
        f"topic '{name}' is read, and is not there: create it, or run its producer"
        for name in read
        if name not in there
    ]
    problems += [line for group in topology.groups.values() for line in _copartitioning(group, there)]
    if problems:
        raise ConfigurationError("\n".join([f"pipeline '{topology.name}':", *(f"  - {line}" for line in problems)]))
    sinks = [
        TopicSettings(topic.name, topic.partitions or 1, config=topic.config)
        for name, topic in topology.topics.items()
        if name not in there
    ]
    dead = {name: dead_letter_topic(f"{topology.name}.{name}", there[name].partitions, prefix) for name in read}
    changelogs = {
        group.name: changelog_topic(topology.name, group, tasks_of(group, there), prefix)
        for group in topology.groups.values()
        if group.stores
    }
    admin.create([*sinks, *dead.values(), *changelogs.values()])
    return _described(admin, topology, changelogs, dead)


def tasks_of(group: TaskGroup, there: Mapping[str, TopicDescription]) -> int:
    """How many tasks a group has: the most partitions of its sources."""
    return max(there[topic.name].partitions for topic in group.source_topics)


def _copartitioning(group: TaskGroup, there: Mapping[str, TopicDescription]) -> list[str]:
    counts = {name: there[name].partitions for name in group.copartitioned if name in there}
    if len(set(counts.values())) <= 1:
        return []
    told = ", ".join(f"'{name}' has {count}" for name, count in counts.items())
    problem = (
        f"records of one key must meet in one task, so these topics need equally many partitions: {told}; "
        "publish one of them anew into a topic with as many as the other"
    )
    return [problem]


def _described(
    admin: Admin, topology: Topology, changelogs: Mapping[str, TopicSettings], dead: Mapping[str, TopicSettings]
) -> PipelineTopics:
    names = [*topology.topics, *(s.name for s in changelogs.values()), *(s.name for s in dead.values())]
    there = admin.described(names)
    problems = [
        f"changelog '{settings.name}' has {there[settings.name].partitions} partitions and its sources "
        f"{settings.partitions}: the sources were repartitioned, so keys have moved away from their state"
        for settings in changelogs.values()
        if there[settings.name].partitions != settings.partitions
    ]
    config = admin.topic_config(names)
    problems += [
        f"changelog '{settings.name}' has cleanup.policy={config[settings.name].get('cleanup.policy')}, not compact: "
        "state would be deleted with time"
        for settings in changelogs.values()
        if config[settings.name].get("cleanup.policy") != "compact"
    ]
    if problems:
        raise ConfigurationError("\n".join([f"pipeline '{topology.name}':", *(f"  - {line}" for line in problems)]))
    return PipelineTopics(
        partitions={name: there[name].partitions for name in names},
        bounds={name: bounds_of(config[name]) for name in names},
        changelogs={group: settings.name for group, settings in changelogs.items()},
        dead_letters={source: settings.name for source, settings in dead.items()},
        sinks=tuple({topic.name: None for group in topology.groups.values() for topic in group.sink_topics}),
    )


def renew_bounds(admin: Admin, bounds: Mapping[str, TopicBounds]) -> None:
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

"""The project's topics: are they there, and do they keep what is written to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from penstock.cli.checks.finding import Finding, bad, good, risky, warning
from penstock.cli.topics import duration
from penstock.config import Config
from penstock.deadletter.topic import dead_letter_topic
from penstock.kafka.admin import Admin, TopicDescription
from penstock.publishing.cursor import cursor_topic
from penstock.publishing.discovery import producers

REPLICAS = 3
IN_SYNC = 2
ONE_DAY_MS = 86_400_000
UNCLEAN = "switch it off: a replica that lacks committed records may become leader"


@dataclass(frozen=True, slots=True)
class Needed:
    """A topic the project uses.

    Attributes:
        name: its name.
        role: what for.
        partitions: as declared; None where any number will do.
        compacted: whether it must keep the latest record of each key for ever.
    """

    name: str
    role: str
    partitions: int | None = None
    compacted: bool = False


def needed(config: Config) -> list[Needed]:
    """The topics of the project's producers, by name.

    Raises:
        ConfigurationError: a module of the project cannot be imported.
    """
    prefix = config.project.prefixed("")
    package = ".".join(config.project.producers.relative_to(config.root).parts)
    found: dict[str, Needed] = {}
    for name, spec in producers(config.root, package).items():
        topic, dead = spec.topic, dead_letter_topic(name, partitions=1, prefix=prefix)
        found[topic.name] = Needed(topic.name, f"of producer {name}", topic.partitions)
        found[dead.name] = Needed(dead.name, f"dead letters of producer {name}", dead.partitions)
        cursors = cursor_topic(config.project.name, prefix)
        found[cursors.name] = Needed(cursors.name, "cursors of the producers", cursors.partitions, compacted=True)
    return [found[name] for name in sorted(found)]


def project_topics(config: Config, admin: Admin) -> Iterator[Finding]:
    """Each topic of the project."""
    wanted, there = needed(config), admin.topics()
    settings = admin.topic_config([topic.name for topic in wanted if topic.name in there])
    for topic in wanted:
        if topic.name in there:
            yield judge(topic, there[topic.name], settings[topic.name], in_production=config.is_production)
    if missing := [topic.name for topic in wanted if topic.name not in there]:
        yield warning("topics not there yet", ", ".join(missing), "each is made when its producer first runs")


def judge(topic: Needed, found: TopicDescription, settings: Mapping[str, str], *, in_production: bool) -> Finding:
    """The worst that can be said of a topic."""
    subject = f"topic {topic.name}"
    broken = _broken(topic, found, settings)
    if broken is not None:
        return bad(subject, *broken)
    retention_ms, in_sync = int(settings.get("retention.ms", -1)), int(settings.get("min.insync.replicas", 1))
    deletes = "delete" in settings.get("cleanup.policy", "delete")
    kept = "compacted" if not deletes else "kept for ever" if retention_ms < 0 else f"kept {duration(retention_ms)}"
    partitions = "1 partition" if found.partitions == 1 else f"{found.partitions} partitions"
    copies = f"{found.replication} {'copy' if found.replication == 1 else 'copies'}, min.insync.replicas {in_sync}"
    told = f"{partitions}, {copies}, {kept} ({topic.role})"
    if settings.get("unclean.leader.election.enable") == "true":
        return risky(subject, f"{told}, unclean leader election", UNCLEAN, in_production=in_production)
    if in_production and (found.replication < REPLICAS or in_sync < IN_SYNC):
        return bad(subject, told, f"{REPLICAS} copies and min.insync.replicas {IN_SYNC} survive the loss of a broker")
    if deletes and 0 <= retention_ms < ONE_DAY_MS:
        return warning(subject, told, "records vanish sooner than an outage of a day ends; raise retention.ms")
    return good(subject, told)


def _broken(topic: Needed, found: TopicDescription, settings: Mapping[str, str]) -> tuple[str, str] | None:
    """What keeps the topic from working: (what is there, what to do); None = nothing."""
    if found.leaderless:
        return f"no leader for partitions {list(found.leaderless)}", "start the brokers that hold them"
    if topic.partitions not in (None, found.partitions):
        return (
            f"{found.partitions} partitions, declared are {topic.partitions}",
            "declare what is there, or use a new topic: keys would move between partitions",
        )
    if topic.compacted and settings.get("cleanup.policy") != "compact":
        return f"cleanup.policy is {settings.get('cleanup.policy')}", "set it to compact, or cursors are lost with time"
    return None

"""Kafka's own two topics, which decide what is committed: do they survive the loss of a broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from penstock.cli.checks.finding import Finding, bad, good
from penstock.kafka.admin import Admin

REPLICAS = 3
IN_SYNC = 2


@dataclass(frozen=True, slots=True)
class InternalTopic:
    """A topic that the brokers make when it is first needed.

    Attributes:
        name: its name.
        copies: the broker setting that says how many copies it gets.
        in_sync: likewise for how many must have a record before it counts.
    """

    name: str
    copies: str
    in_sync: str


OFFSETS = InternalTopic("__consumer_offsets", "offsets.topic.replication.factor", "min.insync.replicas")
TRANSACTIONS = InternalTopic(
    "__transaction_state", "transaction.state.log.replication.factor", "transaction.state.log.min.isr"
)


def internal_topics(admin: Admin, settings: Mapping[str, str], *, in_production: bool) -> Iterator[Finding]:
    """Both topics: as they are, or as the brokers' `settings` will make them."""
    there = admin.topics()
    own = admin.topic_config([topic.name for topic in (OFFSETS, TRANSACTIONS) if topic.name in there])
    for topic in (OFFSETS, TRANSACTIONS):
        if topic.name in there:
            in_sync = int(own[topic.name].get("min.insync.replicas", 1))
            yield judge(topic, there[topic.name].replication, in_sync, is_there=True, in_production=in_production)
        else:
            copies, in_sync = int(settings.get(topic.copies, REPLICAS)), int(settings.get(topic.in_sync, 1))
            yield judge(topic, copies, in_sync, is_there=False, in_production=in_production)


def judge(topic: InternalTopic, copies: int, in_sync: int, *, is_there: bool, in_production: bool) -> Finding:
    """What there is to say of one; everything is good enough outside of production."""
    subject = f"topic {topic.name}"
    told = f"{copies} {'copy' if copies == 1 else 'copies'}, min.insync.replicas {in_sync}"
    if not is_there:
        told = f"not there yet; the brokers will make it with {told}"
    if not in_production or (copies >= REPLICAS and in_sync >= IN_SYNC):
        return good(subject, told)
    wanted = f"{topic.copies}={REPLICAS} and {topic.in_sync}={IN_SYNC}"
    if is_there:
        advice = f"reassign its partitions to {REPLICAS} brokers, set its min.insync.replicas to {IN_SYNC}"
        return bad(subject, told, f"{advice}; for a new cluster: {wanted}")
    return bad(subject, told, f"set {wanted} on the brokers before it is made")

"""The Kafka cluster: does it answer, does it keep what it is given, do transactions work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from penstock.cli.checks.features import features, worker_sessions
from penstock.cli.checks.finding import Finding, bad, good, risky, warning
from penstock.cli.checks.internal_topics import internal_topics
from penstock.cli.topics import duration
from penstock.config import Config
from penstock.errors import KafkaUnavailable, PenstockError
from penstock.kafka.admin import Admin, ClusterDescription
from penstock.kafka.client import Connection
from penstock.kafka.transactional_producer import KafkaTransactionalProducer

TRANSACTIONS_BUDGET_S = 15.0
PROBE_BATCH_BYTES = 1_000_000
REPLICAS = 3
ONE_DAY_MIN = 24 * 60


def cluster(config: Config, admin: Admin) -> Iterator[Finding]:
    """The cluster as a whole.

    Raises:
        PenstockError: it does not answer; nothing more can be asked of it.
    """
    found = admin.cluster()
    yield _brokers(found, config)
    settings = admin.broker_config(found.brokers[0].id)
    yield from features(settings)
    yield worker_sessions(settings, config.processing)
    yield from internal_topics(admin, settings, in_production=config.is_production)
    yield from _unclean_election(settings, config)
    yield _transaction_timeout(settings, config)
    yield _offsets_retention(settings)
    yield _transactions(config)


def _brokers(found: ClusterDescription, config: Config) -> Finding:
    count = len(found.brokers)
    addresses = ", ".join(f"{broker.host}:{broker.port}" for broker in found.brokers)
    told = f"{count} {'broker' if count == 1 else 'brokers'} ({addresses}), cluster {found.cluster_id}"
    if config.is_production and count < REPLICAS:
        return bad(
            "Kafka", told, f"run at least {REPLICAS} brokers: with fewer, the loss of one loses data or stops all"
        )
    return good("Kafka", told)


def _unclean_election(settings: Mapping[str, str], config: Config) -> Iterator[Finding]:
    if settings.get("unclean.leader.election.enable") == "true":
        yield risky(
            "unclean.leader.election.enable",
            "true: a replica that lacks committed records may become leader",
            "set it to false on the brokers",
            in_production=config.is_production,
        )


def _transaction_timeout(settings: Mapping[str, str], config: Config) -> Finding:
    most = int(settings.get("transaction.max.timeout.ms", 900_000))
    wanted = {
        "publishing": config.publishing.transaction_timeout_ms,
        "processing": config.processing.transaction_timeout_ms,
    }
    too_long = [f"{section}.transaction_timeout_ms is {ours}" for section, ours in wanted.items() if ours > most]
    if too_long:
        return bad(
            "transaction time-out",
            f"{' and '.join(too_long)}, the brokers allow {most}",
            "lower it, or raise transaction.max.timeout.ms on the brokers",
        )
    return good("transaction time-out", f"{max(wanted.values())} ms, the brokers allow {most} ms")


def _offsets_retention(settings: Mapping[str, str]) -> Finding:
    minutes = int(settings.get("offsets.retention.minutes", 7 * ONE_DAY_MIN))
    told = f"{duration(minutes * 60_000)} after the last member left"
    if minutes < ONE_DAY_MIN:
        return warning("offsets retention", told, "raise offsets.retention.minutes above the longest outage to survive")
    return good("offsets retention", told)


def _transactions(config: Config) -> Finding:
    """Initialise a producer under an id of its own: it makes the coordinator answer, and writes no record."""
    identity = config.project.prefixed("penstock-doctor")
    producer = KafkaTransactionalProducer(
        Connection.of(config.kafka), identity, config.publishing.transaction_timeout_ms, PROBE_BATCH_BYTES
    )
    started = time.monotonic()
    try:
        _initialised(producer, deadline=started + TRANSACTIONS_BUDGET_S)
    except PenstockError as err:
        return bad("transactions", str(err), "see the brokers' logs for the transaction coordinator")
    finally:
        producer.close()
    return good("transactions", f"usable, the coordinator answered in {time.monotonic() - started:.1f} s")


def _initialised(producer: KafkaTransactionalProducer, deadline: float) -> None:
    while True:
        try:
            producer.init_transactions(max(0.1, deadline - time.monotonic()))
        except KafkaUnavailable:
            # A coordinator that is loading says so for its first second.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return

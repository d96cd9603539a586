"""From a configuration to a run on a cluster: topics, the ledger, identity and transactions, put together."""

from __future__ import annotations

import difflib
import getpass
import os
import secrets
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from penstock.clock import Clock, SystemClock
from penstock.errors import ConfigurationError, UsageError
from penstock.kafka.admin import Admin, TopicDescription
from penstock.kafka.client import Connection
from penstock.kafka.survey import Survey
from penstock.kafka.transactional_producer import KafkaTransactionalProducer
from penstock.protocols import TransactionHooks
from penstock.redrive.ledger import Ledger, Run, ledger_topic, read_ledger
from penstock.redrive.letters import DeadLetters
from penstock.redrive.original import Route, TargetTopic
from penstock.redrive.run import Letters, RedriveRun
from penstock.redrive.selection import Readable, Selection
from penstock.redrive.staged import RedriveLimits
from penstock.transactions.identity import IdentityLock
from penstock.transactions.session import TransactionSession

DEAD_LETTERS: Final = "dlq."
_DEFAULT_MAX_BYTES: Final = 1_048_588


@dataclass(frozen=True, slots=True)
class RedriveSurroundings:
    """Where dead letters are dealt with.

    Attributes:
        connection: the cluster.
        project: names the ledger, and is part of the `transactional.id`.
        state_directory: holds the identity locks.
        prefix: precedes every name of ours; empty or ending in a dot.
        transaction_timeout_ms: after this the coordinator aborts on its own.
        transaction_budget_ms: after this we do; shorter.
        limits: of transactions.
        clock: time.
    """

    connection: Connection
    project: str
    state_directory: Path
    prefix: str = ""
    transaction_timeout_ms: int = 60_000
    transaction_budget_ms: int = 45_000
    limits: RedriveLimits = field(default_factory=RedriveLimits)
    clock: Clock = field(default_factory=SystemClock)


class Cluster:
    """The topics that are there now, as far as dead letters need them.

    Args:
        around: see there.
    """

    def __init__(self, around: RedriveSurroundings) -> None:
        self._around = around
        self._admin = Admin(around.connection)
        self.topics: Mapping[str, TopicDescription] = self._admin.topics()
        self._ledger = ledger_topic(around.project, around.prefix)

    def dead_letter_topics(self) -> list[str]:
        """Those of this project, by name."""
        return [name for name in self.topics if name.startswith(f"{self._around.prefix}{DEAD_LETTERS}")]

    def check(self, topic: str) -> None:
        """Whether there is such a topic.

        Raises:
            UsageError: there is none; the message names the nearest.
        """
        if topic in self.topics:
            return
        close = difflib.get_close_matches(topic, self.topics, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else "; `penstock dlq ls` lists those of this project"
        raise UsageError(f"there is no topic '{topic}' on {self._around.connection.bootstrap_servers}{hint}")

    def letters(self, topic: str, selection: Selection) -> DeadLetters:
        """The dead letters of a topic, as far as they have to be read to find those that are meant.

        Raises:
            UsageError: there is no such topic, or no partition of it is meant.
        """
        self.check(topic)
        count = self.topics[topic].partitions
        partitions = selection.partitions(count)
        if not partitions:
            asked = " ".join(each.value for each in selection.conditions if each.name == "partition")
            raise UsageError(f"topic '{topic}' has partitions 0 to {count - 1}, not {asked}")
        return DeadLetters(self._around.connection, topic, partitions, selection)

    def ledger(self, topic: str) -> Ledger:
        """What became of the letters of a topic. Nothing is made: before the first redrive there is no ledger."""
        topic_id = self.topic_id(topic)
        if self._ledger.name not in self.topics:
            return Ledger(topic, topic_id)
        return read_ledger(self._around.connection, self._ledger.name, topic, topic_id)

    def topic_id(self, topic: str) -> str:
        """Kafka's id of a topic that is there."""
        return self._admin.topic_ids([topic])[topic]

    def runs(self) -> list[Run]:
        """All that the project's ledger has, the latest last."""
        if self._ledger.name not in self.topics:
            return []
        ledger = read_ledger(self._around.connection, self._ledger.name, "", "")
        return sorted(ledger.runs.values(), key=lambda run: (run.started_ms, run.id))

    def create_ledger(self) -> str:
        """Make sure that there is one, which keeps what is in it; its name.

        Raises:
            ConfigurationError: it is there, and Kafka would delete what is in it: letters would be redriven twice.
        """
        name = self._ledger.name
        self._admin.create([self._ledger])
        policy = self._admin.topic_config([name])[name]["cleanup.policy"]
        if policy != "compact" or self._admin.described([name])[name].partitions != 1:
            raise ConfigurationError(
                f"topic '{name}' holds the ledger of redrives, so it has to have one partition and "
                f"cleanup.policy=compact, not {policy}; mend it before you redrive"
            )
        return name

    def targets(self) -> dict[str, TargetTopic]:
        """{name: topic} of those that records may go to."""
        settings = self._admin.topic_config([name for name in self.topics if not name.startswith("__")])
        return {
            name: TargetTopic(self.topics[name].partitions, _retention_ms(config)) for name, config in settings.items()
        }

    def groups(self) -> frozenset[str]:
        """The consumer groups that we may see."""
        survey = Survey(self._around.connection, "penstock-dlq")
        try:
            return frozenset(survey.groups())
        finally:
            survey.close()

    def max_batch_bytes(self) -> int:
        """The smallest `max.message.bytes` of all topics: it holds for whole batches."""
        settings = self._admin.topic_config([name for name in self.topics if not name.startswith("__")])
        return min((int(config["max.message.bytes"]) for config in settings.values()), default=_DEFAULT_MAX_BYTES)


def _retention_ms(config: Mapping[str, str]) -> int | None:
    is_deleting = "delete" in config["cleanup.policy"] and config["message.timestamp.type"] == "CreateTime"
    retention_ms = int(config["retention.ms"])
    return retention_ms if is_deleting and retention_ms >= 0 else None


def new_run_id(now_ms: int) -> str:
    """Sorts by time, and no two are alike."""
    return f"{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def whoever() -> str:
    """User and host, for the ledger."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@contextmanager
def opened(
    account: Run,
    around: RedriveSurroundings,
    hooks: TransactionHooks,
    *,
    cluster: Cluster,
    selection: Selection,
    readable: Readable,
    route: Route | None,
    letters: Letters,
) -> Generator[RedriveRun]:
    """A run ready to `run`, its topic locked on this machine and the ledger there.

    Raises:
        DuplicateIdentity: another process of this machine works on the topic.
        ConfigurationError: rights, topics.
        ServerUnreachable: Kafka does not answer.
    """
    identity = f"{around.prefix}{around.project}.redrive.{account.topic}"
    with IdentityLock(around.state_directory / "identities", identity):
        ledger = cluster.create_ledger()
        topic_id = cluster.topic_id(account.topic)
        smallest = cluster.max_batch_bytes()

        def connect() -> KafkaTransactionalProducer:
            return KafkaTransactionalProducer(
                around.connection,
                identity,
                around.transaction_timeout_ms,
                max_batch_bytes=smallest,
                records_have_timestamps=True,
            )

        session = TransactionSession(
            connect, clock=around.clock, hooks=hooks, budget_s=around.transaction_budget_ms / 1000
        )
        try:
            yield RedriveRun(
                msgspec.structs.replace(account, topic_id=topic_id),
                selection=selection,
                readable=readable,
                route=route,
                letters=letters,
                read_ledger=lambda: read_ledger(around.connection, ledger, account.topic, topic_id),
                ledger_topic=ledger,
                session=session,
                limits=around.limits,
                clock=around.clock,
                hooks=hooks,
            )
        finally:
            session.close()

"""What is deployed, kept on the cluster: a compacted topic per pipeline, a record per topology; the last is deployed.

A worker whose code differs from that record compares the two, and writes its own before it joins the group. Whatever
happens in between, no task ever runs with a topology that was not compared with the one before it:

* Two workers with different code start at once. The record is written by a transaction of one id that all workers of
  the pipeline share, and read *after* `init_transactions`. Whoever initialises fences whoever has read and not yet
  committed; so a commit that succeeds proves that nobody else has been there since the record was read that the code
  was compared with. Who is fenced begins again, and finds the other's record.
* A crash before the commit leaves nothing but topics that were created meanwhile, empty.
* A crash behind the commit leaves a record of a topology that no task has run with yet. The same code finds it and goes
  on; what was accepted with it stays accepted. Older code is compared with it all the same: that may refuse a start
  that would have lost nothing, and never lets one pass that does.
* A worker with older code that runs on while others are replaced is stopped where it would do harm: when it takes over
  a task that newer code has written (`lineage.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zlib import crc32

from penstock.clock import Clock
from penstock.deadletter.topic import ANY_TIME
from penstock.errors import (
    ConfigurationError,
    Fenced,
    OperatorMustDecide,
    OutcomeUnknown,
    Retriable,
    ServerUnreachable,
    TransactionAborted,
)
from penstock.kafka.admin import TopicSettings
from penstock.kafka.reader import Isolation, RawRecord
from penstock.topology.deployment import Deployment, DeploymentRecord, decode, encode
from penstock.topology.plan import Plan, plan_of
from penstock.transactions.session import TransactionSession

_BUDGET_S: Final = 120.0
_PAUSE_S: Final = 0.2


def deployment_topic(pipeline: str, prefix: str) -> TopicSettings:
    """`<pipeline>.topology`: a few kilobytes for each topology that was ever deployed."""
    return TopicSettings(f"{prefix}{pipeline}.topology", partitions=1, config={"cleanup.policy": "compact", **ANY_TIME})


@dataclass(frozen=True, slots=True)
class History:
    """What was deployed so far: {fingerprint: its last record}, in the order of the log."""

    records: Mapping[str, DeploymentRecord]

    @property
    def latest(self) -> DeploymentRecord | None:
        """What is deployed; None where nothing was yet."""
        return list(self.records.values())[-1] if self.records else None


def history_of(topic: str, records: Iterable[RawRecord]) -> History:
    """The history in these records, in offset order.

    Raises:
        OperatorMustDecide: a newer release has written there, or something else.
    """
    found: dict[str, DeploymentRecord] = {}
    for record in records:
        if record.value is None:
            continue  # an operator's tombstone takes nothing back: what ran before has run
        decoded = decode(record.value, f"{topic}[0]@{record.offset}")
        found.pop(decoded.deployment.fingerprint, None)  # so that the last one written stands last
        found[decoded.deployment.fingerprint] = decoded
    return History(found)


class DeploymentLog:
    """The topic, for one worker that starts.

    Args:
        topic: its name.
        read: its committed records up to the high watermark, or up to the last stable offset.
        session: makes a session of the transactional id that the pipeline's workers share.
        clock: time.
        writer: this worker's own `transactional.id`, for the record.
        release: of penstock, likewise.
        on_step: told before the record is written and after.
    """

    def __init__(
        self,
        topic: str,
        *,
        read: Callable[[Isolation], Iterable[RawRecord]],
        session: Callable[[], TransactionSession],
        clock: Clock,
        writer: str,
        release: str,
        on_step: Callable[[str], None],
    ) -> None:
        self._topic = topic
        self._read = read
        self._session = session
        self._clock = clock
        self._writer = writer
        self._release = release
        self._on_step = on_step

    def history(self) -> History:
        """What is decided by now, without waiting for a transaction that is open."""
        return history_of(self._topic, self._read("read_committed"))

    def record(self, code: Deployment, *, accept_state_loss: bool) -> History:
        """See to it that `code` is what is deployed; nothing is written where it is already.

        Returns:
            The history with it as its latest.

        Raises:
            OperatorMustDecide: it would lose state, and that is not accepted.
            ConfigurationError: it cannot work with what is deployed.
            ServerUnreachable: it could not be written within two minutes.
        """
        give_up_at_s = self._clock.monotonic_s() + _BUDGET_S
        pause_s = _PAUSE_S * (1 + crc32(self._writer.encode()) / 2**32)  # not all at the same time again
        history = self.history()
        while not _is_deployed(code, history):
            check(history, code, accept_state_loss=accept_state_loss)
            session = self._session()
            try:
                history = self._attempt(session, code, accept_state_loss=accept_state_loss)
            except (Fenced, TransactionAborted, OutcomeUnknown, Retriable) as exc:
                if self._clock.monotonic_s() > give_up_at_s:
                    raise ServerUnreachable(
                        f"{self._topic}: what is deployed could not be recorded within {_BUDGET_S:.0f} s: {exc}"
                    ) from exc
                self._clock.sleep(pause_s)
                pause_s *= 1.5
                history = self.history()
            finally:
                session.close()
        return history

    def _attempt(self, session: TransactionSession, code: Deployment, *, accept_state_loss: bool) -> History:
        """Own the topic, read it, compare, write: whole or not at all."""
        session.open()
        history = history_of(self._topic, self._read("read_uncommitted"))
        if _is_deployed(code, history):
            return history
        plan = check(history, code, accept_state_loss=accept_state_loss)
        record = DeploymentRecord(
            deployment=code,
            writer=self._writer,
            recorded_ms=self._clock.now_ms(),
            accepted=tuple(f"{change.verb} {change.what}" for change in plan.losses),
            release=self._release,
        )
        session.begin()
        self._on_step("deploy")
        session.producer.produce(self._topic, [code.fingerprint.encode()], [encode(record)], partitions=[0])
        session.commit()
        self._on_step("deployed")
        others = {name: other for name, other in history.records.items() if name != code.fingerprint}
        return History({**others, code.fingerprint: record})


def check(history: History, code: Deployment, *, accept_state_loss: bool) -> Plan:
    """Whether a worker with this code may start.

    Returns:
        What it changes.

    Raises:
        OperatorMustDecide: state would be lost, and that is not accepted; the message is the plan and both ways out.
        ConfigurationError: it cannot work with what is deployed, whatever is accepted.
    """
    latest = history.latest
    if latest is None:
        return Plan(())
    plan = plan_of(latest.deployment, code)
    if plan.obstacles:
        raise ConfigurationError(f"pipeline '{code.pipeline}' cannot run on what is deployed:\n{plan}")
    if plan.losses and not accept_state_loss:
        raise OperatorMustDecide(
            f"pipeline '{code.pipeline}': this code would lose state of what is deployed ({told(latest)}):\n{plan}\n"
            "Mend the code as the arrows say, or accept the loss: "
            f"`penstock run {code.pipeline} --accept-state-loss` begins without that state and deletes it"
        )
    return plan


def told(record: DeploymentRecord) -> str:
    """`4c1e..., by flights.0 at 2026-01-31T12:00:00Z`."""
    when = datetime.fromtimestamp(record.recorded_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{record.deployment.fingerprint}, by {record.writer} at {when}"


def _is_deployed(code: Deployment, history: History) -> bool:
    latest = history.latest
    return latest is not None and (latest.deployment.fingerprint, latest.deployment.partitions) == (
        code.fingerprint,
        code.partitions,
    )

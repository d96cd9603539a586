"""Whose state a task goes on from: what another topology has written, this one's code may not be able to use.

Each commit names the topology that made it: in the commit record, and beside the group's offsets for tasks that keep
nothing. At a restore that is compared with the code's, task by task, since a task may have slept through several
deploys. Nothing is deleted that was not accepted: whatever is lost between two topologies is lost in one of the deploys
between them, and each of those was compared with the one before it (`deployment_log.py`). What is lost is deleted by
the claim, in the transaction that names this topology as the one that made the commit: before it, everything is there,
and behind it nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from penstock.errors import OperatorMustDecide
from penstock.runtime.deployment_log import History, told
from penstock.topology.deployment import Deployment
from penstock.topology.fate import handover
from penstock.topology.plan import plan_of


@dataclass(frozen=True, slots=True)
class Ancestry:
    """What this code makes of the state that a topology has left in one task's changelog.

    Attributes:
        kept_changelog: whether that topology kept the task group's changelog at all.
        kept: names of the stores whose entries go on; all others are deleted.
        read_again: topics of tables that begin empty here.
    """

    kept_changelog: bool
    kept: frozenset[str]
    read_again: frozenset[str] = frozenset()


class Lineage:
    """The deploys of a pipeline, for one worker.

    Args:
        code: what this worker runs.
        history: with it as the latest, as it was when this worker was started.
        read: the history as it is now.
        accept_state_loss: whether a past that is not known is acceptable.
    """

    def __init__(
        self, code: Deployment, history: History, read: Callable[[], History], *, accept_state_loss: bool
    ) -> None:
        self._code = code
        self._history = history
        self._read = read
        self._accept = accept_state_loss

    def is_ours(self, fingerprint: str) -> bool:
        """Whether it is the topology that this worker runs."""
        return fingerprint == self._code.fingerprint

    def tables(self, group: str) -> frozenset[str]:
        """Topics that the group's tables repeat."""
        found = self._code.group(group)
        return frozenset() if found is None else frozenset(topic.name for topic in found.tables.values())

    def ancestry(self, group: str, fingerprint: str) -> Ancestry:
        """What to make of what the topology with this fingerprint has left behind.

        Raises:
            OperatorMustDecide: newer code than this has been deployed meanwhile, and this one would lose state of it;
                or nobody knows what that topology was.
        """
        before = self._topology(fingerprint)
        if before is None:
            there = self._code.group(group)
            return Ancestry(kept_changelog=True, kept=frozenset() if there is None else frozenset(there.stores))
        found = handover(before, self._code, group)
        return Ancestry(before.keeps(group), found.kept, found.read_again)

    def _topology(self, fingerprint: str) -> Deployment | None:
        if self.is_ours(fingerprint):
            return self._code
        record = self._history.records.get(fingerprint)
        if record is None or plan_of(record.deployment, self._code).losses:
            # Another worker may have deployed since this one was started: then its state is not ours to delete.
            self._history = self._read()
            record = self._history.records.get(fingerprint)
            latest = self._history.latest
            if latest is not None and latest.deployment.fingerprint != self._code.fingerprint:
                self._check_outdated(record.deployment if record else latest.deployment, told(latest))
        if record is not None:
            return record.deployment
        if not self._accept:
            raise OperatorMustDecide(
                f"state of topology {fingerprint}, which is not among those recorded for this pipeline: what "
                f"{self._code.fingerprint} would lose of it cannot be told. Start the code that last ran, or accept "
                "whatever it is with --accept-state-loss: what this code can read is kept"
            )
        return None

    def _check_outdated(self, before: Deployment, latest: str) -> None:
        losses = plan_of(before, self._code).losses
        if losses:
            raise OperatorMustDecide(
                f"newer code was deployed since this worker was started ({latest}), and this one "
                f"({self._code.fingerprint}) would lose state of it: "
                + "; ".join(f"{change.verb} {change.what}" for change in losses)
                + ". Start this worker with the newer code"
            )

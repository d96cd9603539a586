"""What a worker answers to who asks whether it lives, is ready, has started.

* live: the loop has polled within half of `max.poll.interval.ms`, or waits for Kafka behind a transaction that failed.
  Never anything of brokers, lag or rebalances: workers that are restarted because a broker is away make an outage of
  the group out of it.
* ready: live, in the group, every task that is here runs, none is on its way back, no circuit breaker is open, and
  nobody has asked it to stop. A worker without partitions is ready: it stands by.
* started: it has been ready once. Restoring may take long, so this is the one to be patient with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.clock import Clock
from penstock.monitoring.worker_metrics import WorkerMetrics
from penstock.runtime.breaker_state import BreakerState

_BEFORE_THE_FIRST_POLL_S = 120.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes, or why not."""

    is_good: bool
    reason: str = "ok"


class Health:
    """Judges a worker; any thread may ask.

    Args:
        metrics: what is known of it.
        clock: time.

    Attributes:
        is_draining: set by whoever stops it.
    """

    def __init__(self, metrics: WorkerMetrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        self._born_s = clock.monotonic_s()
        self._has_started = False
        self.is_draining = False

    def live(self) -> Verdict:
        """Whether restarting it would help nothing."""
        metrics = self._metrics
        last_s = metrics.last_poll_s  # once: the loop may poll in between
        silent_s = self._clock.monotonic_s() - (self._born_s if last_s is None else last_s)
        patience_s = _BEFORE_THE_FIRST_POLL_S if last_s is None else metrics.max_poll_interval_s / 2
        # While Kafka is away, a loop that asks it something has a budget of its own, behind which the worker ends.
        if silent_s <= patience_s or metrics.waits_for_kafka:
            return Verdict(is_good=True)
        return Verdict(is_good=False, reason=f"has not polled for {silent_s:.0f} s; more than {patience_s:.0f} s")

    def ready(self) -> Verdict:
        """Whether it does its work."""
        reason = next(self._reasons(), None)
        if reason is not None:
            return Verdict(is_good=False, reason=reason)
        self._has_started = True
        return Verdict(is_good=True)

    def started(self) -> Verdict:
        """Whether it has ever been ready."""
        return Verdict(is_good=True) if self._has_started else self.ready()

    def _reasons(self) -> Iterator[str]:
        """Why it is not ready, the gravest first."""
        live, view, unclaimed = self.live(), self._metrics.view, self._metrics.unclaimed
        stopped = [str(task.id) for task in view.tasks if task.status == "stopped"]
        paused = [str(task.id) for task in view.tasks if task.breaker is BreakerState.OPEN]
        if self.is_draining:
            yield "is stopping"
        if self._metrics.last_poll_s is None:
            yield "has not joined its group yet"
        if not live.is_good:
            yield live.reason
        if stopped:
            yield f"stopped in front of a record or a lost position: {', '.join(stopped)}"
        if paused:
            yield f"circuit breaker open, too much ends as dead letters: {', '.join(paused)}"
        if view.restoring:
            yield f"restoring: {', '.join(str(task_id) for task_id, _ in view.restoring)}"
        if unclaimed:
            yield f"{unclaimed} of its partitions have no task yet"

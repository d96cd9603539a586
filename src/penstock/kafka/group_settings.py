"""How a worker takes part in its group: which protocol, which assignor, and when it is taken for dead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from penstock.kafka.client import Option

GroupProtocol = Literal["classic", "consumer"]

DEFAULT_SESSION_TIMEOUT_MS: Final = 10_000
_MAX_POLL_INTERVAL_MS: Final = 120_000


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """A member's settings. Every worker of a pipeline needs the same, but for the instance.

    The strategy follows from the pipeline. `cooperative-sticky` moves only the partitions that have to move; `range`
    gives the same partition of each topic to one worker, and takes everything from everybody at each change. In the
    newer protocol (KIP-848) the brokers assign, by the same two ways, and partitions move one by one in both.

    Static members of the classic protocol use `range`, too. A cooperative change takes two rebalances, and the second
    is asked for by the member that gives partitions up. If that one dies in between, its successor enters by its name
    without a rebalance (KIP-345), and the partitions are nobody's until something else changes the group.

    Attributes:
        protocol: `classic`, or `consumer` for KIP-848.
        session_timeout_ms: a member that is silent this long is taken for dead. Under KIP-848 the brokers' own
            `group.consumer.session.timeout.ms` holds instead, and this has to be the same.
        instance_id: names the member across restarts (static membership); None = it is a new one after each restart.
        is_copartitioned: whether some task needs the same partition of several topics.
        options: further librdkafka options, over these.
    """

    protocol: GroupProtocol = "classic"
    session_timeout_ms: int = DEFAULT_SESSION_TIMEOUT_MS
    instance_id: str | None = None
    is_copartitioned: bool = False
    options: Mapping[str, Option] = field(default_factory=dict[str, Option])

    @property
    def is_eager(self) -> bool:
        """Whether every change takes all partitions from everybody, before it is known who gets which."""
        return self.protocol == "classic" and (self.is_copartitioned or self.instance_id is not None)

    def as_options(self) -> dict[str, Option]:
        """The same by librdkafka's names."""
        own: dict[str, Option] = {
            "group.protocol": self.protocol,
            "max.poll.interval.ms": max(_MAX_POLL_INTERVAL_MS, self.session_timeout_ms),
        }
        if self.instance_id is not None:
            own["group.instance.id"] = self.instance_id
        if self.protocol == "classic":
            own["partition.assignment.strategy"] = "range" if self.is_eager else "cooperative-sticky"
            own["session.timeout.ms"] = self.session_timeout_ms
            # How soon a member learns that others come or go; it is part of every takeover.
            own["heartbeat.interval.ms"] = min(max(self.session_timeout_ms // 20, 100), 1_000)
        else:
            own["group.remote.assignor"] = "range" if self.is_copartitioned else "uniform"
        return own | dict(self.options)

"""Who is in a group, asked of its coordinator; of the classic protocol and of the newer one (KIP-848).

Two things of the admin client end the process by an assertion, and are kept away from here:

* Its own time-out. It gives an answer up, and forgets to take the question back: when the coordinator can be reached
  again, the client touches what it has freed (`eonce->refcnt > 0`; librdkafka#4605, not mended in 2.16). So questions
  have the longest time-out there is, and whoever asks waits no longer than he likes. A client that owes an answer by
  then is destroyed, with the question in it.
* Being destroyed by its own thread, as it happens to garbage. So it is destroyed here, by name (`client.let_go`).
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from penstock.errors import KafkaUnavailable, PenstockError, TransactionAborted
from penstock.kafka.client import Connection
from penstock.kafka.error_map import from_call, kafka_error
from penstock.kafka.polled import Partition
from penstock.kafka.renewed_admin import RenewedAdmin

_NEVER_S: Final = 3_600.0
"""The longest time-out that the client takes for a request."""

_DEAD: Final = "DEAD"
"""The state of a group that there is not, as its coordinator would have it."""


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member as the coordinator knows it.

    Attributes:
        client_id: a worker's `transactional.id`.
        member_id: given by the coordinator, new at each join.
        host: where its connection comes from.
        assigned: the partitions it has.
    """

    client_id: str
    member_id: str
    host: str = ""
    assigned: frozenset[Partition] = field(default_factory=frozenset[Partition])


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A group as its coordinator describes it.

    Attributes:
        state: such as `STABLE` or `EMPTY`.
        members: who is in it.
    """

    state: str
    members: tuple[GroupMember, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """What came of a question about several groups; one that there is not is in neither.

    Attributes:
        groups: {group: what its coordinator says}.
        silent: {group: why nothing is known of it}.
    """

    groups: dict[str, GroupDescription]
    silent: dict[str, PenstockError]


class GroupMembers:
    """Asks, with a client of its own that is made at the first question. For one thread at a time.

    Args:
        connection: the cluster.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, client_id: str) -> None:
        self._admin = RenewedAdmin(connection, client_id)

    def of(self, group: str, timeout_s: float) -> tuple[GroupMember, ...]:
        """Who is in this group; nobody, where there is no such group. Waits.

        Raises:
            KafkaUnavailable: no answer in time; ask again.
            ConfigurationError: we may not see this group.
        """
        told = self.described([group], timeout_s)
        if told.silent:
            raise told.silent[group]
        return told.groups[group].members if group in told.groups else ()

    def described(self, groups: Collection[str], timeout_s: float) -> Described:
        """What the coordinators of these groups say of them. Waits no longer than this, for all of them together."""
        found = Described({}, {})
        client: Any = self._admin.client()
        # One by one: what is asked in one call is answered when all of it is.
        asked: dict[str, Future[Any]] = {
            group: client.describe_consumer_groups([group], request_timeout=_NEVER_S)[group] for group in groups
        }
        wait(asked.values(), timeout_s)
        for group, future in asked.items():
            try:
                told = _answer_of(future)
            except (KafkaException, TimeoutError) as exc:
                error = kafka_error(exc)
                if error is None or error.code() != KafkaError.GROUP_ID_NOT_FOUND:
                    found.silent[group] = _failed(exc, f"members of group '{group}'", timeout_s)
            else:
                if told.state != _DEAD:
                    found.groups[group] = told
        if any(isinstance(why, KafkaUnavailable) for why in found.silent.values()):
            self.close()  # also because one that lived through a change of coordinators may go on asking the former
        return found

    def close(self) -> None:
        """Let go of the connections. The next question makes new ones."""
        self._admin.forget()


def _answer_of(future: Future[Any]) -> GroupDescription:
    told = future.result(0)
    return GroupDescription(
        told.state.name,
        tuple(
            GroupMember(
                member.client_id or "",
                member.member_id or "",
                member.host or "",
                frozenset((tp.topic, tp.partition) for tp in member.assignment.topic_partitions)
                if member.assignment is not None
                else frozenset(),
            )
            for member in told.members
        ),
    )


def _failed(exc: Exception, doing: str, timeout_s: float) -> PenstockError:
    """A question that fails is no reason to abort anything."""
    if isinstance(exc, TimeoutError):
        return KafkaUnavailable(f"{doing}: the coordinator has not answered in {timeout_s:.0f} s")
    family = from_call(exc, doing)
    return KafkaUnavailable(str(family)) if isinstance(family, TransactionAborted) else family

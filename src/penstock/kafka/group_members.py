"""Who is in a group, asked in a way that outlives the group's coordinator.

The admin client's `describe_consumer_groups` ends the process (`Assertion 'eonce->refcnt > 0' failed`) when the
connection to a coordinator breaks at the wrong moment, as everything of librdkafka does that asks one as an admin
(librdkafka#5397; seen with 2.16). Its older `list_groups` asks every broker what groups it has, and does not. It knows
nothing of groups of the newer protocol (KIP-848), whose brokers tell it that they are dead: only these are asked for in
the other way, which can end a worker; it is started again, and nothing is lost.

A broker that the cluster believes to be alive and that does not answer means that there is no answer: it may be the
coordinator. The brokers strike it off the list after their own session time-out, nine seconds by default.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from penstock.errors import KafkaUnavailable, PenstockError, TransactionAborted
from penstock.kafka.error_map import from_call
from penstock.kafka.polled import Partition

_DEAD: Final = "Dead"

_STATES: Final = {
    "PreparingRebalance": "PREPARING_REBALANCING",
    "CompletingRebalance": "COMPLETING_REBALANCING",
    "Stable": "STABLE",
    "Dead": "DEAD",
    "Empty": "EMPTY",
}
"""As the protocol names them, and as the newer calls do."""


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


def described(client: AdminClient, group: str | None, timeout_s: float) -> dict[str, GroupDescription]:
    """{group: what its coordinator says}, of this group or of all; one that there is not is left out. Waits.

    Of all, those that cannot be described are left out as well.

    Raises:
        KafkaUnavailable: no answer in time; ask again, with a new client.
        ConfigurationError: we may not see this group.
    """
    doing = "members of groups" if group is None else f"members of group '{group}'"
    ask: Any = client.list_groups  # warns that it is deprecated, which Python does not show but in tests
    try:
        told = ask(timeout=timeout_s) if group is None else ask(group, timeout=timeout_s)
    except KafkaException as exc:
        raise _failed(exc, doing) from exc
    found: dict[str, GroupDescription] = {}
    newer: list[str] = []
    for each in told:
        if each.error is not None:
            if group is not None:
                raise _failed(KafkaException(each.error), doing)
        elif each.state == _DEAD:
            newer.append(each.id)
        elif each.protocol_type in {"consumer", ""}:
            found[each.id] = GroupDescription(
                _STATES.get(each.state, str(each.state)), tuple(map(_classic_member, each.members))
            )
    return found | _described_newer(client, newer, timeout_s, may_lack=group is None)


def _failed(exc: Exception, doing: str) -> PenstockError:
    """A question that fails is no reason to abort anything: `_PARTIAL`, where a broker is down, is none either."""
    family = from_call(exc, doing)
    return KafkaUnavailable(str(family)) if isinstance(family, TransactionAborted) else family


def _classic_member(member: Any) -> GroupMember:
    return GroupMember(
        member.client_id or "",
        member.id or "",
        member.client_host or "",
        frozenset(_assigned(member.assignment or b"")),
    )


def _described_newer(
    client: AdminClient, groups: list[str], timeout_s: float, *, may_lack: bool
) -> dict[str, GroupDescription]:
    if not groups:
        return {}
    asked: Any = client.describe_consumer_groups(groups, request_timeout=timeout_s)
    found: dict[str, GroupDescription] = {}
    for group, future in asked.items():
        try:
            told = future.result(timeout_s + 1)
        except (KafkaException, TimeoutError) as exc:
            if may_lack:
                continue
            raise _failed(exc, f"members of group '{group}'") from exc
        members = tuple(
            GroupMember(
                m.client_id or "",
                m.member_id or "",
                m.host or "",
                frozenset((tp.topic, tp.partition) for tp in m.assignment.topic_partitions)
                if m.assignment is not None
                else frozenset(),
            )
            for m in told.members
        )
        found[group] = GroupDescription(told.state.name, members)
    return found


def _assigned(data: bytes) -> Iterable[Partition]:
    """The partitions in a `ConsumerProtocolAssignment`: version, then per topic its name and partitions; big-endian.

    Nothing where it is of another form: other clients than consumers write here what they like.
    """
    found: list[Partition] = []
    try:
        (topics,) = struct.unpack_from(">i", data, 2)
        place = 6
        for _ in range(topics):
            (length,) = struct.unpack_from(">h", data, place)
            topic = data[place + 2 : place + 2 + length].decode()
            (count,) = struct.unpack_from(">i", data, place + 2 + length)
            place += 6 + length
            found += [(topic, partition) for partition in struct.unpack_from(f">{count}i", data, place)]
            place += 4 * count
    except (struct.error, UnicodeDecodeError):
        return []
    return found

"""Groups and partitions as somebody sees them who is no member of anything: what a lag exporter asks of a cluster.

Describe rights on groups and topics are enough. What one partition does not answer does not spoil the others: it is
left out, and counted by whoever asked. All calls wait; they are for a thread of their own.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import ConfigResource, OffsetSpec  # type: ignore[attr-defined] # re-exported without __all__

from penstock.errors import KafkaUnavailable
from penstock.kafka.client import LOGGER, Connection, Option, connected
from penstock.kafka.consumer import Committed
from penstock.kafka.error_map import from_call
from penstock.kafka.extents import Extent
from penstock.kafka.group_members import GroupMembers
from penstock.kafka.polled import Partition
from penstock.kafka.reader import Reader
from penstock.kafka.renewed_admin import RenewedAdmin

_TIMEOUT_S: Final = 5.0
_MOST_CLIENTS: Final = 64
_NOBODY: Final = -1
"""As an offset: no record is that young."""


class TimedOffset(NamedTuple):
    """The first record that is not older than what was asked for; None for both where there is none."""

    offset: int | None
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group as its coordinator describes it.

    Attributes:
        state: such as `STABLE` or `EMPTY`.
        members: how many.
        assigned: the partitions that some member has.
    """

    state: str
    members: int
    assigned: frozenset[Partition] = field(default_factory=frozenset[Partition])


class Survey:
    """Asks.

    Args:
        connection: the cluster.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, client_id: str) -> None:
        self._connection = connection
        self._client_id = client_id
        self._admin = RenewedAdmin(connection, client_id)
        self._group_members = GroupMembers(connection, client_id)
        # One for each group that is looked at, the one not used for the longest time first. Another way to ask for a
        # group's offsets is the admin client's, which ends the process when a coordinator has moved.
        self._members: OrderedDict[str, Consumer] = OrderedDict()

    def groups(self) -> list[str]:
        """The consumer groups that we may see.

        Raises:
            KafkaUnavailable: no answer.
        """
        asked: Any = self._admin.client().list_consumer_groups(request_timeout=_TIMEOUT_S)
        return sorted(each.group_id for each in self._result(asked, "list of groups").valid)

    def described(self, groups: Collection[str]) -> dict[str, GroupSummary]:
        """{group: what its coordinator says}; those that it does not describe are left out."""
        if not groups:
            return {}
        told = self._group_members.described(groups, _TIMEOUT_S)
        for why in told.silent.values():
            LOGGER.warning("%s", why)
        return {
            name: GroupSummary(
                group.state, len(group.members), frozenset().union(*(member.assigned for member in group.members))
            )
            for name, group in told.groups.items()
        }

    def partitions(self) -> dict[str, int]:
        """{topic: partitions}, Kafka's own left out.

        Raises:
            KafkaUnavailable: no answer.
        """
        try:
            found: Any = self._admin.client().list_topics(timeout=_TIMEOUT_S)
        except KafkaException as exc:
            self._admin.forget()
            raise from_call(exc, "list of topics") from exc
        return {name: len(topic.partitions) for name, topic in found.topics.items() if not name.startswith("__")}

    def compacted(self, topics: Collection[str]) -> frozenset[str]:
        """Those of which compaction takes records away, as far as we may know; needs DescribeConfigs, and does without.

        A topic that may not be asked about, or does not answer, counts as one that is not compacted.
        """
        if not topics:
            return frozenset()
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in topics]
        asked: Any = self._admin.client().describe_configs(resources, request_timeout=_TIMEOUT_S)
        found: set[str] = set()
        for resource, future in asked.items():
            try:
                config = future.result(2 * _TIMEOUT_S)
            except (KafkaException, TimeoutError):
                continue
            if "compact" in (config["cleanup.policy"].value or ""):
                found.add(resource.name)
        return frozenset(found)

    def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """What the group last committed, whatever is pending behind it; partitions without a commit are left out.

        Raises:
            KafkaUnavailable: no answer, or none for some of them.
            ConfigurationError: we may not see this group.
        """
        doing = f"committed offsets of group '{group}'"
        asked = [TopicPartition(*place) for place in partitions]
        if not asked:
            return {}
        try:
            found = self._member(group).committed(asked, timeout=_TIMEOUT_S)
        except KafkaException as exc:
            self._forget(group)
            raise from_call(exc, doing) from exc
        for tp in found:
            if tp.error is not None:
                raise KafkaUnavailable(f"{doing}: {tp.topic}[{tp.partition}]: {tp.error.name()}")
        return {(tp.topic, tp.partition): Committed(tp.offset, tp.metadata or "") for tp in found if tp.offset >= 0}

    def extents(self, partitions: Collection[Partition]) -> dict[Partition, Extent]:
        """Where these begin and end; those that do not answer are left out."""
        earliest: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        # The last stable offset last: it may then be behind an end that is asked for first, which is mended, but what
        # came in between is never taken for what an open transaction holds back.
        begins = self._listed(dict.fromkeys(partitions, earliest), IsolationLevel.READ_UNCOMMITTED)
        ends = self._listed(dict.fromkeys(partitions, latest), IsolationLevel.READ_UNCOMMITTED)
        stable = self._listed(dict.fromkeys(partitions, latest), IsolationLevel.READ_COMMITTED)
        found: dict[Partition, Extent] = {}
        for place in partitions:
            begin, last_stable, end = begins.get(place), stable.get(place), ends.get(place)
            # An offset below 0 is no answer, whatever the client calls it.
            if begin is None or last_stable is None or end is None or min(begin[0], last_stable[0], end[0]) < 0:
                self._admin.forget()
                continue
            found[place] = Extent(begin[0], last_stable[0], max(last_stable[0], end[0]))
        return found

    def at_times(self, times_ms: Mapping[Partition, int]) -> dict[Partition, TimedOffset]:
        """{partition: first record not older than its time, committed or not}; those without an answer are left out."""
        specs: dict[Partition, Any] = {place: OffsetSpec.for_timestamp(ms) for place, ms in times_ms.items()}
        found: dict[Partition, TimedOffset] = {}
        for place, (offset, timestamp_ms) in self._listed(specs, IsolationLevel.READ_UNCOMMITTED).items():
            if offset == _NOBODY:
                found[place] = TimedOffset(None, None)
            elif offset >= 0:
                found[place] = TimedOffset(offset, timestamp_ms)
        return found

    def has_record_from(self, place: Partition, next_offset: int, timeout_s: float = 2.0) -> bool:
        """Whether a committed record stands there or behind, or only markers and what was aborted. Needs Read rights.

        Raises:
            KafkaUnavailable: no answer in time.
            OperatorMustDecide: the position is no longer in the log.
        """
        with Reader(
            self._connection, client_id=f"{self._client_id}.probe", options={"max.partition.fetch.bytes": 65_536}
        ) as reader:
            reader.assign({place: next_offset})
            until_s = time.monotonic() + timeout_s
            while time.monotonic() < until_s:
                if reader.poll(0.1, 1):
                    return True
                if place in reader.at_end:
                    return False
        raise KafkaUnavailable(f"{place[0]}[{place[1]}]: nothing from {next_offset} on in {timeout_s:.0f} s")

    def close(self) -> None:
        """Let go of the connections."""
        self._admin.forget()
        self._group_members.close()
        while self._members:
            self._members.popitem()[1].close()

    def _listed(self, specs: Mapping[Partition, Any], level: IsolationLevel) -> dict[Partition, tuple[int, int]]:
        if not specs:
            return {}
        asked = {TopicPartition(*place): spec for place, spec in specs.items()}
        answers: Mapping[TopicPartition, Future[Any]] = self._admin.client().list_offsets(
            asked, isolation_level=level, request_timeout=_TIMEOUT_S
        )
        found: dict[Partition, tuple[int, int]] = {}
        until_s = time.monotonic() + 2 * _TIMEOUT_S
        for tp, future in answers.items():
            try:
                answer = future.result(max(0.0, until_s - time.monotonic()))
            except (KafkaException, TimeoutError):
                self._admin.forget()
                continue
            found[tp.topic, tp.partition] = (answer.offset, answer.timestamp)
        return found

    def _result(self, future: Future[Any], doing: str) -> Any:
        try:
            return future.result(2 * _TIMEOUT_S)
        except KafkaException as exc:
            self._admin.forget()
            raise KafkaUnavailable(str(from_call(exc, doing))) from exc
        except TimeoutError as exc:
            self._admin.forget()
            raise KafkaUnavailable(f"{doing}: no answer in time") from exc

    def _member(self, group: str) -> Consumer:
        """A consumer that carries the group's name and never joins it."""
        found = self._members.pop(group, None)
        if found is None:
            own: dict[str, Option] = {
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_uncommitted",
            }
            options = self._connection.options(own, self._connection.consumer, self._client_id)
            found = connected(Consumer, options, self._client_id)
        self._members[group] = found
        if len(self._members) > _MOST_CLIENTS:
            self._members.popitem(last=False)[1].close()
        return found

    def _forget(self, group: str) -> None:
        member = self._members.pop(group, None)
        if member is not None:
            member.close()

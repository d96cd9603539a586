"""A group member on a simulated cluster: `runtime.member.Member`, as `kafka.consumer.GroupConsumer` behaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from penstock.batch import SourceBatch
from penstock.errors import TransactionAborted
from penstock.kafka.consumer import Committed, RebalanceListener
from penstock.kafka.error_map import by_name, from_call
from penstock.kafka.group_settings import GroupSettings
from penstock.kafka.polled import Polled
from penstock.kafka.static_instance import InstanceReplaced
from penstock.protocols import GroupMetadata
from penstock.testing.cluster.brokers import Seat
from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.cluster.groups import Membership
from penstock.testing.cluster.partition import SimulatedPartition, Stored
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.refusal import NotAnswered, Refusal

Partition = tuple[str, int]

_PENDING_PAUSE_S: Final = 0.1
_ANSWER_S: Final = 10.0
_WHOLE_FETCHES: Final = 0.7


class SimulatedMember:
    """Rebalance callbacks run inside `poll`; what they raise is raised at the end of it.

    Args:
        cluster: where.
        process: whose.
        group: its name.
        client_id: for `members` of the group.
        listener: told about partitions that come and go.
        settings: how it takes part in the group.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        process: Process,
        group: str,
        client_id: str,
        listener: RebalanceListener,
        settings: GroupSettings,
    ) -> None:
        self.cluster = cluster
        self._process = process
        self._group = group
        self._seat: Seat = ("group", group)
        self._client_id = client_id
        self._listener = listener
        self._settings = settings
        self._topics: Sequence[str] | None = None
        self._member: Membership | None = None
        self._owned: list[Partition] = []
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._told_end: dict[Partition, int] = {}
        self._stuck: set[Partition] = set()
        self._trouble: BaseException | None = None

    @property
    def is_eager(self) -> bool:
        """Whether each change of the group takes all partitions first."""
        return self._settings.is_eager

    # ------------------------------------------------------------ the group

    def subscribe(self, topics: Iterable[str]) -> None:
        """Join the group for these topics, in the next poll."""
        self._process.check()
        self._topics = list(topics)

    def withdraw(self) -> None:
        """Leave the group, in the next poll."""
        self._process.check()
        self._topics = None

    def group_metadata(self) -> GroupMetadata:
        """Our membership as this client knows it now."""
        self._process.check()
        member = self._member
        if member is None or member.knows_it_is_out or member.generation < 0:
            return GroupMetadata(self._group, -1, "")
        return GroupMetadata(self._group, member.generation, member.member_id)

    def close(self) -> None:
        """Leave the group; nothing happens in a process that is dead."""
        if self._process.is_alive:
            self._leave()
            self._trouble = None

    def _leave(self) -> None:
        if self._member is None:
            return
        if self._owned:
            self._take(
                self._listener.on_lost if self._member.knows_it_is_out else self._listener.on_revoked, self._owned
            )
        groups, is_static = self.cluster.groups, self._settings.instance_id is not None
        (groups.abandon if is_static else groups.leave)(self._group, self._member)
        self._member = None

    def _raise_if_replaced(self) -> None:
        """What the client is told of another one with its name is final: it has nothing any more, and knows nothing."""
        member = self._member
        if member is None or not (member.is_replaced and member.knows_it_is_out):
            return
        self._topics = self._member = self._trouble = None
        for held in (self._owned, self._positions, self._paused, self._stuck, self._told_end):
            held.clear()
        raise InstanceReplaced(
            f"group '{self._group}': another membership took over the name '{self._client_id}' (group.instance.id)"
        )

    def _take_part(self) -> None:
        if self._topics is None:
            self._leave()
            return
        if not self.cluster.groups.is_led(self._group):
            return  # nobody says anything about the group, so everything stays as it is
        member = self._member
        if member is not None and member.is_out:
            if not member.knows_it_is_out:
                return  # no heartbeat was answered since then
            if self._owned:
                self._take(self._listener.on_lost, self._owned)
            member = self._member = None
        if member is None:
            member = self._member = self.cluster.groups.enter(
                self._group,
                self._client_id,
                self._process,
                self._topics,
                is_eager=self.is_eager,
                timeout_s=self._settings.session_timeout_ms / 1000,
                instance_id=self._settings.instance_id,
            )
        self._adopt(member)
        if member.joins_at_s is not None and member.joins_at_s <= self.cluster.clock.monotonic_s():
            if self.is_eager and self._owned:
                self._take(self._listener.on_revoked, self._owned)
            self._process.check()
            self.cluster.groups.join(self._group, member, self._owned)
            self._adopt(member)

    def _adopt(self, member: Membership) -> None:
        """Take on what the last rebalance gave."""
        assigned, member.assigned = member.assigned, None
        if assigned is None:
            return
        if self.is_eager:
            self._give(assigned)
            return
        gone = [partition for partition in self._owned if partition not in assigned]
        new = [partition for partition in assigned if partition not in self._owned]
        if gone:
            self._take(self._listener.on_revoked, gone)
        self._give(new)
        if gone and not member.is_out:
            self.cluster.groups.rebalance(self._group)
            self.cluster.groups.join(self._group, member, self._owned)

    def _give(self, partitions: list[Partition]) -> None:
        self._owned += partitions
        self._paused.update(partitions)
        for partition in partitions:
            self._positions[partition] = 0
        self._tell(self._listener.on_assigned, partitions)

    def _take(self, tell: Callable[[list[Partition]], None], partitions: list[Partition]) -> None:
        gone = list(partitions)
        self._tell(tell, gone)
        self._owned = [partition for partition in self._owned if partition not in gone]
        for partition in gone:
            self._positions.pop(partition, None)
            self._paused.discard(partition)
            self._stuck.discard(partition)
            self._told_end.pop(partition, None)

    def _tell(self, listener: Callable[[list[Partition]], None], partitions: list[Partition]) -> None:
        try:
            listener(list(partitions))
        except Exception as exc:  # noqa: BLE001 - raised at the end of the poll, as the client has to
            self._trouble = self._trouble or exc

    # ------------------------------------------------------------ records

    def poll(self, max_records: int, timeout_s: float) -> Polled:
        """The next records; partitions come and go in here.

        Raises:
            InstanceReplaced: another one has entered by this static member's name; this one holds nothing any more.
        """
        self._process.check()
        self._raise_if_replaced()
        self._take_part()
        self._process.check()
        self.cluster.clock.wait(timeout_s, self._has_news)
        self._process.check()
        polled = self._fetched(max_records)
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble
        return polled

    def _has_news(self) -> bool:
        if self._trouble is not None:
            return True
        log_of, told = self.cluster.partition, self._told_end
        return any(told.get(place) != log_of(place).last_stable_offset for place in self._fetching())

    def _fetching(self) -> list[Partition]:
        leads = self.cluster.brokers.leader
        return [p for p in self._positions if p not in self._paused and p not in self._stuck and leads(p) is not None]

    def _fetched(self, max_records: int) -> Polled:
        polled = Polled()
        chance = self.cluster.random
        partitions = self._fetching()
        chance.shuffle(partitions)
        for partition in partitions:
            log = self.cluster.partition(partition)
            position = self._positions[partition]
            if not log.begin <= position <= log.high_watermark:
                polled.lost[partition] = position
                self._stuck.add(partition)
                continue
            most = max_records if chance.random() < _WHOLE_FETCHES else chance.randint(1, max(1, max_records))
            found, behind = log.fetch(position, most, "read_committed") if most else ([], position)
            max_records -= len(found)
            self._positions[partition] = behind
            if found:
                polled.batches.append(_batch(partition, found))
                self._told_end.pop(partition, None)
            if behind == log.last_stable_offset and self._told_end.get(partition) != behind:
                self._told_end[partition] = behind
                polled.ends[partition] = behind
        return polled

    def start(self, positions: Mapping[Partition, int]) -> None:
        """Fetch these partitions from these offsets on."""
        self._process.check()
        for partition, offset in positions.items():
            if partition not in self._owned:
                raise from_call(by_name("_STATE"), f"seek of {partition[0]}[{partition[1]}] to {offset}")
            self._positions[partition] = offset
            self._told_end.pop(partition, None)
            self._stuck.discard(partition)
        self.resume(positions)

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetch no more of these until `resume` or `start`."""
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetch these again."""
        self._paused.difference_update(partitions)

    def first_offset_from(self, partition: Partition, next_offset: int) -> int | None:
        """The first committed record there or behind; None = the end comes first."""
        log = self._reached(partition)
        if not log.begin <= next_offset <= log.high_watermark:
            raise TransactionAborted(f"{partition[0]}[{partition[1]}]: offset {next_offset} is no longer in the log")
        found, _ = log.fetch(next_offset, 1, "read_committed")
        return found[0].offset if found else None

    def end_offsets(self, partition: Partition) -> tuple[int, int]:
        """(first offset, last stable offset)."""
        log = self._reached(partition)
        return log.begin, log.last_stable_offset

    def _reached(self, partition: Partition) -> SimulatedPartition:
        """Its log, once somebody leads it."""
        self._process.check()
        if not self.cluster.clock.wait(_ANSWER_S, lambda: self.cluster.brokers.leader(partition) is not None):
            raise from_call(by_name("_TIMED_OUT"), f"{partition[0]}[{partition[1]}]")
        return self.cluster.partition(partition)

    # ------------------------------------------------------------ offsets

    def committed(self, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, Committed]:
        """The group's committed positions, stable ones: a pending transaction is waited out."""
        places = list(partitions)
        offsets = self.cluster.groups.group(self._group).offsets
        clock, doing = self.cluster.clock, f"committed offsets of group '{self._group}'"
        until_s = clock.monotonic_s() + timeout_s
        while True:
            try:
                left_s = max(0.0, until_s - clock.monotonic_s())
                return self.cluster.network.send(
                    self._process, "fetch offsets", lambda: offsets.fetch(places, is_stable=True), self._seat, left_s
                )
            except (Refusal, NotAnswered) as pending:
                if clock.monotonic_s() + _PENDING_PAUSE_S > until_s:
                    raise from_call(by_name("_TIMED_OUT"), doing) from pending
                clock.sleep(_PENDING_PAUSE_S)

    def commit(self, offsets: Mapping[Partition, tuple[int, str]]) -> None:
        """Commit without a transaction; one that is refused is only told by what is read again."""
        group, member = self.cluster.groups.group(self._group), self.group_metadata()

        def handle() -> None:
            if member.is_live:
                self.cluster.check_member(self._group, member, offsets)
                group.offsets.commit(offsets)

        try:
            self.cluster.network.send(self._process, "commit offsets", handle, self._seat)
        except (Refusal, NotAnswered):
            return


def _batch(partition: Partition, found: Sequence[Stored]) -> SourceBatch:
    headers = [entry.headers for entry in found]
    return SourceBatch(
        *partition,
        [entry.offset for entry in found],
        [entry.key for entry in found],
        [entry.value for entry in found],
        [entry.timestamp_ms for entry in found],
        headers if any(headers) else None,
    )

"""A group coordinator of the newer protocol (KIP-848): each member has an epoch, and gets to its place by itself.

```
 a member comes, goes, or is silent too long ──► the group's epoch goes up, with it what everybody should have

 at its next heartbeat a member that
    has what it should not have      is told so, and keeps its epoch until it has given that back
    has nothing that it should not   gets the group's epoch, and what nobody else has any more
```

Nobody waits for anybody. An epoch goes up without any partition having moved, and without the worker hearing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from penstock.testing.cluster.assignors import by_range, sticky
from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.refusal import Refusal

Partition = tuple[str, int]


@dataclass(slots=True, eq=False)
class EpochMember:
    """One member, as coordinator and client know it together.

    Attributes:
        member_id: chosen by the client.
        client_id: the client's own.
        process: where it lives.
        topics: what it wants.
        is_range: which assignor it asks for; the first member's counts.
        epoch: as the coordinator has it.
        held: {partition that the coordinator takes for its own: the epoch in which it was given}.
        known_epoch: as the client has it; -1 before the first answer.
        told: what the client was told to have, and has not taken on yet; None = nothing new.
        is_out: the coordinator has forgotten it.
        knows_it_is_out: and its client has heard so.
    """

    member_id: str
    client_id: str
    process: Process
    topics: tuple[str, ...]
    is_range: bool
    epoch: int = 0
    held: dict[Partition, int] = field(default_factory=dict[Partition, int])
    known_epoch: int = -1
    told: list[Partition] | None = None
    is_out: bool = False
    knows_it_is_out: bool = False

    @property
    def owned(self) -> Sequence[Partition]:
        """What it has."""
        return list(self.held)


@dataclass(slots=True)
class EpochGroup:
    """One group.

    Attributes:
        epoch: goes up with each change.
        members: by their ids.
        target: {member id: what it should have}.
    """

    epoch: int = 0
    members: dict[str, EpochMember] = field(default_factory=dict[str, EpochMember])
    target: dict[str, list[Partition]] = field(default_factory=dict[str, list[Partition]])


class ConsumerGroupCoordinator:
    """See the module's text.

    Args:
        clock: for heartbeats and time-outs.
        partitions_of: how many partitions a topic has.
        is_led: whether a group has a coordinator.

    Attributes:
        heartbeat_s: between two of a member's; the brokers' setting, and so is the next one.
        session_timeout_s: so long a member may be silent.
    """

    def __init__(
        self, clock: SimulatedClock, *, partitions_of: Callable[[str], int], is_led: Callable[[str], bool]
    ) -> None:
        self.heartbeat_s = 5.0
        self.session_timeout_s = 45.0
        self._clock = clock
        self._partitions_of = partitions_of
        self._is_led = is_led
        self._groups: dict[str, EpochGroup] = {}
        self._entered = 0

    def __contains__(self, name: object) -> bool:
        """Whether somebody has ever joined this group by this protocol."""
        return name in self._groups

    def members(self, name: str) -> list[EpochMember]:
        """Who is in a group."""
        return list(self._groups[name].members.values()) if name in self._groups else []

    # ------------------------------------------------------------ members

    def enter(
        self, name: str, client_id: str, process: Process, topics: Iterable[str], *, is_range: bool
    ) -> EpochMember:
        """A new member; it is told what to have with its heartbeats, the first of which is sent at once."""
        self._entered += 1
        member = EpochMember(f"{client_id}-{self._entered}", client_id, process, tuple(topics), is_range)
        group = self._groups.setdefault(name, EpochGroup())
        group.members[member.member_id] = member
        self._change(group)
        self._beat(name, member)
        return member

    def leave(self, name: str, member: EpochMember) -> None:
        """It goes, by its own will or because it was silent; with its session, where no coordinator hears it."""
        if not self._is_led(name):
            self._clock.after(self.session_timeout_s, partial(self.leave, name, member))
            return
        group = self._groups[name]
        if group.members.pop(member.member_id, None) is not None:
            member.is_out = True
            self._change(group)

    def rebalance(self, name: str) -> None:
        """Everybody gets a new epoch, as when somebody comes and goes."""
        if name in self._groups:
            self._change(self._groups[name])

    def fall_silent(self, process: Process) -> None:
        """A process sends no heartbeats from now on; its members are forgotten unless it speaks again in time."""
        since = process.silences
        for name, group in self._groups.items():
            for member in [m for m in group.members.values() if m.process is process]:
                self._clock.after(self.session_timeout_s, partial(self._forget, name, member, since))

    def _forget(self, name: str, member: EpochMember, silence: int) -> None:
        if not member.process.is_silent or member.process.silences != silence:
            return
        if self._is_led(name):
            self.leave(name, member)
        else:
            self._clock.after(self.session_timeout_s, partial(self._forget, name, member, silence))

    def check(self, name: str, member_id: str, epoch: int, partitions: Collection[Partition]) -> None:
        """Whether this member may commit offsets of these partitions; where nobody is in the group, anybody may.

        An epoch of before will do for a partition that the member has had since then.

        Raises:
            Refusal: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION.
        """
        if epoch < 0 and not member_id:
            if self._groups[name].members:
                raise Refusal("ILLEGAL_GENERATION")
            return
        member = self._groups[name].members.get(member_id)
        if member is None:
            raise Refusal("UNKNOWN_MEMBER_ID")
        if epoch > member.epoch or (
            epoch < member.epoch and any(epoch < member.held.get(p, epoch + 1) for p in partitions)
        ):
            raise Refusal("ILLEGAL_GENERATION")

    # ------------------------------------------------------------ heartbeats

    def returned(self, name: str, member: EpochMember, kept: Collection[Partition]) -> None:
        """It has given back what it was told to; its client says so at once."""
        member.held = {partition: since for partition, since in member.held.items() if partition in kept}
        if not member.is_out and self._is_led(name):
            self._reconcile(self._groups[name], member)

    def _beat(self, name: str, member: EpochMember) -> None:
        if not member.process.is_alive or member.knows_it_is_out:
            return
        if not member.process.is_silent and self._is_led(name):
            if member.is_out:
                member.knows_it_is_out = True
                return
            self._reconcile(self._groups[name], member)
        self._clock.after(self.heartbeat_s, partial(self._beat, name, member))

    def _reconcile(self, group: EpochGroup, member: EpochMember) -> None:
        target = set(group.target[member.member_id])
        if not target.issuperset(member.held):
            member.told = [partition for partition in member.held if partition in target]
            return
        others = {p for each in group.members.values() if each is not member for p in each.held}
        member.epoch = group.epoch
        new = [p for p in group.target[member.member_id] if p not in member.held and p not in others]
        member.held |= dict.fromkeys(new, member.epoch)
        member.known_epoch = member.epoch
        if new:
            member.told = list(member.held)

    def _change(self, group: EpochGroup) -> None:
        group.epoch += 1
        members = sorted(group.members.values(), key=lambda member: member.member_id)
        if not members:
            group.target = {}
            return
        shares = (
            by_range(members, self._partitions_of)
            if members[0].is_range
            else sticky(members, self._partitions_of, holds_back=False)
        )
        group.target = {member.member_id: share for member, share in zip(members, shares, strict=True)}

"""A group coordinator: members, generations, and who gets which partitions, by the classic protocol.

```
         a member comes, goes, or is silent too long           all have joined, or time is over
 stable ──────────────────────────────────────────► preparing ────────────────────────────────► stable, next generation
```

A static member (KIP-345) has a name of its own. Whoever enters by that name has the place of the one that had it
before, without anybody else noticing; that one is told so with its next heartbeat. Where nobody enters, the place is
kept until the session is over.

A member learns of a change at its next heartbeat and joins anew in its next poll. Eager members give everything back
first; cooperative ones keep what they have, and give back what is to move once they know it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from penstock.testing.cluster.assignors import by_range, sticky
from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.offsets import GroupOffsets
from penstock.testing.cluster.process import Process
from penstock.testing.cluster.refusal import Refusal

Partition = tuple[str, int]

_REBALANCE_TIMEOUT_S = 120.0


@dataclass(slots=True, eq=False)
class Membership:
    """One member, as coordinator and client know it together.

    Attributes:
        member_id: given by the coordinator.
        client_id: the client's own.
        process: where it lives.
        topics: what it wants.
        is_eager: whether it gives everything back before it joins anew.
        session_timeout_s: so long it may be silent.
        instance_id: its name, of a static member; None = it is none.
        owned: what its client has told of itself when it joined.
        given: what the last rebalance gave it.
        generation: of its last join; -1 before.
        joins_at_s: from when on it knows that it has to join anew; None = it has not.
        has_joined: whether it takes part in the rebalance under way.
        assigned: what it was given and has not taken on yet.
        is_out: the coordinator has forgotten it.
        is_replaced: since another one has entered by its name.
        knows_it_is_out: and its client has heard so.
    """

    member_id: str
    client_id: str
    process: Process
    topics: tuple[str, ...]
    is_eager: bool
    session_timeout_s: float
    instance_id: str | None = None
    owned: tuple[Partition, ...] = ()
    given: tuple[Partition, ...] = ()
    generation: int = -1
    joins_at_s: float | None = 0.0
    has_joined: bool = False
    assigned: list[Partition] | None = None
    is_out: bool = False
    is_replaced: bool = False
    knows_it_is_out: bool = False


@dataclass(slots=True)
class Group:
    """One group.

    Attributes:
        name: its name.
        offsets: committed and pending.
        generation: goes up with each rebalance.
        members: by their ids.
        is_preparing: whether a rebalance is under way.
        serial: of rebalances.
    """

    name: str
    offsets: GroupOffsets = field(default_factory=GroupOffsets)
    generation: int = 0
    members: dict[str, Membership] = field(default_factory=dict[str, Membership])
    is_preparing: bool = False
    serial: int = 0

    def instance(self, instance_id: str) -> Membership | None:
        """The static member of this name."""
        return next((each for each in self.members.values() if each.instance_id == instance_id), None)


class GroupCoordinator:
    """See the module's text.

    Args:
        clock: for time-outs.
        heartbeat_s: how long it takes until a member hears of a change.
        partitions_of: how many partitions a topic has.
        is_led: whether a group has a coordinator; a new one gives every member all of its time anew.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        *,
        heartbeat_s: Callable[[], float],
        partitions_of: Callable[[str], int],
        is_led: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._partitions_of = partitions_of
        self.is_led = is_led
        self._groups: dict[str, Group] = {}
        self._everyone: list[Membership] = []

    def group(self, name: str) -> Group:
        """A group; an empty one if nobody has heard of it."""
        return self._groups.setdefault(name, Group(name))

    # ------------------------------------------------------------ members

    def enter(
        self,
        name: str,
        client_id: str,
        process: Process,
        topics: Sequence[str],
        *,
        is_eager: bool,
        timeout_s: float,
        instance_id: str | None = None,
    ) -> Membership:
        """A new member, which has to `join` yet, but for the successor of a static member: that has its place."""
        number = len(self._everyone) + 1
        member = Membership(
            f"{client_id}-{number}", client_id, process, tuple(topics), is_eager, timeout_s, instance_id
        )
        self._everyone.append(member)
        group = self.group(name)
        before = None if instance_id is None else group.instance(instance_id)
        if before is not None and self._has_succeeded(group, before, member):
            return member
        group.members[member.member_id] = member
        self._prepare(group)
        member.joins_at_s = self._clock.monotonic_s()
        return member

    def _has_succeeded(self, group: Group, before: Membership, member: Membership) -> bool:
        """Put a member out by whose name another one enters; whether that one has all that it had."""
        del group.members[before.member_id]
        before.is_out = before.is_replaced = True
        self._clock.after(self._heartbeat_s(), partial(self._hear, before))
        if group.is_preparing or before.generation != group.generation or before.topics != member.topics:
            return False
        group.members[member.member_id] = member
        member.generation, member.joins_at_s = before.generation, None
        member.given, member.assigned = before.given, list(before.given)
        return True

    def join(self, name: str, member: Membership, owned: Iterable[Partition]) -> None:
        """Take part in the rebalance that is under way."""
        member.owned = tuple(owned)
        member.joins_at_s = None
        member.has_joined = True
        self._complete(self.group(name))

    def rebalance(self, name: str) -> None:
        """Have everybody join anew."""
        self._prepare(self.group(name))

    def abandon(self, name: str, member: Membership) -> None:
        """It says nothing any more, and does not leave: that is how a static member ends."""
        self._clock.after(member.session_timeout_s, partial(self.leave, name, member))

    def leave(self, name: str, member: Membership) -> None:
        """It goes, by its own will or because it was silent; with its session, where no coordinator hears it."""
        if not self.is_led(name):
            self._clock.after(member.session_timeout_s, partial(self.leave, name, member))
            return
        group = self.group(name)
        if group.members.pop(member.member_id, None) is None:
            return
        member.is_out = True
        if group.members:
            self._prepare(group)
            self._complete(group)

    def fall_silent(self, process: Process) -> None:
        """A process sends no heartbeats from now on; its members are forgotten unless it speaks again in time."""
        since = process.silences
        for group in self._groups.values():
            for member in [m for m in group.members.values() if m.process is process]:
                self._clock.after(member.session_timeout_s, partial(self._forget, group.name, member, since))

    def _forget(self, name: str, member: Membership, silence: int) -> None:
        if not member.process.is_silent or member.process.silences != silence:
            return
        if self.is_led(name):
            self.leave(name, member)
        else:
            self._clock.after(member.session_timeout_s, partial(self._forget, name, member, silence))

    def speak_again(self, process: Process, hears: Callable[[], bool]) -> None:
        """A process that was silent goes on; of those of its members that are forgotten, some hear of it at once.

        The others work on until their next heartbeat is answered.
        """
        for member in self._everyone:
            if member.process is process and member.is_out and not member.knows_it_is_out:
                if hears():
                    member.knows_it_is_out = True
                else:
                    self._clock.after(self._heartbeat_s(), partial(self._hear, member))

    def _hear(self, member: Membership) -> None:
        if not member.process.is_silent:
            member.knows_it_is_out = True

    def check(self, name: str, member_id: str, generation: int) -> None:
        """Whether offsets of this member may be committed; an empty member is not checked at all.

        Raises:
            Refusal: FENCED_INSTANCE_ID, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION.
        """
        if generation < 0 and not member_id:
            return
        group = self.group(name)
        if member_id not in group.members:
            instance_id = next((each.instance_id for each in self._everyone if each.member_id == member_id), None)
            is_held = instance_id is not None and group.instance(instance_id) is not None
            raise Refusal("FENCED_INSTANCE_ID" if is_held else "UNKNOWN_MEMBER_ID")
        if generation != group.generation:
            raise Refusal("ILLEGAL_GENERATION")

    # ------------------------------------------------------------ rebalance

    def _prepare(self, group: Group) -> None:
        if not group.is_preparing:
            group.serial += 1
        group.is_preparing = True
        now_s, serial = self._clock.monotonic_s(), group.serial
        for member in group.members.values():
            if not member.has_joined and member.joins_at_s is None:
                member.joins_at_s = now_s + self._heartbeat_s()
        self._clock.after(_REBALANCE_TIMEOUT_S, lambda: self._give_up_waiting(group, serial))

    def _give_up_waiting(self, group: Group, serial: int) -> None:
        if not group.is_preparing or group.serial != serial:
            return
        if not self.is_led(group.name):
            self._clock.after(_REBALANCE_TIMEOUT_S, lambda: self._give_up_waiting(group, serial))
            return
        for member in [m for m in group.members.values() if not m.has_joined]:
            group.members.pop(member.member_id)
            member.is_out = True
            self._clock.after(self._heartbeat_s(), partial(self._hear, member))
        self._complete(group)

    def _complete(self, group: Group) -> None:
        if not group.is_preparing or not group.members or not all(m.has_joined for m in group.members.values()):
            return
        group.is_preparing = False
        group.generation += 1
        members = sorted(group.members.values(), key=lambda member: member.member_id)
        shares = (
            by_range(members, self._partitions_of)
            if members[0].is_eager
            else sticky(members, self._partitions_of, holds_back=True)
        )
        for member, partitions in zip(members, shares, strict=True):
            member.assigned, member.given = partitions, tuple(partitions)
            member.generation = group.generation
            member.has_joined = False

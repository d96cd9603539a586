"""A group member by the newer protocol (KIP-848): heartbeats go on by themselves, partitions move one by one."""

from __future__ import annotations

from penstock.protocols import GroupMetadata
from penstock.testing.cluster.consumer_groups import EpochMember
from penstock.testing.cluster.member import SimulatedMember


class SimulatedConsumerMember(SimulatedMember):
    """As `SimulatedMember`; its membership has an epoch in the place of a generation.

    Attributes:
        epoch_member: its membership; None = it is no member.
    """

    epoch_member: EpochMember | None = None

    def group_metadata(self) -> GroupMetadata:
        """Our membership as this client knows it now: the epoch may have changed since the last poll."""
        self._process.check()
        member = self.epoch_member
        if member is None or member.knows_it_is_out or member.known_epoch < 0:
            return GroupMetadata(self._group, -1, "")
        return GroupMetadata(self._group, member.known_epoch, member.member_id)

    def _leave(self) -> None:
        member, groups = self.epoch_member, self.cluster.consumer_groups
        if member is None:
            return
        if self._owned:
            self._take(self._listener.on_lost if member.knows_it_is_out else self._listener.on_revoked, self._owned)
        groups.leave(self._group, member)
        self.epoch_member = None

    def _take_part(self) -> None:
        if self._topics is None:
            self._leave()
            return
        if not self.cluster.groups.is_led(self._group):
            return
        groups, member = self.cluster.consumer_groups, self.epoch_member
        if member is not None and member.knows_it_is_out:
            if self._owned:
                self._take(self._listener.on_lost, self._owned)
            member = self.epoch_member = None
        if member is None:
            member = self.epoch_member = groups.enter(
                self._group,
                self._client_id,
                self._process,
                self._topics,
                is_range=self._settings.is_copartitioned,
            )
        self._take_on(member)

    def _take_on(self, member: EpochMember) -> None:
        """Give back what we were told to, then take what is new."""
        told, member.told = member.told, None
        if told is None:
            return
        gone = [partition for partition in self._owned if partition not in told]
        if gone:
            self._take(self._listener.on_revoked, gone)
            self._process.check()
        new = [partition for partition in told if partition not in self._owned]
        if new:
            self._give(new)
        self.cluster.consumer_groups.returned(self._group, member, self._owned)

"""Our place in the group: what is assigned to us, whether our producer may be initialised, whether we have a twin.

A worker initialises its producer only while it is a member, so that a twin that is fenced by this finds it in the group
(see `twins.py`), and before it asks for offsets, so that its predecessor's open transaction is resolved by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from penstock.errors import Fenced
from penstock.kafka.static_instance import InstanceReplaced
from penstock.runtime.member import Member
from penstock.runtime.merge import Partition
from penstock.runtime.twins import Twins
from penstock.transactions.session import TransactionSession

_POLL_S = 0.1


class Participation:
    """See the module's text.

    Args:
        consumer: the member.
        session: its transactions.
        twins: judges fences.
        topics: to subscribe to.

    Attributes:
        assigned: what is ours.
    """

    def __init__(
        self, consumer: Member, session: TransactionSession, twins: Callable[[Member], Twins], topics: Iterable[str]
    ) -> None:
        self.assigned: set[Partition] = set()
        self._consumer = consumer
        self._session = session
        self._twins = twins(consumer)
        self._topics = tuple(topics)
        self._is_initialised = False

    @property
    def is_waiting(self) -> bool:
        """Whether a twin was seen: there is nothing to do but `wait`."""
        return self._twins.is_waiting

    def join(self) -> None:
        """Join the group, in the next polls."""
        self._consumer.subscribe(self._topics)

    def initialise(self) -> None:
        """Initialise the producer, once, as soon as we are a member; with or without partitions."""
        if not self._is_initialised and (self.assigned or self._consumer.group_metadata().is_live):
            self._session.open()
            self._is_initialised = True

    def renew(self) -> None:
        """Replace the producer; not before there is one, for whoever has our name is not to be fenced then."""
        if self._is_initialised:
            self._session.open()

    def is_given_up(self, exc: Exception) -> bool:
        """Whether this error means that a twin may live, so that we have left the group and have no producer.

        Raises:
            DuplicateIdentity: it is certain.
        """
        if not isinstance(exc, Fenced):
            return False
        if isinstance(exc, InstanceReplaced):
            self._twins.replaced()
        else:
            self._twins.fenced(exc)
        self._stand_aside_if_waiting()
        return self._twins.is_waiting

    def look_around(self) -> None:
        """Look for a twin, from time to time, while we have no partitions; if there is one, leave the group.

        Raises:
            ConfigurationError: we may not see who is in the group.
        """
        if self.assigned:
            self._twins.busy()
        elif self._is_initialised:
            self._twins.idle()
            self._stand_aside_if_waiting()

    def _stand_aside_if_waiting(self) -> None:
        if self._twins.is_waiting:
            self._session.close()
            self._is_initialised = False
            self._consumer.withdraw()

    def wait(self) -> None:
        """Wait a little outside of the group, and join again once it is known that we are alone.

        Raises:
            DuplicateIdentity: we are not.
        """
        self._consumer.poll(1_000, _POLL_S)  # leaves the group in here; what comes is not ours
        if self._twins.is_over():
            self.join()

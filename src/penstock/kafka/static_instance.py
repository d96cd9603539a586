"""A static member (`group.instance.id`) whose name another process holds: a dead predecessor, or a live twin.

In the classic protocol the newer process takes the name over and the older one is told so. It can also be told of a
membership of its own: a request to join whose answer was lost, since the coordinator stood still, has taken the name
over. So whoever is replaced leaves, and looks whether somebody lives behind the name (`runtime.twins`). Under KIP-848
the newer one is refused as long as the older is a member, dead or alive: it is asked again until a dead one would be
forgotten.
"""

from __future__ import annotations

from confluent_kafka import KafkaError

from penstock.clock import Clock, SystemClock
from penstock.errors import DuplicateIdentity, Fenced, PenstockError
from penstock.kafka.client import LOGGER

_PAUSE_S = 0.5
_MARGIN_S = 5.0

_REPLACED = KafkaError(KafkaError.FENCED_INSTANCE_ID).str()
_HELD = KafkaError(KafkaError.UNRELEASED_INSTANCE_ID).str()


class InstanceIsTaken(PenstockError):
    """Another member holds our name; the consumer is of no use any more."""

    def __init__(self, *, is_replaced: bool) -> None:
        self.is_replaced = is_replaced
        super().__init__("another member holds this group.instance.id")


class InstanceReplaced(Fenced):
    """Another membership took our `group.instance.id` over: of a live twin, or one of ours whose answer was lost."""


def raise_if_taken(error: KafkaError) -> None:
    """Tell this fatal error from others: the binding gives the code only inside the text.

    Raises:
        InstanceIsTaken: it is one.
    """
    if error.code() == KafkaError._FATAL and (_REPLACED in error.str() or _HELD in error.str()):
        raise InstanceIsTaken(is_replaced=_REPLACED in error.str())


class StaticInstance:
    """Decides whether to ask for a name again that another member holds.

    Args:
        name: of the member.
        session_timeout_s: after this a dead predecessor is forgotten; a coordinator that moves counts from anew.
        clock: time.
    """

    def __init__(self, name: str, session_timeout_s: float, clock: Clock | None = None) -> None:
        self._name = name
        self._clock = clock or SystemClock()
        self._patience_s = 2 * session_timeout_s + _MARGIN_S
        self._refused_at_s: float | None = None

    def has_joined(self) -> None:
        """The name is ours: what was before does not count any more."""
        self._refused_at_s = None

    def judge(self, taken: InstanceIsTaken) -> None:
        """Pause a little before the next try, or give up.

        Raises:
            DuplicateIdentity: it is a live one.
        """
        now_s = self._clock.monotonic_s()
        if self._refused_at_s is None:
            self._refused_at_s = now_s
            LOGGER.info("'%s' is still a member of the group: waiting until it is forgotten", self._name)
        if now_s - self._refused_at_s > self._patience_s:
            raise DuplicateIdentity(
                f"another live worker is '{self._name}' (group.instance.id); give one of them another instance name"
            ) from taken
        self._clock.sleep(_PAUSE_S)

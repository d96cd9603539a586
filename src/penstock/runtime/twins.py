"""After a fence: whether another live worker has our identity.

Whoever initialises a producer last fences the others of its name; if each of two live workers answered a fence by
initialising anew, they would fence each other for ever. So a worker that was fenced looks at the group first:

```
              fenced, and the group has another member of our name; or our name in the group was taken over
 (working) ──────────────────────────────────────────────────────► (waiting: no task, no producer, not in the group)
     ▲                                                                │ one session time-out later
     └──────── it is gone: it was the ghost of a dead one ◄───────────┤
                                                                      └──► still there after three: DuplicateIdentity
```

After one session time-out a ghost is gone, unless the coordinator moved meanwhile: the next one counts from anew. And
where the coordinator says nothing, nobody knows: that is waited for, too.

It waits *outside* of the group: of two, the one that initialised last is not fenced by anybody then, sees nobody of its
name, and goes on. So exactly one ends. A worker initialises its producer after it has joined, so that the one it fences
finds it in the group.

A worker without partitions writes nothing, so nothing tells it that it was fenced: it looks at the group from time to
time, and takes another member of its name for a fence. Not before two session time-outs have passed, so that what a
killed predecessor leaves behind in the group is gone by then and delays nobody. Of two without partitions that look at
the same moment, both would leave, come back with the same rebalance, and look at the same moment again: so the one with
the lesser member id leaves only if it sees the other a second time, by when that one must have looked, too.

In any case the third fence in five minutes ends the worker: something fences it that does not show in the group.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from penstock.clock import Clock
from penstock.errors import DuplicateIdentity, Fenced, KafkaUnavailable
from penstock.kafka.group_members import GroupMember
from penstock.kafka.group_view import Answer, Asked

LOGGER = logging.getLogger("penstock.runtime")

MAX_FENCES: Final = 3
FENCE_WINDOW_S: Final = 300.0
_MARGIN_S: Final = 0.5
_LIVES_AFTER_SESSIONS: Final = 3
_IDLE_SESSIONS: Final = 2
_SECOND_LOOK_SESSIONS: Final = _IDLE_SESSIONS + 1
_LOOK_AGAIN_S: Final = 0.5
_ANSWER_BUDGET_S: Final = 30.0
_PAUSE_S: Final = 0.02


class Twins:
    """Counts fences, and decides what each of them means.

    Args:
        writer: our `transactional.id`, which is our client id as well.
        members: asks who is in the group.
        member_id: ours, as far as the client knows now.
        session_timeout_s: after this a dead member is forgotten.
        clock: time.
    """

    def __init__(
        self,
        writer: str,
        members: Callable[[], Answer[tuple[GroupMember, ...]]],
        *,
        member_id: Callable[[], str],
        session_timeout_s: float,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._members = members
        self._member_id = member_id
        self._own_ids: set[str] = set()
        self._session_timeout_s = session_timeout_s
        self._clock = clock
        self._fenced_at_s: list[float] = []
        self._look_at_s: float | None = None
        self._lives_at_s = 0.0
        self._asked = Asked(members, clock.monotonic_s)
        self._idle_look_at_s: float | None = None
        self._is_second_look = False
        self._asking_since_s: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether we may do nothing but wait."""
        return self._look_at_s is not None

    def fenced(self, exc: Fenced) -> None:
        """We were fenced; afterwards `is_waiting` says what is to be done.

        Raises:
            DuplicateIdentity: it was the third time in five minutes.
        """
        now_s = self._clock.monotonic_s()
        self._fenced_at_s = [at_s for at_s in self._fenced_at_s if now_s - at_s < FENCE_WINDOW_S] + [now_s]
        if len(self._fenced_at_s) >= MAX_FENCES:
            raise DuplicateIdentity(
                f"fenced {MAX_FENCES} times in {FENCE_WINDOW_S:.0f} s: another live worker has this identity "
                f"('{self._writer}'); give one of them another instance name"
            ) from exc
        self._own_ids = {self._member_id()}
        others = self._others()
        if others is None:
            LOGGER.warning(
                "'%s' was fenced, and the coordinator does not say who is in the group: leaving it until that is known",
                self._writer,
            )
            self._wait()
        elif others:
            LOGGER.warning(
                "'%s' was fenced, and the group has another member of this name: leaving the group, to see in %.0f s "
                "whether it lives",
                self._writer,
                self._session_timeout_s,
            )
            self._wait()

    def busy(self) -> None:
        """We have partitions: should we be fenced, our next commit fails."""
        self._idle_look_at_s = None

    def idle(self) -> None:
        """We have none; returns at once, and afterwards `is_waiting` says what is to be done."""
        now_s = self._clock.monotonic_s()
        if self._idle_look_at_s is None:
            self._look_later(now_s, _IDLE_SESSIONS)
            self._is_second_look = False
        if self._idle_look_at_s is None or now_s < self._idle_look_at_s:
            return
        self._own_ids.add(self._member_id())
        try:
            found = self._asked.get()
        except KafkaUnavailable:
            return
        others = self._but_ourselves(found)
        # Of several of our name, all but the one with the greatest id look twice.
        stays = any(self._member_id() < other.member_id for other in others) and not self._is_second_look
        self._is_second_look = stays
        self._look_later(now_s, _SECOND_LOOK_SESSIONS if stays else _IDLE_SESSIONS)
        if others and not stays:
            LOGGER.warning(
                "'%s' has no partitions, and the group has another member of this name: leaving the group, to see in "
                "%.0f s whether it lives",
                self._writer,
                self._session_timeout_s,
            )
            self._wait()

    def _look_later(self, now_s: float, sessions: int) -> None:
        self._idle_look_at_s = now_s + sessions * self._session_timeout_s
        self._own_ids = set()
        # A question that was asked before may be answered by now, with an id that was ours then.
        self._asked = Asked(self._members, self._clock.monotonic_s)

    def replaced(self) -> None:
        """Our name in the group was taken over, and we are out of it: wait, and see whether anybody lives behind it."""
        LOGGER.warning(
            "'%s' was replaced in the group: staying out of it, to see in %.0f s whether a live worker has this name",
            self._writer,
            self._session_timeout_s,
        )
        self._own_ids = set()  # the id that took it over may be ours, of an answer that was lost; it is a ghost by now
        self._wait()

    def _wait(self) -> None:
        now_s = self._clock.monotonic_s()
        self._look_at_s = now_s + self._session_timeout_s + _MARGIN_S
        self._idle_look_at_s = None
        self._asked = Asked(self._members, self._clock.monotonic_s)
        self._lives_at_s = now_s + _LIVES_AFTER_SESSIONS * self._session_timeout_s

    def is_over(self) -> bool:
        """Whether the wait is over and we are alone: join the group again. Returns at once.

        Raises:
            DuplicateIdentity: we are not.
        """
        now_s = self._clock.monotonic_s()
        if self._look_at_s is None or now_s < self._look_at_s:
            return False
        if self._asking_since_s is None:
            self._asking_since_s = now_s
        try:
            others = self._but_ourselves(self._asked.get())
        except KafkaUnavailable:
            return False
        if now_s - self._asking_since_s > self._session_timeout_s:
            # A coordinator that was away knows the dead of then as well, and gives each a session of its own.
            self._lives_at_s = max(self._lives_at_s, now_s + _LIVES_AFTER_SESSIONS * self._session_timeout_s)
        self._asking_since_s = None
        if others and now_s < self._lives_at_s:
            self._look_at_s = now_s + _LOOK_AGAIN_S
            return False
        if others:
            hosts = ", ".join(sorted({member.host.lstrip("/") for member in others}))
            raise DuplicateIdentity(
                f"another live worker has this identity ('{self._writer}', at {hosts}); give one of them another "
                "instance name, or stop it"
            )
        self._look_at_s = None
        return True

    def _others(self) -> list[GroupMember] | None:
        """Members of our name but ourselves; None, if the coordinator does not answer in time."""
        give_up_at_s = self._clock.monotonic_s() + _ANSWER_BUDGET_S
        answer: Answer[tuple[GroupMember, ...]] | None = None
        while self._clock.monotonic_s() < give_up_at_s:
            answer = answer or self._members()
            try:
                found = answer.get()
            except KafkaUnavailable as exc:
                LOGGER.debug("who is in the group: %s", exc)
                answer = found = None
            if found is not None:
                return self._but_ourselves(found)
            self._clock.sleep(_PAUSE_S)
        return None

    def _but_ourselves(self, found: tuple[GroupMember, ...]) -> list[GroupMember]:
        """The client may be joining anew in the background, so the id it has behind an answer is ours too."""
        self._own_ids.add(self._member_id())
        return [m for m in found if m.client_id == self._writer and m.member_id not in self._own_ids]

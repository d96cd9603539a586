"""The transaction coordinator, as KIP-98 has it: no epoch per transaction, which is how librdkafka speaks to it.

```
          add partitions, offsets          end            every marker is written
 EMPTY ──────────────────────────► ONGOING ───► PREPARE_… ──────────────────────► COMPLETE_…
   ▲  ▲                              │ time-out, or another init: the epoch goes up       │
   │  └──────────────────────────────┘ and the transaction is aborted                     │
   └──────────────────────────────── init: the epoch goes up ◄────────────────────────────┘
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from penstock.testing.cluster.brokers import Seat
from penstock.testing.cluster.clock import SimulatedClock
from penstock.testing.cluster.refusal import Refusal

Partition = tuple[str, int]


class TransactionState(Enum):
    """Of one transactional id; see the drawing above."""

    EMPTY = "Empty"
    ONGOING = "Ongoing"
    PREPARE_COMMIT = "PrepareCommit"
    PREPARE_ABORT = "PrepareAbort"
    COMPLETE_COMMIT = "CompleteCommit"
    COMPLETE_ABORT = "CompleteAbort"


_RETRY_S = 0.1
# Tuples: they are asked often, and to hash a member of an enum takes longer than to look at all of them.
_PREPARED = TransactionState.PREPARE_COMMIT, TransactionState.PREPARE_ABORT
_OVER = TransactionState.EMPTY, TransactionState.COMPLETE_COMMIT, TransactionState.COMPLETE_ABORT


def seat_of(name: str) -> Seat:
    """Who coordinates this id."""
    return "transactions", name


@dataclass(slots=True)
class TransactionalId:
    """What the coordinator knows of one.

    Attributes:
        name: the id.
        producer_id: given once.
        epoch: goes up whenever somebody else may be meant.
        timeout_s: after this it aborts on its own.
        state: see there.
        serial: of its transactions so far, the present one included.
        partitions: where the transaction has written.
        groups: whose offsets are in it.
        unmarked: where its marker is still missing.
    """

    name: str
    producer_id: int
    epoch: int = -1
    timeout_s: float = 60.0
    state: TransactionState = TransactionState.EMPTY
    serial: int = 0
    partitions: set[Partition] = field(default_factory=set[Partition])
    groups: set[str] = field(default_factory=set[str])
    unmarked: set[Partition | str] = field(default_factory=set["Partition | str"])


@dataclass(frozen=True, slots=True)
class Decision:
    """A transaction that was decided.

    Attributes:
        transactional_id: whose.
        producer_id: likewise.
        epoch: of the coordinator by then.
        serial: the how manyeth of this id.
        is_commit: or it was aborted.
        at_s: when, on the cluster's clock.
    """

    transactional_id: str
    producer_id: int
    epoch: int
    serial: int
    is_commit: bool
    at_s: float


class TransactionCoordinator:
    """See the module's text.

    Args:
        clock: for time-outs.
        marker_delay_s: how long the next marker takes.
        mark_partition: writes a marker: partition, producer id, epoch, whether to commit.
        mark_group: ends a producer's pending offsets: group, producer id, epoch, whether to commit.
        is_led: whether somebody leads a partition, or coordinates a group or an id; what cannot be done now is tried
            again a little later.

    Attributes:
        decisions: all that were made, in their order.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        *,
        marker_delay_s: Callable[[], float],
        mark_partition: Callable[[Partition, int, int, bool], None],
        mark_group: Callable[[str, int, int, bool], None],
        is_led: Callable[[Seat], bool],
    ) -> None:
        self._clock = clock
        self._marker_delay_s = marker_delay_s
        self._mark_partition = mark_partition
        self._mark_group = mark_group
        self._is_led = is_led
        self._ids: dict[str, TransactionalId] = {}
        self._by_producer: dict[int, TransactionalId] = {}
        self.decisions: list[Decision] = []

    def find(self, name: str) -> TransactionalId | None:
        """What is known of an id; for checkers."""
        return self._ids.get(name)

    @property
    def open_ids(self) -> list[str]:
        """Those whose transaction is not over, every marker included."""
        return [each.name for each in self._ids.values() if each.state not in _OVER]

    def init(self, name: str, timeout_s: float) -> tuple[int, int]:
        """Producer id and a new epoch; an older producer's transaction is aborted first.

        Raises:
            Refusal: CONCURRENT_TRANSACTIONS until that is done.
        """
        known = self._ids.get(name)
        if known is None:
            known = self._ids[name] = TransactionalId(name, 1_000 + len(self._ids))
            self._by_producer[known.producer_id] = known
        if known.state is TransactionState.ONGOING:
            self._abort(known)
        if known.state in _PREPARED:
            raise Refusal("CONCURRENT_TRANSACTIONS")
        known.epoch += 1
        known.timeout_s = timeout_s
        known.state = TransactionState.EMPTY
        return known.producer_id, known.epoch

    def add_partition(self, producer_id: int, epoch: int, partition: Partition) -> None:
        """The transaction, a new one if need be, is about to write there."""
        self._ongoing(producer_id, epoch).partitions.add(partition)

    def add_group(self, producer_id: int, epoch: int, group: str) -> None:
        """The transaction, a new one if need be, is about to have offsets of this group."""
        self._ongoing(producer_id, epoch).groups.add(group)

    def verify(self, producer_id: int, epoch: int, place: Partition | str) -> None:
        """What whoever is written to asks before it takes anything (KIP-890, the part that needs no new client).

        Raises:
            Refusal: INVALID_PRODUCER_EPOCH from a fenced producer; INVALID_TXN_STATE if it is in no transaction there;
                COORDINATOR_NOT_AVAILABLE while nobody coordinates it.
        """
        known = self._by_producer[producer_id]
        if not self._is_led(seat_of(known.name)):
            raise Refusal("COORDINATOR_NOT_AVAILABLE")
        if epoch < known.epoch:
            raise Refusal("INVALID_PRODUCER_EPOCH")
        places: set[Partition | str] = {*known.partitions, *known.groups}
        if known.state is not TransactionState.ONGOING or place not in places:
            raise Refusal("INVALID_TXN_STATE")

    def end(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        """Decide the transaction; markers follow."""
        known = self._checked(producer_id, epoch)
        wanted = TransactionState.COMPLETE_COMMIT if commit else TransactionState.COMPLETE_ABORT
        prepared = TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT
        if known.state is wanted:
            return  # a request that was sent again
        if known.state is prepared:
            raise Refusal("CONCURRENT_TRANSACTIONS")
        if known.state is not TransactionState.ONGOING:
            raise Refusal("INVALID_TXN_STATE")
        self._decide(known, commit=commit)

    # ------------------------------------------------------------ within

    def _checked(self, producer_id: int, epoch: int) -> TransactionalId:
        known = self._by_producer[producer_id]
        if epoch != known.epoch:
            raise Refusal("PRODUCER_FENCED")
        return known

    def _ongoing(self, producer_id: int, epoch: int) -> TransactionalId:
        known = self._checked(producer_id, epoch)
        if known.state in _PREPARED:
            raise Refusal("CONCURRENT_TRANSACTIONS")
        if known.state is not TransactionState.ONGOING:
            known.state = TransactionState.ONGOING
            known.serial += 1
            known.partitions, known.groups = set(), set()
            serial = known.serial
            self._clock.after(known.timeout_s, lambda: self._time_out(known, serial))
        return known

    def _time_out(self, known: TransactionalId, serial: int) -> None:
        if known.state is not TransactionState.ONGOING or known.serial != serial:
            return
        if not self._is_led(seat_of(known.name)):
            self._clock.after(_RETRY_S, lambda: self._time_out(known, serial))
            return
        self._abort(known)

    def _abort(self, known: TransactionalId) -> None:
        known.epoch += 1  # so that its producer is refused from now on
        self._decide(known, commit=False)

    def _decide(self, known: TransactionalId, *, commit: bool) -> None:
        known.state = TransactionState.PREPARE_COMMIT if commit else TransactionState.PREPARE_ABORT
        known.unmarked = {*known.partitions, *known.groups}
        self.decisions.append(
            Decision(known.name, known.producer_id, known.epoch, known.serial, commit, self._clock.monotonic_s())
        )
        for place in sorted(known.unmarked, key=str):
            self._clock.after(self._marker_delay_s(), partial(self._mark, known, place, commit=commit))

    def _mark(self, known: TransactionalId, place: Partition | str, *, commit: bool) -> None:
        target: Seat = ("group", place) if isinstance(place, str) else place
        if not (self._is_led(seat_of(known.name)) and self._is_led(target)):
            self._clock.after(_RETRY_S, partial(self._mark, known, place, commit=commit))
            return
        if isinstance(place, str):
            self._mark_group(place, known.producer_id, known.epoch, commit)
        else:
            self._mark_partition(place, known.producer_id, known.epoch, commit)
        known.unmarked.discard(place)
        if not known.unmarked:
            known.state = TransactionState.COMPLETE_COMMIT if commit else TransactionState.COMPLETE_ABORT

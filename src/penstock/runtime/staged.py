"""What a batch came to, before anything of it is handed to the client."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.batch import size_of
from penstock.deadletter.envelope import Stage
from penstock.deadletter.letter import Form
from penstock.protocols import TransactionalProducer
from penstock.record import Headers


@dataclass(slots=True)
class OutputBatch:
    """Records for one topic, as parallel lists.

    Attributes:
        topic: where they go.
        keys: as bytes; None = no key.
        values: as bytes; None = tombstone.
        timestamps_ms: Kafka's timestamps to write.
        partitions: explicit ones; None for the list, or -1 in it = by key, as Java does.
        headers: per record; None where no record has any.
    """

    topic: str
    keys: list[bytes | None]
    values: list[bytes | None]
    timestamps_ms: list[int]
    partitions: list[int] | None = None
    headers: list[Headers] | None = None
    _size_bytes: int | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def size_bytes(self) -> int:
        """Of keys and values; looks at every record when it is asked for the first time."""
        if self._size_bytes is None:
            self._size_bytes = size_of(self.keys) + size_of(self.values)
        return self._size_bytes

    def extend(self, more: OutputBatch) -> None:
        """Append what goes to the same topic; the optional columns stay aligned."""
        count, added = len(self.keys), len(more.keys)
        if self.headers is not None or more.headers is not None:
            self.headers = [*(self.headers or [()] * count), *(more.headers or [()] * added)]
        if self.partitions is not None or more.partitions is not None:
            self.partitions = [*(self.partitions or [-1] * count), *(more.partitions or [-1] * added)]
        self.keys += more.keys
        self.values += more.values
        self.timestamps_ms += more.timestamps_ms
        self._size_bytes = None

    def hand_to(self, producer: TransactionalProducer) -> None:
        """Hand it over, into the open transaction.

        Raises:
            TransactionAborted: the client refused a record; discard.
            Fenced: a newer producer holds the id.
        """
        producer.produce(
            self.topic,
            self.keys,
            self.values,
            partitions=self.partitions,
            headers=self.headers,
            timestamps_ms=self.timestamps_ms,
        )


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """An input record that went no further, for good or for now.

    Attributes:
        place: its place in the source batch.
        stage: where on its way.
        operator: the operator's name; empty before the first.
        error: what was raised.
        attempts: how often it was tried, as far as is known.
        first_failed_ms: when it failed first, milliseconds since 1970 UTC; None = now.
    """

    place: int
    stage: Stage
    operator: str
    error: BaseException
    attempts: int = 1
    first_failed_ms: int | None = None


@dataclass(slots=True)
class Staged:
    """Everything that one source batch came to; its state changes stand in the transaction overlay.

    Attributes:
        outputs: in the order in which they are to be produced.
        dead: in input order.
        records: input records dealt with, dead ones included.
        filtered: of these, those that left nothing behind on purpose.
        parked: input records put away to be tried again; none of `records`.
        put_off: input records that failed and are parked, or stay so, to be tried again; at each time that they fail.
        late: records whose event time lies before the stream time that was reached in front of them.
        event_times_ms: of the records that were decoded; empty where they have no time but Kafka's timestamp.
        event_time_ms: of the last record; None where there was none.
        form: the most that its dead letters may hold.
        state_bytes: keys and values that it wrote to its stores; what is written over later is counted again.
    """

    outputs: list[OutputBatch] = field(default_factory=list[OutputBatch])
    dead: list[DeadRecord] = field(default_factory=list[DeadRecord])
    records: int = 0
    filtered: int = 0
    parked: int = 0
    put_off: list[DeadRecord] = field(default_factory=list[DeadRecord])
    late: int = 0
    event_times_ms: list[int] = field(default_factory=list[int])
    event_time_ms: int | None = None
    form: Form = Form.WHOLE
    state_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        """What it adds to a transaction at most, dead letters and headers left out."""
        return self.state_bytes + sum(each.size_bytes for each in self.outputs)

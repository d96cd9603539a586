"""The seams: what the engine asks of Kafka, of a schema registry and of a serde.

`kafka/` implements the first two on confluent-kafka; a test implements them in memory. Nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from penstock.errors import Retriable, UndecodableRecord
from penstock.record import Headers

T = TypeVar("T")

Side = Literal["key", "value"]
"""Which half of a record a serde works on."""


# ---------------------------------------------------------------- serdes


class Decoded(NamedTuple, Generic[T]):
    """What a batch of bytes became.

    Attributes:
        values: one per input, in order; None where decoding failed.
        failures: {index in the batch: why}; empty in the common case.
    """

    values: list[T | None]
    failures: dict[int, UndecodableRecord]


class Codec(Protocol[T]):
    """A serde bound to one topic and side. Works on batches; never sees None (tombstones pass it by)."""

    def encode(self, values: Sequence[T]) -> list[bytes]:
        """Encode a batch.

        Raises:
            UnencodableValue: the first value that does not fit; `index` is its place. Nothing is returned for the rest.
            RegistryUnavailable: the schema could not be looked up; retry the same call.
        """
        ...

    def decode(self, data: Sequence[bytes]) -> Decoded[T]:
        """Decode a batch; what cannot be decoded is reported in `failures`, never raised.

        Raises:
            RegistryUnavailable: a schema could not be looked up; retry the same call.
        """
        ...


class Serde(Protocol[T]):
    """How values of one type become bytes; declared on a `Topic`, bound when the topic is opened."""

    def bind(self, topic: str, side: Side, registry: SchemaRegistry | None, *, auto_register: bool = False) -> Codec[T]:
        """The codec for one side of one topic.

        `auto_register` lets it put a schema that is missing into the registry when it first encodes.

        Raises:
            ConfigurationError: the serde needs a registry and there is none.
        """
        ...


# ---------------------------------------------------------------- schema registry


class SchemaReference(msgspec.Struct, frozen=True):
    """A schema's pointer to another: `name` as used in the schema, and where it is registered."""

    name: str
    subject: str
    version: int


class RegisteredSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A schema as the registry knows it.

    Attributes:
        id: global per schema content.
        text: the schema as JSON text, as it was registered.
        references: the named types it takes from other subjects, direct ones only.
        subject: None where it was found by id.
        version: likewise.
        kind: `AVRO`, `JSON` or `PROTOBUF`; only the first is understood here.
    """

    id: int
    text: str
    references: tuple[SchemaReference, ...] = ()
    subject: str | None = None
    version: int | None = None
    kind: str = "AVRO"


class SchemaRegistry(Protocol):
    """What codecs and the `schemas` commands ask of a registry.

    Every method raises `RegistryUnavailable` when it does not answer (retry), and returns None for "not there".
    """

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        """The schema with this global id."""
        ...

    def version(self, subject: str, version: int | Literal["latest"]) -> RegisteredSchema | None:
        """One version of a subject."""
        ...

    def versions(self, subject: str) -> list[int]:
        """The versions that are not deleted, ascending; empty for an unknown subject."""
        ...

    def lookup(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema | None:
        """This very schema under this subject, if it is registered."""
        ...

    def register(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema:
        """Register under the subject; the same schema again gives the same id.

        Raises:
            ConfigurationError: refused as incompatible or invalid; the message gives the registry's words.
        """
        ...


# ---------------------------------------------------------------- Kafka


@dataclass(frozen=True, slots=True)
class GroupMetadata:
    """Proof of membership for `send_offsets_to_transaction` (KIP-447).

    `generation` and `member_id` are read out of the client's opaque object, because the coordinator accepts generation
    -1 and an empty member without any check: refusing them is ours. So is 0: a member that has not joined (KIP-848).
    """

    opaque: object
    generation: int
    member_id: str

    @property
    def is_live(self) -> bool:
        """Whether this names a member of a generation at all."""
        return self.generation > 0 and bool(self.member_id)


class InputOffsets(NamedTuple):
    """Input positions for a transaction: {partition: (next offset, metadata)}, never empty; and our membership."""

    positions: Mapping[tuple[str, int], tuple[int, str]]
    group: GroupMetadata


class RefusedRecord(NamedTuple):
    """A record that is refused for its own sake (size, time, no key): sending it again cannot help.

    `is_certain` is False where the broker refused the whole batch it was in, so that a neighbour may be the one.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    reason: str
    is_certain: bool = True


class TransactionalProducer(Protocol):
    """One client handle with a `transactional.id`. Crash-only: after any error but `Retriable`, drop it.

    Calls raise the families of `penstock.errors`; `kafka/error_map.py` maps broker codes to them.
    """

    def init_transactions(self, timeout_s: float) -> None:
        """Fence predecessors with this id; returns once their transaction is resolved."""
        ...

    def begin_transaction(self) -> None:
        """Open a transaction; sends nothing."""
        ...

    def produce(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        *,
        partitions: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
        timestamps_ms: Sequence[int] | None = None,
    ) -> None:
        """Hand a batch over, parallel lists. Partition -1, or no list, = by key hash as Java does; time 0 = now.

        A full local queue is waited out inside.
        """
        ...

    def flush(self, timeout_s: float) -> None:
        """Return once every record handed over is acknowledged; raises if any was not."""
        ...

    def send_offsets(
        self, offsets: Mapping[tuple[str, int], tuple[int, str]], group: GroupMetadata, timeout_s: float
    ) -> None:
        """Make input positions part of the transaction; never empty. `Retriable` = the same call again."""
        ...

    def commit_transaction(self, timeout_s: float) -> None:
        """Commit. On `Retriable` call this again and nothing else; `OutcomeUnknown` means ask the log."""
        ...

    def refused(self) -> list[RefusedRecord]:
        """What the broker refused since `begin_transaction`, after `flush` has raised."""
        ...

    def close(self) -> None:
        """Purge what is queued and let go of the handle, without committing."""
        ...

    def doubt(self) -> str | None:
        """Why a request may have been sent twice since the last `begin_transaction`; None = no sign of it."""
        ...


# ---------------------------------------------------------------- hooks


class TransactionHooks:
    """Told what happens to transactions; progress displays, metrics and crash tests override what they need.

    `on_step` runs right before the step it names. Hooks must return at once; what they raise ends the process.
    """

    def on_step(self, step: str) -> None:
        """The protocol is about to take this step."""

    def on_start(self, rows: int) -> None:
        """Work begins behind so many rows or records that are dealt with already."""

    def on_reject(self, stage: str, error: BaseException) -> None:
        """A producer has staged a row as a dead letter. The error's text may hold payload; its class does not."""

    def on_commit(self, records: int, dead_letters: int) -> None:
        """A transaction with so many records and dead letters became visible."""

    def on_abort(self, error: Exception) -> None:
        """The open transaction is discarded; the work is done again from the last committed position."""

    def on_rotation(self, reason: str) -> None:
        """The producer is replaced between two transactions, because a request may have been sent twice."""

    def on_retry(self, call: str, error: Retriable) -> None:
        """A call that ends a transaction, `offsets` or `commit`, was answered with this, and is made again."""

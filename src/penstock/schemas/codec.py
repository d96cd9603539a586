"""Avro in Confluent's framing, a batch at a time: 0x00, the schema id in four bytes, the datum.

Decoding: the id names the writer's schema; how it is read as the declared type is worked out once per id
(`resolution.py`). Encoding: the declared type's schema is looked up under its subject once; an id belongs to one topic
and subject, so a codec is bound to one topic and shares nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, Generic, TypeVar

from penstock.clock import Clock, SystemClock
from penstock.errors import ConfigurationError, RegistryUnavailable, UndecodableRecord, UnencodableValue
from penstock.protocols import Decoded, SchemaRegistry, Side
from penstock.schemas.classes import Classes
from penstock.schemas.ids import SchemaIds
from penstock.schemas.malformed import Malformed
from penstock.schemas.nodes import Record
from penstock.schemas.parse import AvroSchema
from penstock.schemas.reading import FRAME_BYTES, BatchReader, reason_for
from penstock.schemas.resolution import Unresolvable
from penstock.schemas.subjects import SubjectStrategy, subject
from penstock.schemas.writing import BatchWriter

T = TypeVar("T")

MAGIC: Final = b"\x00"


def schema_id_of(record: bytes | None) -> int | None:
    """The schema id in Confluent's framing; None where the bytes do not begin with such a frame."""
    if record is None or len(record) < FRAME_BYTES or record[:1] != MAGIC:
        return None
    return int.from_bytes(record[1:FRAME_BYTES], "big")


class DeclaredType:
    """One type that a codec takes and gives.

    Args:
        schema: of its values; what records are read as.
        cls: what its values are; None for plain dicts, text, numbers: whatever the schema says.

    Raises:
        ConfigurationError: the class does not fit the schema.
    """

    def __init__(self, schema: AvroSchema, cls: type | None) -> None:
        self.schema = schema
        self.cls = cls
        self.classes = Classes(schema.root, cls)


class AvroCodec(Generic[T]):
    """A `penstock.protocols.Codec` for one side of one topic.

    Args:
        types: what may be written, and read: which of several is told by the full name in the writer's schema.
        topic: the topic's name.
        side: which half of its records.
        registry: where schemas and their ids are.
        strategy: how subjects are named.
        auto_register: register a schema that its subject does not have, instead of refusing to encode.
        clock: tells when to ask again for an unknown id.
    """

    def __init__(
        self,
        types: Sequence[DeclaredType],
        topic: str,
        side: Side,
        registry: SchemaRegistry,
        *,
        strategy: SubjectStrategy = "topic",
        auto_register: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._types = tuple(types)
        self._topic = topic
        self._side: Side = side
        self._strategy: SubjectStrategy = strategy
        self._auto_register = auto_register
        self._ids = SchemaIds(registry, clock or SystemClock())
        what = f"the {side} of topic '{topic}'"
        self._writers = {each.cls: (BatchWriter(each.schema.root, each.classes, what), each) for each in types}
        self._frames: dict[type | None, bytes] = {}
        self._readers: dict[bytes, BatchReader | Malformed] = {}

    # ------------------------------------------------------------ encode

    def encode(self, values: Sequence[T]) -> list[bytes]:
        """Encode a batch.

        Raises:
            UnencodableValue: the first value that does not fit; `index` is its place.
            ConfigurationError: its schema is not registered.
            RegistryUnavailable: retry the same call.
        """
        if len(self._types) == 1:
            return self._encode_as(self._types[0].cls, values)
        encoded: list[bytes] = []
        for cls, run in groupby(values, type):
            if cls not in self._writers:
                names = ", ".join(each.schema.name or "?" for each in self._types)
                message = f"the {self._side} of topic '{self._topic}' takes {names}, not {cls.__name__}"
                raise self._misfit(UnencodableValue(message, index=len(encoded), reason="misfit"), None)
            try:
                encoded += self._encode_as(cls, list(run))
            except UnencodableValue as err:
                err.index += len(encoded)
                raise
        return encoded

    def _encode_as(self, cls: type | None, values: Sequence[Any]) -> list[bytes]:
        writer, declared = self._writers[cls]
        frame = self._frames.get(cls)
        if frame is None:
            schema = declared.schema
            if schema.name is None and self._strategy != "topic":
                raise ConfigurationError(f"subject strategy '{self._strategy}' needs a schema with a name")
            schema_id = self._ids.id_for(self._subject(declared), schema, auto_register=self._auto_register)
            frame = self._frames[cls] = MAGIC + schema_id.to_bytes(4, "big")
        try:
            return writer.write(values, frame)
        except UnencodableValue as err:
            self._misfit(err, declared)
            raise

    def _misfit(self, err: UnencodableValue, declared: DeclaredType | None) -> UnencodableValue:
        err.subject = self._subject(declared)
        return err

    def _subject(self, declared: DeclaredType | None) -> str:
        """Of a type; where it is not known which of several is meant, the topic's."""
        if declared is None:
            return subject("topic", self._topic, self._side, "")
        return subject(self._strategy, self._topic, self._side, declared.schema.name or "")

    # ------------------------------------------------------------ decode

    def decode(self, data: Sequence[bytes]) -> Decoded[T]:
        """Decode a batch; what cannot be decoded is reported in `failures`, never raised.

        Raises:
            RegistryUnavailable: a schema could not be looked up; retry the same call.
        """
        frames = {record[:FRAME_BYTES] for record in data}
        if len(frames) == 1:
            return self._decode_of_one_schema(frames.pop(), data)
        by_frame: dict[bytes, list[int]] = {}
        for index, record in enumerate(data):
            by_frame.setdefault(record[:FRAME_BYTES], []).append(index)
        values: list[T | None] = [None] * len(data)
        failures: dict[int, UndecodableRecord] = {}
        for indexes in by_frame.values():
            part = self.decode([data[index] for index in indexes])
            for index, value in zip(indexes, part.values, strict=True):
                values[index] = value
            for place, failure in part.failures.items():
                failure.index = indexes[place]
                failures[failure.index] = failure
        return Decoded(values, failures)

    def _decode_of_one_schema(self, frame: bytes, data: Sequence[bytes]) -> Decoded[T]:
        try:
            reader = self._reader(frame)
        except (RegistryUnavailable, MemoryError):
            raise  # nothing was learnt about the records
        except Exception as err:  # noqa: BLE001 - a schema that cannot be used is the fault of all that name it
            return Decoded([None] * len(data), {i: self._failure(err, each, i) for i, each in enumerate(data)})
        try:
            return Decoded(reader.read(data), {})
        except Exception:  # noqa: BLE001 - fastavro raises nearly anything; each record is judged alone
            return self._decode_each(reader, data)

    def _decode_each(self, reader: BatchReader, data: Sequence[bytes]) -> Decoded[T]:
        values: list[T | None] = []
        failures: dict[int, UndecodableRecord] = {}
        for index, record in enumerate(data):
            try:
                values += reader.read([record])
            except MemoryError:
                raise
            except Exception as err:  # noqa: BLE001 - likewise: the record is at fault, whatever it tripped
                values.append(None)
                failures[index] = self._failure(err, record, index)
        return Decoded(values, failures)

    def _failure(self, err: Exception, record: bytes, index: int) -> UndecodableRecord:
        # Other exceptions than ours may quote the payload: only their kind is told.
        told = str(err) if isinstance(err, Malformed) else f"the bytes do not fit the schema ({type(err).__name__})"
        failure = UndecodableRecord(told, reason=reason_for(err), schema_id=schema_id_of(record), index=index)
        failure.__cause__ = err
        failure.subject = self._subject(self._types[0] if len(self._types) == 1 else None)
        return failure

    def _reader(self, frame: bytes) -> BatchReader:
        known = self._readers.get(frame)
        if known is None:
            known = self._readers[frame] = self._new_reader(frame)
        if isinstance(known, Malformed):
            raise known
        return known

    def _new_reader(self, frame: bytes) -> BatchReader | Malformed:
        """How to read records behind this frame; an answer that can change later is raised instead."""
        if len(frame) < FRAME_BYTES:
            return Malformed("frame", f"{len(frame)} bytes where a frame of {FRAME_BYTES} is expected")
        if frame[:1] != MAGIC:
            return Malformed("magic_byte", "the first byte is not 0, so these are not bytes of a registry's serialiser")
        writer = self._ids.writer(int.from_bytes(frame[1:], "big"))
        declared = self._declared_for(writer)
        if declared is None:
            return Malformed("unresolvable", f"{writer.name} is none of the topic's types")
        try:
            return BatchReader(writer.root, declared.schema.root, declared.classes)
        except Unresolvable as err:
            return Malformed("unresolvable", str(err))

    def _declared_for(self, writer: AvroSchema) -> DeclaredType | None:
        """The only type; of several the one with the writer's name, or one that was called so before."""
        if len(self._types) == 1:
            return self._types[0]
        for each in self._types:
            root = each.schema.root
            if each.schema.name == writer.name or (isinstance(root, Record) and writer.name in root.aliases):
                return each
        return None

"""Which serde a declared type gets: Avro for generated classes, UTF-8 for `str`, the rest by name.

A bare `int` is refused: Java's longs, Avro and text are three ways to write one, and the reader has to know which.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar, cast, overload

import msgspec

from penstock.errors import ConfigurationError, UndecodableRecord, UnencodableValue
from penstock.protocols import Codec, Decoded, SchemaRegistry, Serde, Side
from penstock.schemas.codec import AvroCodec, DeclaredType
from penstock.schemas.defaults import LONG_RANGE
from penstock.schemas.parse import parse
from penstock.schemas.subjects import SubjectStrategy

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")

_MISFIT: Final = (TypeError, ValueError, OverflowError, RecursionError)
_UNDECODABLE: Final = (TypeError, ValueError, RecursionError)


# ---------------------------------------------------------------- one value at a time


class ValueCodec(Generic[T]):
    """A codec out of two functions of one value."""

    def __init__(self, dump: Callable[[T], bytes], load: Callable[[bytes], T], name: str, where: str) -> None:
        self._dump, self._load = dump, load
        self._name, self._where = name, where

    def encode(self, values: Sequence[T]) -> list[bytes]:
        """Encode a batch.

        Raises:
            UnencodableValue: the first value of another type; `index` is its place.
        """
        dump = self._dump
        try:
            return [dump(value) for value in values]
        except _MISFIT:
            return [self._encoded(index, value) for index, value in enumerate(values)]  # finds the culprit

    def _encoded(self, index: int, value: T) -> bytes:
        try:
            return self._dump(value)
        except _MISFIT as err:
            told = f"{self._where} takes {self._name}; a {type(value).__name__} does not fit"
            raise UnencodableValue(told, index=index, reason="misfit") from err

    def decode(self, data: Sequence[bytes]) -> Decoded[T]:
        """Decode a batch; what cannot be decoded is reported in `failures`, never raised."""
        load = self._load
        try:
            return Decoded([load(record) for record in data], {})
        except _UNDECODABLE:
            return self._decoded(data)

    def _decoded(self, data: Sequence[bytes]) -> Decoded[T]:
        """One by one, since some cannot be decoded."""
        values: list[T | None] = []
        failures: dict[int, UndecodableRecord] = {}
        for index, record in enumerate(data):
            try:
                values.append(self._load(record))
            except _UNDECODABLE as err:
                values.append(None)
                failures[index] = UndecodableRecord(
                    f"the bytes are no {self._name} ({type(err).__name__})", reason=_reason(err), index=index
                )
        return Decoded(values, failures)


def _reason(err: Exception) -> str:
    if isinstance(err, UnicodeDecodeError):
        return "utf8"
    if isinstance(err, RecursionError):
        return "too_deep"
    return "json" if isinstance(err, msgspec.MsgspecError) else "size"


class ValueSerde(Generic[T]):
    """A serde that needs no registry.

    Attributes:
        kind: the type of its values, for stores that keep them; None where it is not known.
    """

    def __init__(self, dump: Callable[[T], bytes], load: Callable[[bytes], T], name: str, kind: object = None) -> None:
        self._dump, self._load, self._name = dump, load, name
        self.kind = kind

    def bind(
        self, topic: str, side: Side, registry: SchemaRegistry | None = None, *, auto_register: bool = False
    ) -> Codec[T]:
        """The codec for one side of one topic."""
        del registry, auto_register  # every serde is bound alike
        return ValueCodec(self._dump, self._load, self._name, f"the {side} of topic '{topic}'")

    def __repr__(self) -> str:
        return f"<serde {self._name}>"


def _dump_bytes(value: bytes) -> bytes:
    return _exactly(value, bytes)


def _dump_int64(value: int) -> bytes:
    if isinstance(value, bool) or not isinstance(cast("object", value), int):
        raise TypeError
    return value.to_bytes(8, "big", signed=True)


def _load_int64(data: bytes) -> int:
    if len(data) != 8:
        raise ValueError
    return int.from_bytes(data, "big", signed=True)


def _dump_int_text(value: int) -> bytes:
    if isinstance(value, bool) or not isinstance(cast("object", value), int) or value not in LONG_RANGE:
        raise TypeError
    return b"%d" % value


def _load_int_text(data: bytes) -> int:
    # Only what we write: no spaces, no underscores, no plus, no leading zeros, all of which int() takes.
    value = int(data[:20])
    if b"%d" % value != data or value not in LONG_RANGE:
        raise ValueError
    return value


def _exactly(value: Any, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise TypeError
    return value


# Of the classes themselves: a function of our own around each would double what a short text costs.
text: Final = ValueSerde(str.encode, bytes.decode, "UTF-8 text", str)
"""`str` as UTF-8; other bytes are undecodable."""

raw: Final = ValueSerde(_dump_bytes, bytes, "bytes", bytes)
"""`bytes` as they are."""

int64: Final = ValueSerde(_dump_int64, _load_int64, "64-bit integer", int)
"""`int` as Java's `LongSerializer` writes it: 8 bytes, big-endian, signed."""

int_text: Final = ValueSerde(_dump_int_text, _load_int_text, "decimal digits", int)
"""`int` as decimal text, within 64 bits."""

avro_int: Final = '{"type":"long"}'
"""The schema for `avro(schema=...)` of a bare integer."""


@overload
def json() -> ValueSerde[Any]: ...
@overload
def json(kind: type[T]) -> ValueSerde[T]: ...
def json(kind: Any = Any) -> ValueSerde[Any]:
    """JSON by msgspec; with a type, values are checked against it when they are read, and converted.

    Args:
        kind: a class or a type that msgspec understands.
    """
    decoder = msgspec.json.Decoder(kind)
    name = "JSON" if kind is Any else f"JSON of {getattr(kind, '__qualname__', kind)}"
    return ValueSerde(msgspec.json.Encoder(order="deterministic").encode, decoder.decode, name, kind)


# ---------------------------------------------------------------- Avro


class AvroSerde(Generic[T]):
    """Avro in Confluent's framing for one or several types.

    Attributes:
        kind: the class of its values, for stores that keep them; None for several classes, or none.
    """

    def __init__(self, types: Sequence[DeclaredType], strategy: SubjectStrategy) -> None:
        self._types = tuple(types)
        self.kind: object = self._types[0].cls if len(self._types) == 1 else None
        self._strategy: SubjectStrategy = strategy

    def bind(
        self, topic: str, side: Side, registry: SchemaRegistry | None = None, *, auto_register: bool = False
    ) -> Codec[T]:
        """The codec for one side of one topic.

        Raises:
            ConfigurationError: there is no registry.
        """
        if registry is None:
            raise ConfigurationError(
                f"the {side} of topic '{topic}' is Avro, which needs a schema registry: set registry.url"
            )
        return AvroCodec(self._types, topic, side, registry, strategy=self._strategy, auto_register=auto_register)

    def __repr__(self) -> str:
        return f"<serde Avro {', '.join(each.schema.name or each.schema.canonical[:40] for each in self._types)}>"


@overload
def avro(a: type[A], /, *, subject: SubjectStrategy | None = None) -> AvroSerde[A]: ...
@overload
def avro(a: type[A], /, *, schema: str, subject: SubjectStrategy | None = None) -> AvroSerde[A]: ...
@overload
def avro(a: type[A], b: type[B], /, *, subject: SubjectStrategy | None = None) -> AvroSerde[A | B]: ...
@overload
def avro(a: type[A], b: type[B], c: type[C], /, *, subject: SubjectStrategy | None = None) -> AvroSerde[A | B | C]: ...
@overload
def avro(*types: type, subject: SubjectStrategy | None = None) -> AvroSerde[Any]: ...
@overload
def avro(*, schema: str, subject: SubjectStrategy | None = None) -> AvroSerde[Any]: ...
def avro(*types: type, schema: str | None = None, subject: SubjectStrategy | None = None) -> AvroSerde[Any]:
    """Avro for generated classes, for a class with a schema given, or for plain values with a schema given.

    Args:
        types: classes with `__avro_schema__`; several share a topic, and the writer's record name tells them apart.
        schema: JSON text for a class without `__avro_schema__` (a dataclass), or, without a class, for dicts.
        subject: how subjects are named; `topic` for one type and `topic-record` for several unless given.

    Raises:
        ConfigurationError: a class without a schema, an invalid schema, or a class that does not fit its schema.
    """
    if schema is not None:
        if len(types) > 1:
            raise ConfigurationError("avro(schema=...) goes with one class at most")
        cls = types[0] if types else None
        declared = [DeclaredType(parse(schema, source=cls.__qualname__ if cls else "avro(schema=...)"), cls)]
    else:
        declared = [_declared(cls) for cls in types]
    if not declared:
        raise ConfigurationError("avro() needs a class or a schema")
    return AvroSerde(declared, subject or ("topic" if len(declared) == 1 else "topic-record"))


def _declared(cls: type) -> DeclaredType:
    schema = getattr(cls, "__avro_schema__", None)
    if not isinstance(schema, str):
        raise ConfigurationError(
            f"{cls.__qualname__} has no __avro_schema__: generate it from an .avsc with `penstock schemas codegen`, "
            f"or declare it with avro({cls.__qualname__}, schema=...) or json({cls.__qualname__})"
        )
    return DeclaredType(parse(schema, source=f"{cls.__module__}.{cls.__qualname__}"), cls)


# ---------------------------------------------------------------- choosing


def serde_for(declared: type[T] | Serde[T]) -> Serde[T]:
    """The serde of a type, or the serde itself.

    Raises:
        ConfigurationError: a type that can be written in several ways, or in none; the message lists the choices.
    """
    if not isinstance(declared, type):
        if not callable(getattr(declared, "bind", None)):
            raise ConfigurationError(f"{declared!r} is neither a class nor a serde")
        return declared
    if declared is str:
        return cast("Serde[T]", text)
    if declared is bytes:
        return cast("Serde[T]", raw)
    if declared is int:
        raise ConfigurationError(
            "int can be written in several ways: int64 (8 bytes, as Java's LongSerializer does), int_text (decimal "
            f"digits), or avro(schema='{avro_int}'); name one"
        )
    if isinstance(getattr(declared, "__avro_schema__", None), str):
        return cast("Serde[T]", avro(declared))
    if dataclasses.is_dataclass(declared) or issubclass(declared, msgspec.Struct | dict):
        raise ConfigurationError(
            f"{declared.__qualname__} needs a serde by name: avro({declared.__qualname__}, schema=...) "
            f"or json({declared.__qualname__})"
        )
    raise ConfigurationError(
        f"no serde for {declared.__qualname__}: str, bytes, a generated Avro class, or one of "
        "avro(...), json(...), int64, int_text"
    )

"""A topic as code declares it: its name, and what its keys and values are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from penstock.errors import ConfigurationError, UndecodableRecord, UnencodableValue
from penstock.protocols import Codec, Decoded, SchemaRegistry, Serde
from penstock.schemas.serdes import serde_for

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True, init=False, eq=False)
class Topic(Generic[K, V]):
    """A topic and the types of its records. Declaring one does nothing but check; `bind` opens its serdes.

    Two topics are equal when they are the same object.

    Args:
        name: as Kafka has it.
        key: a class, or a serde for what a class does not tell.
        value: likewise.
        partitions: how many it is created with; None leaves that to whoever creates it, or to the topic that is there.
        config: Kafka's topic settings, verbatim.
        tombstones: whether a value may be null, which deletes the key in a compacted topic.

    Raises:
        ConfigurationError: an impossible name or number of partitions, or a type without a serde.
    """

    name: str
    key: Serde[K]
    value: Serde[V]
    partitions: int | None
    config: Mapping[str, str]
    tombstones: bool

    def __init__(
        self,
        name: str,
        *,
        key: type[K] | Serde[K],
        value: type[V] | Serde[V],
        partitions: int | None = None,
        config: Mapping[str, str] | None = None,
        tombstones: bool = False,
    ) -> None:
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise ConfigurationError(
                f"'{name[:300]}' is no topic name: 1 to 249 letters, digits, '.', '_' and '-', and neither '.' nor '..'"
            )
        if partitions is not None and partitions < 1:
            raise ConfigurationError(f"topic '{name}' cannot have {partitions} partitions")
        for attribute, given in (
            ("name", name),
            ("key", _serde(key, name, "key")),
            ("value", _serde(value, name, "value")),
            ("partitions", partitions),
            ("config", dict(config or {})),
            ("tombstones", tombstones),
        ):
            object.__setattr__(self, attribute, given)

    def bind(self, registry: SchemaRegistry | None = None, *, auto_register: bool = False) -> BoundTopic[K, V]:
        """Open the serdes of this topic.

        Args:
            registry: where Avro schemas are; None will do where neither side is Avro.
            auto_register: register schemas that are missing when the first record is encoded.

        Raises:
            ConfigurationError: a serde needs a registry and there is none.
        """
        return BoundTopic(
            self,
            self.key.bind(self.name, "key", registry, auto_register=auto_register),
            self.value.bind(self.name, "value", registry, auto_register=auto_register),
        )


def _serde(declared: type[T] | Serde[T], topic: str, side: str) -> Serde[T]:
    try:
        return serde_for(declared)
    except ConfigurationError as err:
        raise ConfigurationError(f"topic '{topic}', {side}: {err}") from err


class BoundTopic(Generic[K, V]):
    """A topic with its serdes opened. Works on batches; what is null passes both ways without a serde.

    Not safe for use by several threads at once.
    """

    def __init__(self, topic: Topic[K, V], key: Codec[K], value: Codec[V]) -> None:
        self.topic = topic
        self._key, self._value = key, value

    def encode_keys(self, keys: Sequence[K | None]) -> list[bytes | None]:
        """Keys as bytes; a null key stays null.

        Raises:
            UnencodableValue: the first key that does not fit, by its index.
            RegistryUnavailable: retry the same call.
        """
        return _around_nulls(self._key.encode, keys)

    def encode_values(self, values: Sequence[V | None]) -> list[bytes | None]:
        """Values as bytes; null is a tombstone.

        Raises:
            UnencodableValue: the first value that does not fit, or a null where the topic has no tombstones.
            RegistryUnavailable: retry the same call.
        """
        if not self.topic.tombstones and None in values:
            raise UnencodableValue(
                f"topic '{self.topic.name}' takes no null values; declare it with tombstones=True to delete keys",
                index=next(index for index, value in enumerate(values) if value is None),
                reason="tombstone",
            )
        return _around_nulls(self._value.encode, values)

    def decode_keys(self, data: Sequence[bytes | None]) -> Decoded[K]:
        """Keys from bytes; a null key is None and no failure."""
        return _decode_around_nulls(self._key, data)

    def decode_values(self, data: Sequence[bytes | None]) -> Decoded[V]:
        """Values from bytes; null is None, and a failure where the topic has no tombstones."""
        decoded = _decode_around_nulls(self._value, data)
        if not self.topic.tombstones and None in data:
            for index in (index for index, record in enumerate(data) if record is None):
                decoded.failures[index] = UndecodableRecord(
                    "a null value, and the topic is declared without tombstones", reason="tombstone", index=index
                )
        return decoded


def _around_nulls(encode: Callable[[Sequence[T]], list[bytes]], values: Sequence[T | None]) -> list[bytes | None]:
    if None not in values:
        return cast("list[bytes | None]", encode(cast("Sequence[T]", values)))
    there = [index for index, value in enumerate(values) if value is not None]
    encoded: list[bytes | None] = [None] * len(values)
    try:
        parts = encode([cast("T", values[index]) for index in there])
    except UnencodableValue as err:
        err.index = there[err.index]
        raise
    for index, part in zip(there, parts, strict=True):
        encoded[index] = part
    return encoded


def _decode_around_nulls(codec: Codec[T], data: Sequence[bytes | None]) -> Decoded[T]:
    if None not in data:
        return codec.decode(cast("Sequence[bytes]", data))
    there = [index for index, record in enumerate(data) if record is not None]
    part = codec.decode([cast("bytes", data[index]) for index in there])
    values: list[T | None] = [None] * len(data)
    for index, value in zip(there, part.values, strict=True):
        values[index] = value
    failures: dict[int, UndecodableRecord] = {}
    for place, failure in part.failures.items():
        failure.index = there[place]
        failures[failure.index] = failure
    return Decoded(values, failures)

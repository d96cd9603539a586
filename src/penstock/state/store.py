"""One store of one task, typed: what a processor gets from its context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar, overload

from penstock.errors import ConfigurationError, OperatorMustDecide, UnencodableValue
from penstock.state.changelog import end_of_prefix, store_prefix
from penstock.state.entry import Entry
from penstock.state.key_codec import BytesKey, TextKey, TupleKey
from penstock.state.spec import StoreSpec
from penstock.state.task_state import TaskState
from penstock.state.value_codec import REFUSED

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
E = TypeVar("E")
T = TypeVar("T")

_NO_KEY = (AttributeError, TypeError, ValueError, OverflowError)

_KNOWN_ENTRIES: Final = 16_384
_KNOWN_BYTES: Final = 1_024
"""Longer values are decoded anew each time: what one store knows stays within tens of megabytes."""


class Store(Generic[K, V]):
    """A keyed store as the record in hand sees it: its batch over its transaction over what is committed.

    What is returned is the caller's own, and what was put is stored as it was at that moment: changing either changes
    nothing until the next `put`.

    Operators that work on columns take the keys of a batch at once (`full_keys`) and then go by those.
    """

    def __init__(self, spec: StoreSpec[K, V], state: TaskState) -> None:
        self.spec = spec
        self._state = state
        self._prefix = store_prefix(spec.name)
        self._keys = spec.key_codec()
        self._values = spec.value_codec()
        # Looked up once, for they are used for every record.
        self._stored, self._is_shared = self._values.stored, self._values.is_shared
        self._max_entry_bytes = state.max_entry_bytes
        # A text key's own method costs half of the codec's, and refuses the same.
        keys: Any = self._keys
        self._encode_key: Callable[[Any], bytes] = str.encode if isinstance(keys, TextKey) else keys.encode
        # {full key: (bytes, value)} where values may be shared. An entry holds as long as its bytes are the very object
        # that the layers give for the key, so no commit, drop or discard can leave a stale one behind.
        self._known: dict[bytes, tuple[bytes, V]] = {}

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: D | None = None) -> V | D | None:
        """The key's value, or the default.

        Raises:
            UnencodableValue: the key is not of the store's key type.
            OperatorMustDecide: the stored value does not fit the store's type.
        """
        entry = self.entry(self._full_key(key))
        return default if entry is None else entry[1]

    def put(self, key: K, value: V) -> None:
        """Store a value under the key, in place of the one before.

        Raises:
            UnencodableValue: key or value does not fit its type, or both are too long together; `field` says where.
        """
        self.write(self._full_key(key), value)

    def full_keys(self, keys: Sequence[K]) -> list[bytes]:
        """The keys of a batch as the layers have them, in their order.

        Raises:
            UnencodableValue: one of them is not of the store's key type.
        """
        prefix, encode = self._prefix, self._encode_key
        try:
            return [prefix + encode(key) for key in keys]
        except _NO_KEY:
            return list(map(self._full_key, keys))  # finds the culprit

    def entry(self, full_key: bytes) -> tuple[bytes, V] | None:
        """What is stored under a full key, as bytes and as the value; None = nothing.

        Raises:
            OperatorMustDecide: the stored value does not fit the store's type.
        """
        data = self._state.read(full_key)
        if data is None:
            return None
        known = self._known.get(full_key)
        if known is not None and known[0] is data:
            return known
        entry = data, self._values.decode(data)
        self._know(full_key, entry)
        return entry

    def write(self, full_key: bytes, value: V) -> None:
        """`put`, under a full key."""
        entry = self._stored(value)
        data = entry[0]
        if len(full_key) + len(data) > self._max_entry_bytes:
            raise self._too_large(full_key, len(data))
        self._state.write(full_key, data)
        self._know(full_key, entry)

    def fold(
        self: Store[K, Entry[E]],
        full_keys: Sequence[bytes],
        values: Sequence[T],
        timestamps_ms: Sequence[int],
        first: Callable[[T], E],
        following: Callable[[E, T], E],
    ) -> tuple[list[E], list[int]]:
        """One key after the other: `first(value)` where nothing is stored, else `following(what is stored, value)`.

        Beside it stands the latest of the timestamps that went into it. The same as `entry` and `write` for each key,
        at less than half of their cost. Of what they keep decoded nothing is used: beyond a few thousand keys it has
        left the processor's cache by the time a key comes again, and to look for it costs more than to decode.

        Returns:
            What was stored, in the order of the keys: results, and their timestamps.

        Raises:
            UnencodableValue: a result does not fit.
            OperatorMustDecide: a stored value does not fit the store's type.
        """
        batch, transaction, committed = self._state.layers()
        codec, most = self._values, self._max_entry_bytes
        decode, write, read, mark = codec.decode, codec.write, codec.read, codec.mark
        version = mark[0]
        fresh: dict[bytes, Entry[E]] = {}  # what was stored by this very call, for keys that come again
        results: list[E] = []
        latest_ms: list[int] = []
        begun: list[bytes] = []
        try:
            for key, value, time_ms in zip(full_keys, values, timestamps_ms, strict=True):
                entry = fresh.get(key)
                if entry is None:
                    data = (
                        batch[key] if key in batch else transaction[key] if key in transaction else committed.get(key)
                    )
                    try:
                        entry = None if data is None else read(data[1:]) if data[0] == version else decode(data)
                    except REFUSED:
                        decode(data or b"")  # which has the words for it
                        raise
                if entry is None:
                    result = first(value)
                    begun.append(key)
                else:
                    so_far, before_ms = entry
                    result = following(so_far, value)
                    if before_ms > time_ms:  # noqa: PLR1730 - a call of `max` would cost as much as both look-ups
                        time_ms = before_ms  # noqa: PLW2901
                made = result, time_ms
                try:
                    body = write(made)
                    fresh[key] = read(body)
                except REFUSED:
                    self._stored(made)  # which has the words for it
                    raise
                if len(key) + len(body) + 1 > most:
                    raise self._too_large(key, len(body) + 1)
                batch[key] = mark + body
                results.append(result)
                latest_ms.append(time_ms)
        finally:
            self._state.added(begun)
        return results, latest_ms

    def _too_large(self, full_key: bytes, size: int) -> UnencodableValue:
        return UnencodableValue(
            f"store '{self.spec.name}': key and value have {len(full_key) + size:,} bytes, "
            f"{self._max_entry_bytes:,} are allowed; store less under one key",
            reason="too_large",
        )

    def delete(self, key: K) -> None:
        """Remove the key; nothing happens if it is not there.

        Raises:
            UnencodableValue: the key is not of the store's key type.
        """
        self.remove(self._full_key(key))

    def remove(self, full_key: bytes) -> None:
        """`delete`, under a full key."""
        if self._state.read(full_key) is not None:
            self._state.write(full_key, None)

    def scan(self, start: K | None = None, stop: K | None = None) -> Iterator[tuple[K, V]]:
        """Keys and values in the order of the keys, from `start` up to `stop`, the latter excluded; None = no bound.

        The store may be changed on the way, deleting what was just returned for instance: what lies ahead is seen as it
        is when the scan gets there.
        """
        first = self._prefix if start is None else self._full_key(start)
        return self._between(first, end_of_prefix(self._prefix) if stop is None else self._full_key(stop))

    def prefix(self, prefix: K | tuple[Any, ...]) -> Iterator[tuple[K, V]]:
        """All whose key begins with `prefix`: text or bytes, or the first components of a tuple. Otherwise as `scan`.

        Raises:
            ConfigurationError: the store's keys are numbers, or have a codec of their own.
        """
        first = self._prefix + self._key_prefix(prefix)
        return self._between(first, end_of_prefix(first))

    def count(self) -> int:
        """Number of keys. The first call sorts the store's keys, later ones cost nothing."""
        return len(self._state.order(self._prefix))

    def _between(self, start: bytes, stop: bytes | None) -> Iterator[tuple[K, V]]:
        for key in self._state.order(self._prefix).between(start, stop):
            data = self._state.read(key)
            if data is not None:
                yield self._decoded_key(key[len(self._prefix) :]), self._values.decode(data)

    def _know(self, full_key: bytes, entry: tuple[bytes, V]) -> None:
        if self._is_shared and len(entry[0]) <= _KNOWN_BYTES:
            known = self._known
            if len(known) >= _KNOWN_ENTRIES:
                known.clear()
            known[full_key] = entry

    def _full_key(self, key: K) -> bytes:
        try:
            return self._prefix + self._encode_key(key)
        except _NO_KEY:
            # Without the cause: the Unicode codec quotes the key in its message.
            raise self._no_key(key) from None

    def _key_prefix(self, prefix: Any) -> bytes:
        codec: Any = self._keys
        try:
            if isinstance(codec, TupleKey):
                return codec.encode_first(prefix)
            if isinstance(codec, TextKey | BytesKey):
                return bytes(codec.encode(prefix))
        except _NO_KEY:
            raise self._no_key(prefix) from None  # as above
        raise ConfigurationError(
            f"store '{self.spec.name}': only keys of text, bytes and tuples have prefixes; use scan(start, stop)"
        )

    def _no_key(self, key: object) -> UnencodableValue:
        return UnencodableValue(
            f"store '{self.spec.name}': a key that does not fit its key type (got {type(key).__name__})",
            field="key",
            reason="misfit",
        )

    def _decoded_key(self, data: bytes) -> K:
        try:
            return self._keys.decode(data)
        except (ValueError, TypeError):
            raise OperatorMustDecide(
                f"store '{self.spec.name}': a stored key does not fit its key type; run the code that wrote it, "
                "or give the store of the new type another name"
            ) from None  # as above

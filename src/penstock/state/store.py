"""One store of one task, typed: what a processor gets from its context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from operator import add
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
        at half of their cost; where no key comes twice it is done column by column, for a fifth less still.

        Returns:
            What was stored, in the order of the keys: results, and their timestamps.

        Raises:
            UnencodableValue: a result does not fit.
            OperatorMustDecide: a stored value does not fit the store's type.
        """
        fold = self._fold_columns if len(set(full_keys)) == len(full_keys) else self._fold_rows
        return fold(full_keys, values, timestamps_ms, first, following)

    def _fold_columns(
        self: Store[K, Entry[E]],
        full_keys: Sequence[bytes],
        values: Sequence[T],
        timestamps_ms: Sequence[int],
        first: Callable[[T], E],
        following: Callable[[E, T], E],
    ) -> tuple[list[E], list[int]]:
        """Where no key comes twice: nothing that is read was written on the way."""
        batch, transaction, committed = self._state.layers()
        stored = list(map(committed.get, full_keys))
        for layer in (transaction, batch):
            if layer:
                stored = list(map(layer.get, full_keys, stored))
        codec = self._values
        decode = codec.decode
        before = [
            None if data is None else known[1] if known is not None and known[0] is data else decode(data)
            for data, known in zip(stored, map(self._known.get, full_keys), strict=True)
        ]
        results = [
            first(value) if entry is None else following(entry[0], value)
            for entry, value in zip(before, values, strict=True)
        ]
        latest_ms = [
            time_ms if entry is None or entry[1] < time_ms else entry[1]
            for entry, time_ms in zip(before, timestamps_ms, strict=True)
        ]
        try:
            bodies = list(map(codec.write, zip(results, latest_ms, strict=True)))
            read_back = list(map(codec.read, bodies))
        except REFUSED:
            for made in zip(results, latest_ms, strict=True):
                self._stored(made)  # finds the culprit, and has the words for it
            raise
        data = list(map(add, repeat(codec.mark), bodies))
        for key, size in zip(full_keys, map(len, data), strict=True):
            if len(key) + size > self._max_entry_bytes:
                raise self._too_large(key, size)
        batch.update(zip(full_keys, data, strict=True))
        self._state.added(key for key, entry in zip(full_keys, before, strict=True) if entry is None)
        self._know_all(full_keys, data, read_back)
        return results, latest_ms

    def _fold_rows(
        self: Store[K, Entry[E]],
        full_keys: Sequence[bytes],
        values: Sequence[T],
        timestamps_ms: Sequence[int],
        first: Callable[[T], E],
        following: Callable[[E, T], E],
    ) -> tuple[list[E], list[int]]:
        """One after the other: a key may come again."""
        batch, transaction, committed = self._state.layers()
        known, codec, is_shared, most = self._known, self._values, self._is_shared, self._max_entry_bytes
        decode, write, read, mark = codec.decode, codec.write, codec.read, codec.mark
        results: list[E] = []
        latest_ms: list[int] = []
        begun: list[bytes] = []
        try:
            for key, value, time_ms in zip(full_keys, values, timestamps_ms, strict=True):
                data = batch[key] if key in batch else transaction[key] if key in transaction else committed.get(key)
                if data is None:
                    result = first(value)
                else:
                    entry = known.get(key)
                    so_far, before_ms = entry[1] if entry is not None and entry[0] is data else decode(data)
                    result = following(so_far, value)
                    if before_ms > time_ms:  # noqa: PLR1730 - a call of `max` would cost as much as both look-ups
                        time_ms = before_ms  # noqa: PLW2901
                made = result, time_ms
                try:
                    body = write(made)
                    read_back = read(body)
                except REFUSED:
                    self._stored(made)  # which has the words for it
                    raise
                if len(key) + len(body) + 1 > most:
                    raise self._too_large(key, len(body) + 1)
                if data is None:
                    begun.append(key)
                data = mark + body
                batch[key] = data
                if is_shared and len(data) <= _KNOWN_BYTES:  # as `_know`, whose call would cost a tenth of the loop
                    if len(known) >= _KNOWN_ENTRIES:
                        known.clear()
                    known[key] = data, read_back
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

    def _know_all(self, full_keys: Sequence[bytes], data: Sequence[bytes], read_back: Sequence[V]) -> None:
        """`_know` for each."""
        if not self._is_shared:
            return
        if len(self._known) + len(full_keys) > _KNOWN_ENTRIES:
            self._known.clear()
        if max(map(len, data), default=0) <= _KNOWN_BYTES:
            self._known.update(zip(full_keys, zip(data, read_back, strict=True), strict=True))
        else:
            for key, entry in zip(full_keys, zip(data, read_back, strict=True), strict=True):
                self._know(key, entry)

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

"""What a table's store holds under a key: the value, and the latest of the Kafka timestamps that it came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from penstock.state.key_codec import KeyCodec
from penstock.state.spec import StoreSpec

K = TypeVar("K")
V = TypeVar("V")


Entry = tuple[V, int]
"""(value, timestamp in milliseconds). A pair: stored as an array, it costs nine bytes more than the value."""


def entry_store(
    name: str,
    key: type[K] | KeyCodec[K],
    value: type[V],
    version: int = 1,
    upgrade: Callable[[int, Any], V] | None = None,
) -> StoreSpec[K, Entry[V]]:
    """The store of a table whose values have this type.

    Raises:
        ConfigurationError: see `StoreSpec`.
    """
    entry: Any = tuple[value, int]  # type: ignore[valid-type]  # made at run time, for msgspec to read

    def upgraded(older: int, stored: Any) -> Entry[V]:
        assert upgrade is not None  # noqa: S101 - it is passed on only where there is one
        return upgrade(older, stored[0]), stored[1]

    return StoreSpec(name, key=key, value=entry, version=version, upgrade=None if upgrade is None else upgraded)

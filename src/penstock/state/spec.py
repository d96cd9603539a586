"""What a user declares a store with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from penstock.errors import ConfigurationError
from penstock.state.changelog import NAME
from penstock.state.key_codec import KeyCodec, key_codec
from penstock.state.value_codec import HIGHEST_VERSION, ValueCodec

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class StoreSpec(Generic[K, V]):
    """A keyed store: `StoreSpec("balances", key=str, value=int)`.

    Its name is part of the state's form: renaming it is a migration.

    Attributes:
        name: `[a-z][a-z0-9-]{0,62}`, unique in the pipeline.
        key: str, bytes, int, a tuple type of these (`tuple[str, int]`), or an object with `encode` and `decode`.
        value: anything msgspec can carry; a frozen struct is fastest.
        version: of the value type, 1 to 239; raise it when stored values no longer fit.
        upgrade: makes a value out of (older version, older value as maps by field name); needed above version 1.

    Raises:
        ConfigurationError: the name, the types or the version are not possible; the message says which.
    """

    name: str
    key: type[K] | KeyCodec[K]
    value: type[V]
    version: int = 1
    upgrade: Callable[[int, Any], V] | None = None

    def __post_init__(self) -> None:
        """Refuse at once what could not work later."""
        if not NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"store name {self.name[:100]!r}: use lower-case letters, digits and dashes, a letter first, at most 63"
            )
        if not 1 <= self.version <= HIGHEST_VERSION:
            raise ConfigurationError(f"store '{self.name}': version= is 1 to {HIGHEST_VERSION}, not {self.version}")
        if self.version > 1 and self.upgrade is None:
            raise ConfigurationError(
                f"store '{self.name}': version {self.version} needs upgrade=, a function that makes a value out of "
                "(older version, older value); to begin anew, give the store another name"
            )
        self.key_codec()
        self.value_codec()

    def key_codec(self) -> KeyCodec[K]:
        """The codec of its keys."""
        return key_codec(self.key, self.name)

    def value_codec(self) -> ValueCodec[V]:
        """A new codec of its values, with a memo of its own."""
        return ValueCodec(self.name, self.value, self.version, self.upgrade)

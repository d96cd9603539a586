"""Stored values: one byte with the version of the store's value type, then MessagePack with maps by field name.

A value is read back when it is put: what the store takes, it can return. So a value of the wrong type is found while
its record is at hand, and `get` gives the same before and after a restart (a list put into a tuple's place is a tuple
at once, not only when the task was restored). Sets are written in order, since a process' own order of them is random.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, TypeVar, cast

import msgspec

from penstock.errors import ConfigurationError, OperatorMustDecide, UnencodableValue
from penstock.state.value_types import facts_of

V = TypeVar("V")

HIGHEST_VERSION: Final = 239
"""Bytes from 240 on are kept for other forms than this one."""

REFUSED: Final = (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError, msgspec.MsgspecError)
_PLACE: Final = re.compile(r" - at `\$(.*)`$")
_WHY: Final[dict[type[Exception], str]] = {
    OverflowError: "a whole number beyond -2^63 to 2^64 - 1",
    RecursionError: "nested too deeply, or in itself",
    UnicodeEncodeError: "text that is not Unicode (a lone surrogate)",
}
_NO_PAYLOAD: Final = re.compile(r"Expected `[^`]*`(, got `[^`]*`)?|Object missing required field `[^`]*`")
"""msgspec's messages that hold no payload; others may quote the value."""


class ValueCodec(Generic[V]):
    """Encodes and decodes the values of one store.

    Args:
        store: its name, for messages.
        declared: the type of its values.
        version: of that type, 1 to 239.
        upgrade: makes a value out of (older version, the older value in plain maps, lists and scalars).

    Raises:
        ConfigurationError: MessagePack cannot carry the type.

    Attributes:
        is_shared: nobody can change a value of the type, so that two readers may have the same one.
        mark, write, read: what `stored` is made of, for a loop that cannot afford its call: the bytes are
            `mark + write(value)`, the value stored is `read(write(value))`. They raise one of `REFUSED`, for which
            `stored` has words.
    """

    def __init__(
        self, store: str, declared: type[V], version: int, upgrade: Callable[[int, Any], V] | None = None
    ) -> None:
        self._store = store
        self._version = version
        self.mark = bytes([version])
        self._upgrade = upgrade
        try:
            facts = facts_of(declared)
            order: Literal["deterministic"] | None = "deterministic" if facts.holds_sets else None
            self.write: Callable[[Any], bytes] = msgspec.msgpack.Encoder(order=order).encode
            self.read: Callable[[bytes], V] = msgspec.msgpack.Decoder(declared).decode
            self.is_shared = facts.is_immutable
        except TypeError as err:
            raise ConfigurationError(f"store '{store}': its value type cannot be stored: {err}") from err

    def encode(self, value: V) -> bytes:
        """The value's bytes; raises as `stored`."""
        return self.stored(value)[0]

    def stored(self, value: V) -> tuple[bytes, V]:
        """The value's bytes, and the value that they give.

        Raises:
            UnencodableValue: it does not fit its type, or MessagePack; `field` says where.
        """
        try:
            body = self.write(value)
            read_back = self.read(body)
        except REFUSED as err:
            # Without the cause: msgspec and the Unicode codec quote the value in their messages.
            raise self._unencodable(value, err) from None
        return self.mark + body, read_back

    def decode(self, data: bytes) -> V:
        """The value in these bytes; the caller's own where it could be changed.

        Raises:
            OperatorMustDecide: the store's type does not fit what was stored; the message says what to declare.
        """
        try:
            return self.read(data[1:]) if data[0] == self._version else self._upgraded(data)
        except msgspec.MsgspecError as err:
            place, what = _place_and_kind(err)
            raise OperatorMustDecide(
                f"store '{self._store}': a stored value of version {data[0]} does not fit its type{place}{what}; "
                "if the type was changed, declare the store with the next version= and an upgrade=, else run the code "
                "that wrote it"
            ) from None  # as above

    def _upgraded(self, data: bytes) -> V:
        older = data[0]
        if older > self._version or self._upgrade is None:
            raise OperatorMustDecide(
                f"store '{self._store}': a value of version {older}, this code reads up to {self._version}; "
                "run the code that wrote it, or a later one"
            )
        raw = msgspec.msgpack.decode(data[1:])
        try:
            upgraded = self._upgrade(older, raw)
        except Exception as err:
            # User code; whatever it raises, the state cannot be read with it.
            raise OperatorMustDecide(
                f"store '{self._store}': upgrade= failed for a value of version {older}; mend it, or run the older code"
            ) from err
        return self.read(self.write(upgraded))

    def _unencodable(self, value: V, err: Exception) -> UnencodableValue:
        if isinstance(err, msgspec.MsgspecError):
            place, what = _place_and_kind(err)
            field = place.removeprefix(" at ").strip("'")
            return UnencodableValue(
                f"store '{self._store}': the value does not fit its type{place}{what}", field=field, reason="misfit"
            )
        field = _offending_field(self.write, value)
        at = f" at '{field}'" if field else ""
        what = _WHY.get(type(err), "a value of a type that MessagePack cannot carry")
        return UnencodableValue(f"store '{self._store}': {what}{at}", field=field, reason="misfit")


def _place_and_kind(err: Exception) -> tuple[str, str]:
    """Where a value does not fit, and how if msgspec's words hold no payload."""
    text = str(err)
    place = _PLACE.search(text)
    kind = _NO_PAYLOAD.match(text)
    path = place[1].lstrip(".") if place else ""
    return f" at '{path}'" if path else "", f" ({kind[0]})" if kind else ""


def _offending_field(write: Callable[[Any], bytes], value: object) -> str:
    """Dotted path to the innermost part that cannot be written; keys of maps are payload and stay out of it."""
    for name, part in _parts(value):
        try:
            write(part)
        except RecursionError:
            return name.lstrip(".")
        except REFUSED:
            return (name + _joined(_offending_field(write, part))).lstrip(".")
    return ""


def _joined(rest: str) -> str:
    return rest if not rest or rest.startswith("[") else f".{rest}"


def _parts(value: object) -> list[tuple[str, object]]:
    if isinstance(value, msgspec.Struct):
        return [(f".{name}", getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, dict):
        return [("[...]", part) for part in cast("dict[object, object]", value).values()]
    if isinstance(value, list | tuple):
        return [(f"[{i}]", part) for i, part in enumerate(cast("list[object]", value))]
    return []

"""State keys as bytes whose order is the order of the keys, so that scans are ordered.

    str     UTF-8 (order of code points)
    bytes   as they are
    int     eight bytes, big-endian, with the sign bit flipped; -2^63 to 2^63 - 1
    tuple   its components one behind the other; text and bytes inside end with 00 01, a zero byte in them is 00 FF

The end mark makes the first components of a tuple a prefix of its key, and no component a prefix of a longer one.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeVar, cast, get_args, get_origin

from penstock.errors import ConfigurationError

K = TypeVar("K")

_SIGN: Final = 1 << 63
_END: Final = b"\x00\x01"
_ZERO: Final = b"\x00\xff"


class KeyCodec(Protocol[K]):
    """How keys of one type become bytes and back.

    Equal keys give equal bytes. Scans return keys in the order of their bytes.
    """

    def encode(self, key: K) -> bytes:
        """The key's bytes; raises a `ValueError`, `TypeError` or `AttributeError` for what is no such key."""
        ...

    def decode(self, data: bytes) -> K:
        """The key in these bytes."""
        ...


class TextKey:
    """Text, as UTF-8."""

    def encode(self, key: str) -> bytes:
        """UTF-8; lone surrogates are refused."""
        return key.encode()

    def decode(self, data: bytes) -> str:
        """The text."""
        return data.decode()


class BytesKey:
    """Bytes, as they are."""

    def encode(self, key: bytes) -> bytes:
        """The same bytes."""
        return b"".join((key,))  # costs nothing, and refuses what is not bytes

    def decode(self, data: bytes) -> bytes:
        """The same bytes."""
        return data


class IntKey:
    """Whole numbers of 64 bits."""

    def encode(self, key: int) -> bytes:
        """Eight bytes; what does not fit is refused."""
        return (key + _SIGN).to_bytes(8, "big")

    def decode(self, data: bytes) -> int:
        """The number."""
        return int.from_bytes(data, "big") - _SIGN


class TupleKey:
    """Tuples of a fixed shape of str, bytes and int.

    Args:
        components: the type of each.
    """

    def __init__(self, components: tuple[type, ...]) -> None:
        self._components = components

    def encode(self, key: tuple[Any, ...]) -> bytes:
        """All components; a tuple of another length is refused."""
        if len(key) != len(self._components):
            raise ValueError(f"{len(key)} components")
        return self.encode_first(key)

    def encode_first(self, key: tuple[Any, ...]) -> bytes:
        """What the key of every tuple that begins with these components begins with."""
        if len(key) > len(self._components):
            raise ValueError(f"{len(key)} components")
        return b"".join(map(_encode_component, self._components, key))

    def decode(self, data: bytes) -> tuple[Any, ...]:
        """The components."""
        found: list[Any] = []
        for component in self._components:
            if component is int:
                found.append(_INT.decode(data[:8]))
                data = data[8:]
            else:
                end = data.index(_END)
                part = data[:end].replace(_ZERO, b"\x00")
                found.append(part if component is bytes else part.decode())
                data = data[end + 2 :]
        return tuple(found)


_TEXT: Final = TextKey()
_BYTES: Final = BytesKey()
_INT: Final = IntKey()
_SIMPLE: Final[dict[Any, KeyCodec[Any]]] = {str: _TEXT, bytes: _BYTES, int: _INT}


def _encode_component(component: type, part: Any) -> bytes:
    if component is int:
        return _INT.encode(part)
    data: bytes = _SIMPLE[component].encode(part)
    return data.replace(b"\x00", _ZERO) + _END


def key_codec(key: type[K] | KeyCodec[K], store: str) -> KeyCodec[K]:
    """The codec for a store's key type.

    Raises:
        ConfigurationError: no key type, and no codec either; the message lists what there is.
    """
    declared: Any = key
    codec: Any = _SIMPLE.get(declared)
    if codec is not None:
        return cast("KeyCodec[K]", codec)
    components = get_args(declared)
    if get_origin(declared) is tuple and components and all(each in _SIMPLE for each in components):
        codec = TupleKey(components)
        return cast("KeyCodec[K]", codec)
    if not isinstance(declared, type) and hasattr(declared, "encode") and hasattr(declared, "decode"):
        return cast("KeyCodec[K]", declared)
    raise ConfigurationError(
        f"store '{store}': its key type is none of str, bytes, int and tuples of these of a fixed length; "
        "choose one of them, or pass an object with encode(key) -> bytes and decode(bytes) -> key"
    )

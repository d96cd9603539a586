"""MessagePack, decoded from its specification alone: the verdict's own reader of what is in a changelog.

It knows what state is written in: nothing, truth, numbers, text, bytes, lists, maps and timestamps; a timestamp becomes
milliseconds since 1970 UTC. Source: https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

_TIMESTAMP: Final = 255  # type -1, as a byte


def decode(data: bytes) -> Any:
    """The value in `data`, all of it.

    Raises:
        ValueError: bytes are missing or left over, or of a form that the demo has no use for.
    """
    reader = _Reader(data)
    try:
        value = reader.value()
    except (struct.error, IndexError) as err:
        raise ValueError("bytes are missing") from err
    if reader.at != len(data):
        raise ValueError("bytes are left over")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def value(self) -> Any:
        first = self.number(">B")
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first < 0x90:
            return self.map(first & 0x0F)
        if first < 0xA0:
            return self.items(first & 0x0F)
        if first < 0xC0:
            return self.raw(first & 0x1F).decode()
        if first not in _FORMS:
            raise ValueError(f"{first:#04x}: not a form of the demo's state")
        return _FORMS[first](self)

    def number(self, form: str) -> Any:
        (number,) = struct.unpack_from(form, self._data, self.at)
        self.at += struct.calcsize(form)
        return number

    def raw(self, length: int) -> bytes:
        data = self._data[self.at : self.at + length]
        if len(data) < length:
            raise ValueError("bytes are missing")
        self.at += length
        return data

    def items(self, length: int) -> list[Any]:
        return [self.value() for _ in range(length)]

    def map(self, length: int) -> dict[Any, Any]:
        return {self.value(): self.value() for _ in range(length)}

    def time_ms(self, length: int) -> int:
        if self.number(">B") != _TIMESTAMP:
            raise ValueError("an extension that is no timestamp")
        nanoseconds = 0
        if length == 4:
            seconds = self.number(">I")
        elif length == 8:
            both = self.number(">Q")
            nanoseconds, seconds = both >> 34, both & (1 << 34) - 1
        else:
            nanoseconds, seconds = self.number(">I"), self.number(">q")
        return int(seconds) * 1000 + int(nanoseconds) // 1_000_000


_FORMS: Final[dict[int, Callable[[Any], Any]]] = {
    0xC0: lambda _: None,
    0xC2: lambda _: False,
    0xC3: lambda _: True,
    0xC4: lambda r: r.raw(r.number(">B")),
    0xC7: lambda r: r.time_ms(r.number(">B")),
    0xCA: lambda r: r.number(">f"),
    0xCB: lambda r: r.number(">d"),
    0xCC: lambda r: r.number(">B"),
    0xCD: lambda r: r.number(">H"),
    0xCE: lambda r: r.number(">I"),
    0xCF: lambda r: r.number(">Q"),
    0xD0: lambda r: r.number(">b"),
    0xD1: lambda r: r.number(">h"),
    0xD2: lambda r: r.number(">i"),
    0xD3: lambda r: r.number(">q"),
    0xD6: lambda r: r.time_ms(4),
    0xD7: lambda r: r.time_ms(8),
    0xD9: lambda r: r.raw(r.number(">B")).decode(),
    0xDA: lambda r: r.raw(r.number(">H")).decode(),
    0xDB: lambda r: r.raw(r.number(">I")).decode(),
    0xDC: lambda r: r.items(r.number(">H")),
    0xDE: lambda r: r.map(r.number(">H")),
}

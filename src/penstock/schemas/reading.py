"""Decode a batch of one writer's schema into the reader's values.

fastavro reads the bytes by the plan of `resolution.py`, through its inner `_read_data`: the public entry parses the
schema again for every record, which costs a fifth. What fastavro would accept or die of is kept from it:

| danger | kept off by |
|---|---|
| negative union or enum index | the plan's dicts |
| a boolean that is neither 0 nor 1, an int of more than 32 bits | the plan's lifts |
| varints beyond 64 bits, counts of -2^63 | both need nine bytes above 0x7f in a row: such records are walked first |
| recursion in C, items that take no bytes | schemas that have them: every record is walked first |
| bytes left over | the position after reading |

A search for nine high bytes costs a tenth of decoding, and finds only text beyond Latin letters, some random bytes,
and the hostile record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

from fastavro._read import (  # type: ignore[attr-defined]  # the module's stub leaves it out
    _read_data,  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue, reportUnknownVariableType]
)

from penstock.schemas.classes import Classes
from penstock.schemas.malformed import Malformed
from penstock.schemas.nodes import Array, Node, Primitive, shape, walk
from penstock.schemas.resolution import Resolver
from penstock.schemas.walker import is_zero_width, walker

FRAME_BYTES: Final = 5
"""Confluent's framing: 0x00 and the schema id, four bytes, big-endian."""

_HIGH = bytes(0x80 if byte >= 0x80 else 0 for byte in range(256))
# As a literal, a pattern is found in half the time that `in` takes for one byte repeated.
_NINE_HIGH = re.compile(b"\x80" * 9)
_NO_NAMES: Final[dict[str, dict[str, object]]] = {"writer": {}, "reader": {}}
_NO_OPTIONS: Final[dict[str, object]] = {}


class BatchReader:
    """Reads framed records of one writer's schema.

    Args:
        writer: what the bytes are.
        reader: what is wanted.
        classes: of the reader.

    Raises:
        Unresolvable: the reader's schema cannot read the writer's.
    """

    def __init__(self, writer: Node, reader: Node, classes: Classes) -> None:
        self._plan, self._lift = Resolver(classes).resolve(writer, reader)
        self._walk = walker(writer)
        self._always_walks = shape(writer).is_recursive or any(
            isinstance(node, Array) and is_zero_width(node.items) for node in walk(writer)
        )
        # Confluent's serialisers write a schema of plain bytes as they are, without Avro's length.
        self._is_raw = is_raw_bytes(writer)

    def read(self, data: Sequence[bytes]) -> list[Any]:
        """Decode records, frames included; all or nothing.

        Raises:
            Malformed: one of them breaks a rule that fastavro does not check.
            Exception: whatever fastavro stumbles over; `reason_for` gives it a name.
        """
        if self._is_raw:
            raw: list[Any] = [record[FRAME_BYTES:] for record in data]
            if self._plan == "string":
                raw = [value.decode() for value in raw]
            return raw if self._lift is None else [self._lift(value) for value in raw]
        self._walk_what_needs_it(data)
        values: list[Any] = []
        plan, lift, names, options = self._plan, self._lift, _NO_NAMES, _NO_OPTIONS
        for record in data:
            stream = BytesIO(record)
            stream.seek(FRAME_BYTES)
            value = _read_data(stream, plan, names, None, options)
            # Lifted at once, so that fastavro's dict is freed while it is still in the processor's cache.
            values.append(value if lift is None else lift(value))
            if stream.read(1):
                raise Malformed("trailing_bytes", f"{len(record) - stream.tell() + 1} bytes too many")
        return values

    def _walk_what_needs_it(self, data: Sequence[bytes]) -> None:
        if not self._always_walks and not _NINE_HIGH.search(b"".join(data).translate(_HIGH)):
            return
        for record in data:
            if self._always_walks or _NINE_HIGH.search(record.translate(_HIGH)):
                self._walk(record, FRAME_BYTES)


def is_raw_bytes(node: Node) -> bool:
    """Whether the whole schema is bytes and nothing else."""
    return isinstance(node, Primitive) and node.kind == "bytes" and node.logical is None


def reason_for(err: Exception) -> str:
    """The word for what stopped a record, out of `malformed.REASONS`."""
    match err:
        case Malformed():
            return err.reason
        case EOFError() | IndexError():
            return "truncated"
        case UnicodeDecodeError():
            return "utf8"
        case RecursionError():
            return "too_deep"
        case ValueError() | OverflowError() | ArithmeticError():
            return "logical_type"
        case _:
            return "type"

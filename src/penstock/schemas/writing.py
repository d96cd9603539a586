"""Encode a batch of values in one schema, each behind its frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastavro._write import write_data  # type: ignore[attr-defined]  # the module's stub leaves it out

from penstock.errors import UnencodableValue
from penstock.schemas.checked_batch import CheckedBatch
from penstock.schemas.classes import Classes
from penstock.schemas.lowering import write_plan
from penstock.schemas.malformed import Malformed, Misfit
from penstock.schemas.nodes import Node, shape
from penstock.schemas.reading import is_raw_bytes
from penstock.schemas.walker import MAX_DEPTH, walker

_NO_NAMES: Final[dict[str, object]] = {}
_NO_OPTIONS: Final[dict[str, object]] = {}


class BatchWriter:
    """Writes values of one schema.

    Args:
        root: the schema.
        classes: which objects its records and enums come as.
        what: how messages call the values: a topic and a side.
    """

    def __init__(self, root: Node, classes: Classes, what: str) -> None:
        self._lowering = CheckedBatch(root, classes)
        self._plan = write_plan(root)
        self._is_raw = is_raw_bytes(root)
        self._walk = walker(root) if shape(root).is_recursive else None
        self._what = what

    def write(self, values: Sequence[Any], frame: bytes) -> list[bytes]:
        """Encode all, in order.

        Raises:
            UnencodableValue: the first value that does not fit, by its index.
        """
        try:
            return self._write(values, frame)
        except Exception:  # whatever fastavro says about values that msgspec let through: the search names the culprit
            for index, value in enumerate(values):
                self._write_one(value, frame, index)
            raise

    def _write(self, values: Sequence[Any], frame: bytes) -> list[bytes]:
        physical = self._lowering.lower(values)
        if self._is_raw:
            return [frame + value for value in physical]
        encoded: list[bytes] = []
        plan, names, options = self._plan, _NO_NAMES, _NO_OPTIONS
        for value in physical:
            buffer = bytearray(frame)
            write_data(buffer, value, plan, names, "", options)
            encoded.append(bytes(buffer))
        if self._walk is not None:
            for data in encoded:
                self._walk(data, len(frame))
        return encoded

    def _write_one(self, value: object, frame: bytes, index: int) -> None:
        try:
            self._write([value], frame)
        except Misfit as err:
            place = f"{self._what}, field {err.field}" if err.field else self._what
            raise UnencodableValue(f"{place}: {err}", field=err.field, index=index, reason="misfit") from None
        except (Malformed, RecursionError) as err:
            message = f"{self._what}: records nest deeper than {MAX_DEPTH}, or the value contains itself"
            raise UnencodableValue(message, index=index, reason="too_deep") from err
        except (TypeError, ValueError, OverflowError) as err:
            # msgspec lets little through that fastavro then refuses (text for bytes), and fastavro's words may quote
            # the value.
            told, field = self._words(value, err)
            raise UnencodableValue(f"{self._what}{told}", field=field, index=index, reason="misfit") from None

    def _words(self, value: object, err: Exception) -> tuple[str, str]:
        try:
            self._lowering.strictly(value)
        except Misfit as misfit:
            return f", field {misfit.field}: {misfit}", misfit.field
        return f": a {type(value).__name__} does not fit the schema ({type(err).__name__})", ""

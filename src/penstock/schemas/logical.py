"""Logical types, both ways: between what Avro writes (integers, bytes, text) and Python's values.

fastavro is used for the physical layer only. Its own conversions read the machine's time zone into naive datetimes,
drop microseconds, round decimals, and know only the writer's side of a schema resolution.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, Final, TypeAlias
from uuid import UUID

from penstock.schemas.building import MAX_DECIMAL_DIGITS
from penstock.schemas.malformed import Malformed, Misfit
from penstock.schemas.nodes import Fixed, Logical, Primitive

Conversion: TypeAlias = Callable[[Any], Any]

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPOCH_LOCAL: Final = EPOCH.replace(tzinfo=None)
EPOCH_ORDINAL: Final = EPOCH.toordinal()
DAY: Final = dt.timedelta(days=1)
MICROSECOND: Final = dt.timedelta(microseconds=1)

_UNIT_US: Final = {
    "time-millis": 1_000,
    "time-micros": 1,
    "timestamp-millis": 1_000,
    "timestamp-micros": 1,
    "local-timestamp-millis": 1_000,
    "local-timestamp-micros": 1,
}
_EXACT = Context(prec=MAX_DECIMAL_DIGITS + 1)
_MAX_DECIMAL_BYTES: Final = 1_024

PYTHON_TYPES: Final[dict[str, type]] = {
    "date": dt.date,
    "time-millis": dt.time,
    "time-micros": dt.time,
    "timestamp-millis": dt.datetime,
    "timestamp-micros": dt.datetime,
    "local-timestamp-millis": dt.datetime,
    "local-timestamp-micros": dt.datetime,
    "decimal": Decimal,
    "uuid": UUID,
}
"""What each logical type becomes."""


def family(logical: Logical | None) -> str | None:
    """What a logical type measures, without its unit: a reader may choose another unit, never another family."""
    return None if logical is None else logical.name.removesuffix("-millis").removesuffix("-micros")


def lifting(written: Logical | None, read: Logical | None, node: Primitive | Fixed) -> Conversion | None:
    """From physical to Python, as the reader sees it; None where nothing is to be done.

    The reader's type decides whether there is a Python value at all, so that a logical type added later applies to old
    data; the writer's decides the unit. Where the reader's unit is coarser, values that it cannot hold are malformed.

    Args:
        written: the writer's logical type.
        read: the reader's, of the same family where both are given.
        node: the writer's type, or the one it is promoted to.
    """
    if read is None:
        return None
    told = written or read
    match told.name:
        case "date":
            return _date
        case "uuid":
            return _uuid_of_bytes if isinstance(node, Fixed) else _uuid_of_text
        case "decimal":
            return _decimal(told, read)
        case _:
            return _moment(told.name, _UNIT_US[read.name])


def _date(days: int) -> dt.date:
    return dt.date.fromordinal(days + EPOCH_ORDINAL)


def _uuid_of_text(text: str) -> UUID:
    return UUID(text)


def _uuid_of_bytes(data: bytes) -> UUID:
    return UUID(bytes=data)


def _moment(name: str, read_unit_us: int) -> Conversion:
    unit_us = _UNIT_US[name]
    if name.startswith("time-"):
        exact: Conversion = _time_of_millis if unit_us == 1_000 else _time_of_micros
    elif name.startswith("local"):
        exact = _local_of_millis if unit_us == 1_000 else _local_of_micros
    else:
        exact = _instant_of_millis if unit_us == 1_000 else _instant_of_micros
    if read_unit_us <= unit_us:
        return exact

    def coarser(units: int) -> object:
        if units % (read_unit_us // unit_us):
            raise Malformed("logical_type", "microseconds are written, and the reader's schema keeps milliseconds")
        return exact(units)

    return coarser


# timedelta(days, seconds, microseconds, milliseconds): by position, which halves the cost.
def _instant_of_millis(units: int) -> dt.datetime:
    return EPOCH + dt.timedelta(0, 0, 0, units)


def _instant_of_micros(units: int) -> dt.datetime:
    return EPOCH + dt.timedelta(0, 0, units)


def _local_of_millis(units: int) -> dt.datetime:
    return EPOCH_LOCAL + dt.timedelta(0, 0, 0, units)


def _local_of_micros(units: int) -> dt.datetime:
    return EPOCH_LOCAL + dt.timedelta(0, 0, units)


def _time_of_millis(units: int) -> dt.time:
    return _time_of_micros(units * 1_000)


def _time_of_micros(units: int) -> dt.time:
    if not 0 <= units < 86_400_000_000:
        raise Malformed("logical_type", "a time of day beyond 24 hours")
    return (EPOCH_LOCAL + dt.timedelta(0, 0, units)).time()


def _decimal(written: Logical, read: Logical) -> Conversion:
    limit, scale = 10**written.precision, written.scale
    narrower = read.scale < scale or read.precision - read.scale < written.precision - scale
    check = lowering(read, None) if narrower else None

    def lift(data: bytes) -> Decimal:
        if not 0 < len(data) <= _MAX_DECIMAL_BYTES:
            raise Malformed("logical_type", f"a decimal of {len(data)} bytes")
        unscaled = int.from_bytes(data, "big", signed=True)
        if not -limit < unscaled < limit:
            raise Malformed("logical_type", f"a decimal of more than {written.precision} digits")
        value = Decimal(unscaled).scaleb(-scale, _EXACT)
        if check is not None:
            try:
                check(value)
            except Misfit as err:
                raise Malformed("logical_type", f"a decimal that the reader's schema cannot hold: {err}") from err
        return value

    return lift


# ------------------------------------------------------------ and back


def lowering(logical: Logical, node: Primitive | Fixed | None) -> Conversion:
    """From Python to physical: only the exact type, and only what survives the way back unchanged.

    Raises (the conversion):
        Misfit: another type, a naive datetime, or digits that the schema does not keep.
    """
    match logical.name:
        case "date":
            return _days
        case "uuid":
            return _uuid_bytes if isinstance(node, Fixed) else _uuid_text
        case "decimal":
            return _unscaled(logical, node.size if isinstance(node, Fixed) else None)
        case name:
            return _units(name)


def _days(value: object) -> int:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise Misfit(f"expected a date, got {type(value).__name__}")
    return value.toordinal() - EPOCH_ORDINAL


def _uuid_text(value: object) -> str:
    if not isinstance(value, UUID):
        raise Misfit(f"expected a UUID, got {type(value).__name__}")
    return str(value)


def _uuid_bytes(value: object) -> bytes:
    if not isinstance(value, UUID):
        raise Misfit(f"expected a UUID, got {type(value).__name__}")
    return value.bytes


def _units(name: str) -> Conversion:
    unit_us = _UNIT_US[name]
    measure = _time_us if name.startswith("time-") else _local_us if name.startswith("local") else _instant_us

    def lower(value: object) -> int:
        units, rest = divmod(measure(value), unit_us)
        if rest:
            raise Misfit("has microseconds, and the schema keeps milliseconds: round it, or use a -micros type")
        return units

    return lower


def _instant_us(value: object) -> int:
    if not isinstance(value, dt.datetime):
        raise Misfit(f"expected an aware datetime, got {type(value).__name__}")
    if value.utcoffset() is None:
        raise Misfit("a naive datetime is no instant: give it a time zone")
    return _micros(value - EPOCH)


def _local_us(value: object) -> int:
    if not isinstance(value, dt.datetime):
        raise Misfit(f"expected a naive datetime, got {type(value).__name__}")
    if value.tzinfo is not None:
        raise Misfit("a local timestamp has no time zone: pass a naive datetime")
    return _micros(value - EPOCH_LOCAL)


def _time_us(value: object) -> int:
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        raise Misfit(f"expected a time without a time zone, got {type(value).__name__}")
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def _micros(delta: dt.timedelta) -> int:
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _unscaled(logical: Logical, size: int | None) -> Conversion:
    precision, scale = logical.precision, logical.scale

    def lower(value: object) -> bytes:
        if not isinstance(value, Decimal) or not value.is_finite():
            raise Misfit(f"expected a finite Decimal, got {type(value).__name__}")
        _, digits, exponent = value.as_tuple()
        shift = int(exponent) + scale
        # Counted before anything is multiplied: an exponent may be a million.
        if value and len(digits) + shift > precision:
            raise Misfit(f"a decimal of more than {precision} digits at scale {scale}")
        if value and -shift >= len(digits):
            raise Misfit(f"a decimal with more than {scale} digits behind the point")
        unscaled = int(value.scaleb(scale, Context(prec=len(digits) + 1))) if value else 0
        if value and shift < 0 and Decimal(unscaled).scaleb(-scale, _EXACT) != value:
            raise Misfit(f"a decimal with more than {scale} digits behind the point")
        # The shortest two's complement, as Java's BigInteger writes it.
        length = (unscaled if unscaled >= 0 else ~unscaled).bit_length() // 8 + 1 if size is None else size
        return unscaled.to_bytes(length, "big", signed=True)

    return lower

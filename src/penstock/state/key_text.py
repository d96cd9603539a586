"""State keys as a person writes them: on a command line, and in what it prints.

str     as it is
int     -17
bytes   in hex: 00ff
tuple   as JSON, bytes in it in hex: ["EWR", 17]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast, get_args, get_origin

import msgspec

from penstock.errors import UsageError
from penstock.state.spec import StoreSpec

_SIMPLE: Final[dict[Any, Callable[[str], Any]]] = {str: str, int: int, bytes: bytes.fromhex}
_FORMS: Final[dict[Any, str]] = {str: "text", int: "a whole number", bytes: "bytes in hex, as 00ff"}


def parse_key(spec: StoreSpec[Any, Any], text: str) -> Any:
    """The key that the text stands for.

    Raises:
        UsageError: it is none of the store's key type, or the store's keys have a codec of their own.
    """
    components = _components(spec)
    if components is None:
        return _simple(spec, text)
    return _tuple(spec, text, components, is_whole=True)


def parse_prefix(spec: StoreSpec[Any, Any], text: str) -> Any:
    """What the keys begin with: text, bytes in hex, or a tuple's first components as JSON.

    Raises:
        UsageError: as for `parse_key`, or the keys are numbers, which have no beginning.
    """
    components = _components(spec)
    if components is not None:
        return _tuple(spec, text, components, is_whole=False)
    if spec.key is int:
        raise UsageError(f"store '{spec.name}': its keys are whole numbers, which have no prefix; use --from and --to")
    return _simple(spec, text)


def shown_key(key: Any) -> Any:
    """The key as it is printed: text and numbers as they are, bytes in hex, tuples as lists."""
    if isinstance(key, bytes):
        return key.hex()
    if isinstance(key, tuple):
        return [shown_key(part) for part in key]
    return key


def _components(spec: StoreSpec[Any, Any]) -> tuple[Any, ...] | None:
    return get_args(spec.key) if get_origin(cast("Any", spec.key)) is tuple else None


def _simple(spec: StoreSpec[Any, Any], text: str) -> Any:
    read = _SIMPLE.get(spec.key)
    if read is None:
        raise UsageError(
            f"store '{spec.name}': its keys have a codec of their own, which cannot be written on a command line; "
            "`penstock state scan` shows them"
        )
    try:
        return read(text)
    except ValueError:
        raise UsageError(f"store '{spec.name}': write a key as {_FORMS[spec.key]}, not as '{text}'") from None


def _tuple(spec: StoreSpec[Any, Any], text: str, components: tuple[Any, ...], *, is_whole: bool) -> tuple[Any, ...]:
    forms = ", ".join(_FORMS[each] for each in components)
    wrong = f"store '{spec.name}': write a key as a JSON list of {forms}"
    wrong += f", not as '{text}'" if is_whole else f", or of the first of these; not as '{text}'"
    try:
        parts: Any = msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise UsageError(wrong) from None
    given: list[Any] = parts if isinstance(parts, list) else []
    if not given or len(given) > len(components) or (is_whole and len(given) < len(components)):
        raise UsageError(wrong)
    return tuple(_component(each, part, wrong) for each, part in zip(components, given, strict=False))


def _component(kind: Any, part: Any, wrong: str) -> Any:
    if kind is bytes and isinstance(part, str):
        try:
            return bytes.fromhex(part)
        except ValueError:
            raise UsageError(wrong) from None
    if type(part) is not kind:
        raise UsageError(wrong)
    return part

"""Names and shapes of types and serdes, the same in every process."""

from __future__ import annotations

import hashlib
import re
from typing import Any, cast

import msgspec

from penstock.topology.node import AnyStore, AnyTopic

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_PROSE = ("description", "title")


def type_name(declared: Any) -> str:
    """`str`, `flights.Flight`, `tuple[flights.Delay, int]`: as one would write it, without addresses."""
    if isinstance(declared, type) and not hasattr(declared, "__args__"):
        module = declared.__module__
        return declared.__qualname__ if module == "builtins" else f"{module}.{declared.__qualname__}"
    return _ADDRESS.sub("", str(declared))


def serde_name(serde: object) -> str:
    """What a serde says of itself; its class where it says nothing."""
    told = repr(serde)
    return type_name(type(serde)) if _ADDRESS.search(told) else told.removeprefix("<serde ").removesuffix(">")


def type_shape(declared: Any) -> str:
    """16 hexadecimal digits that change when the type's fields or their types do, and not with its documentation."""
    try:
        shape = msgspec.json.encode(_without_prose(msgspec.json.schema(declared)), order="deterministic")
    except (TypeError, RuntimeError):  # a type that JSON Schema cannot say: its name has to do
        shape = type_name(declared).encode()
    return hashlib.blake2b(shape, digest_size=8).hexdigest()


def describe_store(spec: AnyStore) -> dict[str, object]:
    """What a change of state is judged by."""
    return {
        "name": spec.name,
        "key": type_name(spec.key) if isinstance(spec.key, type) or hasattr(spec.key, "__args__") else _codec(spec.key),
        "value": type_name(spec.value),
        "shape": type_shape(spec.value),
        "version": spec.version,
    }


def describe_topic(topic: AnyTopic) -> dict[str, object]:
    """What a change of a topic's form is judged by; partitions and settings are the topic's own affair."""
    return {
        "name": topic.name,
        "key": serde_name(topic.key),
        "value": serde_name(topic.value),
        "tombstones": topic.tombstones,
    }


def _codec(codec: object) -> str:
    return type_name(type(codec))


def _without_prose(schema: Any) -> Any:
    if isinstance(schema, dict):
        parts = cast("dict[str, Any]", schema)
        # A field may itself be called "title": only text under these names is prose.
        return {
            name: _without_prose(part) for name, part in parts.items() if not (name in _PROSE and isinstance(part, str))
        }
    return [_without_prose(part) for part in schema] if isinstance(schema, list) else schema

"""What a traceback that somebody else wrote says: the one place that tells failures apart."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_FRAME: Final = re.compile(r"\s*at (?:[\w.$@-]*/)*([^\s(]+\([^)]*\))")
"""A frame of Java, its class loader and module left out."""

_PYTHON_FRAME: Final = re.compile(r'\s*File "(?:[^"]*/)?([^"/]+)", line (\d+), in (\S+)')

_NOT_THE_USERS: Final = (
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "kotlin.",
    "scala.",
    "org.apache.kafka.",
    "org.springframework.",
)
_VARYING: Final = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|'[^']*'|\"[^\"]*\"|\d+")
_MAX_SKELETON: Final = 256


def place_in(stack: str) -> str:
    """The innermost place in the user's code, of the last cause; the innermost of all where none is; empty = none told.

    Java and Python write their stacks the other way round: Java's innermost frame comes first.
    """
    cause = stack[stack.rfind("Caused by:") :] if "Caused by:" in stack else stack
    frames = _FRAME.findall(cause) or _FRAME.findall(stack)
    if frames:
        return str(next((frame for frame in frames if not frame.startswith(_NOT_THE_USERS)), frames[0]))
    frames = _PYTHON_FRAME.findall(stack)
    if frames:
        name, line, function = frames[-1]
        return f"{name}:{line} in {function}"
    return ""


def skeleton(message: str) -> str:
    """A message without what differs from record to record: numbers and what is quoted become `#`."""
    return _VARYING.sub("#", message[: 4 * _MAX_SKELETON])[:_MAX_SKELETON]


def fingerprint(*parts: str) -> str:
    """Equal for equal parts: 16 hexadecimal digits."""
    return hashlib.blake2b("\0".join(parts).encode(errors="replace"), digest_size=8).hexdigest()

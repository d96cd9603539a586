"""Which trace a record belongs to, by the header `traceparent` of W3C Trace Context.

Only records that failed or were slow are asked. What a healthy one carries is not looked at, and of the others nothing
but the trace's id, which is hexadecimal or is not taken.
"""

from __future__ import annotations

import re
from typing import Final

from penstock.monitoring.exposition import Exemplar
from penstock.record import Headers

HEADER: Final = "traceparent"
_FORM: Final = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?")
"""Version, trace, span, flags; what later versions append is not ours. All zeros are no trace and no span."""
_SAMPLED: Final = 0x01


def exemplar(headers: Headers, value: float, now_ms: int) -> Exemplar | None:
    """What leads from a number to the trace of a record behind it; None where there is no trace, or nobody keeps it.

    Args:
        headers: the record's.
        value: what was observed of it.
        now_ms: when.
    """
    for name, text in headers:
        if name == HEADER:
            found = _FORM.fullmatch(text or b"")
            if found is None or not int(found[2], 16) & _SAMPLED:
                return None
            return Exemplar(found[1].decode(), value, now_ms / 1000)
    return None

"""What all that write to a topic have in common: bytes that the topic takes, headers that are the user's own."""

from __future__ import annotations

from typing import Final

from penstock.clock import Clock
from penstock.errors import UnencodableValue
from penstock.operators.operator import AnyBatch, OpenTopic
from penstock.record import Headers

RESERVED_HEADERS: Final = "penstock."


def encoded(batch: AnyBatch, topic: OpenTopic, clock: Clock, ours: list[Headers] | None = None) -> AnyBatch:
    """Keys and values as the topic's bytes, within its bounds.

    Args:
        batch: decoded.
        topic: where it goes.
        clock: for bounds on timestamps.
        ours: headers to write, the user's included; None = the user's alone.

    Raises:
        UnencodableValue: a key, a value or a header that does not fit, by its index.
        BadRecord: a timestamp that the topic refuses.
        RegistryUnavailable: retry the same call.
    """
    bound = topic.bound
    result = batch.with_keys(bound.encode_keys(batch.keys)).with_values(bound.encode_values(batch.values))
    if batch.headers is not None:
        _check_headers(batch.headers)
    if ours is not None:
        result.headers = ours
    topic.bounds.check(result, bound.topic.name, clock.now_ms())
    return result


def _check_headers(headers: list[Headers]) -> None:
    for index, row in enumerate(headers):
        for name, _ in row:
            if name.startswith(RESERVED_HEADERS):
                raise UnencodableValue(
                    f"headers that begin with '{RESERVED_HEADERS}' are penstock's own; name it otherwise",
                    field="headers",
                    index=index,
                    reason="header",
                )

"""What a topic takes is known before a record is sent, as far as it can be."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.batch import Batch
from penstock.errors import BadRecord, UnencodableValue
from penstock.operators.topic_bounds import CLOCK_MARGIN_MS, TopicBounds
from penstock.runtime.internal_topics import bounds_of

NOW_MS = 1_700_000_000_000
FOR_EVER = str(2**63 - 1)


def batch(*timestamps_ms: int, value: bytes = b"v", headers: Any = None) -> Batch[Any, Any]:
    count = len(timestamps_ms)
    times = list(timestamps_ms)
    return Batch(list(range(count)), [b"key"] * count, [value] * count, times, times, headers)


def test_a_timestamp_is_refused_only_where_no_clock_could_be_meant() -> None:
    """The broker compares with its own clock: within five minutes of the bound it is left to judge."""
    bounds = TopicBounds(max_ahead_ms=1_000, max_behind_ms=2_000)
    ahead_ms, behind_ms = NOW_MS + 1_000 + CLOCK_MARGIN_MS, NOW_MS - 2_000 - CLOCK_MARGIN_MS
    bounds.check(batch(NOW_MS, ahead_ms, behind_ms), "out", NOW_MS)
    for time_ms, setting in ((ahead_ms + 1, "after"), (behind_ms - 1, "before")):
        with pytest.raises(BadRecord, match=f"topic 'out' refuses .*{setting}") as caught:
            bounds.check(batch(NOW_MS, time_ms), "out", NOW_MS)
        assert caught.value.reason == "timestamp"


def test_where_there_is_no_bound_any_timestamp_will_do() -> None:
    TopicBounds().check(batch(0, 10**15), "out", NOW_MS)
    TopicBounds(max_ahead_ms=1, max_behind_ms=1).check(batch(), "out", NOW_MS)


def test_a_size_is_that_of_key_value_and_headers() -> None:
    bounds = TopicBounds(max_record_bytes=20)
    bounds.check(batch(NOW_MS, value=b"v" * 17), "out", NOW_MS)
    with pytest.raises(UnencodableValue, match="21 bytes, topic 'out' takes 20"):
        bounds.check(batch(NOW_MS, value=b"v" * 18), "out", NOW_MS)
    with pytest.raises(UnencodableValue, match="31 bytes"):
        bounds.check(batch(NOW_MS, value=b"v" * 17, headers=[(("n", None),)]), "out", NOW_MS)


def test_bounds_are_read_off_a_topics_settings() -> None:
    defaults = {
        "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": "3600000",
        "message.timestamp.before.max.ms": FOR_EVER,
    }
    assert bounds_of(defaults) == TopicBounds(999_488, max_ahead_ms=3_600_000)
    assert bounds_of({**defaults, "max.message.bytes": "2000"}).max_record_bytes == 1_488
    assert bounds_of({**defaults, "message.timestamp.before.max.ms": "5"}).max_behind_ms == 5
    stamped = bounds_of({**defaults, "message.timestamp.type": "LogAppendTime"})
    assert (stamped.max_ahead_ms, stamped.max_behind_ms) == (None, None)

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.state import sorted_keys
from penstock.state.sorted_keys import SortedKeys

KEY = st.integers(0, 60).map(lambda n: b"%02d" % n)


@given(st.sets(KEY), st.lists(KEY), KEY, st.none() | KEY)
@settings(max_examples=300)
def test_keys_stay_sorted_through_additions_and_removals(
    start: set[bytes], toggled: list[bytes], low: bytes, high: bytes | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_keys, "_BUCKET", 3)  # so that lists are cut and dropped at this size too
        keys, model = SortedKeys(start), set(start)
        for key in toggled:
            (keys.remove if key in model else keys.add)(key)
            model ^= {key}
            assert list(keys.between(b"", None)) == sorted(model)
        assert len(keys) == len(model)
        expected = sorted(key for key in model if key >= low and (high is None or key < high))
        assert list(keys.between(low, high)) == expected


@given(st.sets(KEY, min_size=1), st.lists(KEY), st.randoms())
def test_a_scan_sees_what_lies_ahead_as_it_is_when_it_gets_there(
    start: set[bytes], toggled: list[bytes], random: Random
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_keys, "_BUCKET", 3)
        keys, model = SortedKeys(start), set(start)
        scan = keys.between(b"", None)
        last = b""
        while (found := next(scan, None)) is not None:
            assert found == min(key for key in model if key > last)
            last = found
            for key in toggled[: random.randint(0, len(toggled))]:
                (keys.remove if key in model else keys.add)(key)
                model ^= {key}
            toggled = toggled[1:]
        assert not [key for key in model if key > last]


def test_many_keys_in_random_order() -> None:
    numbers = list(range(20_000))
    Random(1).shuffle(numbers)
    keys = SortedKeys()
    for n in numbers:
        keys.add(n.to_bytes(3, "big"))
    assert list(keys.between(b"", None)) == [n.to_bytes(3, "big") for n in range(20_000)]
    for n in numbers[:19_000]:
        keys.remove(n.to_bytes(3, "big"))
    assert list(keys.between(b"", None)) == sorted(n.to_bytes(3, "big") for n in numbers[19_000:])

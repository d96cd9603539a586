"""Entries and bytes by store, kept up to date by what commits change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.state.changelog import split_key, store_prefix
from penstock.state.store_sizes import StoreSizes

KEYS = st.builds(lambda store, key: store_prefix(store) + key, st.sampled_from(["a", "ab"]), st.binary(max_size=2))
STATES = st.dictionaries(KEYS, st.binary(max_size=3), max_size=8)


def counted(state: dict[bytes, bytes]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for key, value in state.items():
        entries, size_bytes = found.get(split_key(key)[0], (0, 0))
        found[split_key(key)[0]] = entries + 1, size_bytes + len(key) + len(value)
    return found


@given(STATES, st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=3), max_size=6), max_size=5))
def test_after_any_commits_they_are_those_of_what_is_there(
    state: dict[bytes, bytes], commits: list[dict[bytes, bytes | None]]
) -> None:
    sizes = StoreSizes(dict(state))
    assert sizes.by_store() == counted(state)
    for changes in commits:
        sizes.move(list(changes), [state.get(key) for key in changes], list(changes.values()))
        for key, value in changes.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
        left = {store: size for store, size in sizes.by_store().items() if size != (0, 0)}
        assert left == counted(state), "a store that was emptied may be told as empty"


def test_what_is_told_does_not_change_behind_the_back_of_who_reads_it() -> None:
    sizes = StoreSizes({store_prefix("a") + b"k": b"1"})
    told = sizes.by_store()
    sizes.move([store_prefix("a") + b"k"], [b"1"], [b"12"])
    assert told == {"a": (1, 4)}
    assert sizes.by_store() == {"a": (1, 5)}

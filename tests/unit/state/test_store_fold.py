"""`Store.fold` is `entry` and `write` for one key after the other, whatever layer a key's value stands in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import OperatorMustDecide, UnencodableValue
from penstock.state.entry import Entry, entry_store
from penstock.state.store import Store
from penstock.state.task_state import TaskState

COUNTS = entry_store("counts", str, int)
TUPLES = entry_store("tuples", str, tuple[int, ...])  # what `get` decodes is kept, for nobody can change it
LISTS = entry_store("lists", str, list[int])  # can be changed by whoever has one

Lists = Store[str, Entry[list[int]]]

Steps = list[tuple[str, list[str]]]

STEPS: st.SearchStrategy[Steps] = st.lists(
    st.tuples(
        st.sampled_from(["accept", "drop", "commit", "discard", "delete", "scan", "go on"]),
        st.lists(st.sampled_from("abcd"), max_size=6),
    ),
    max_size=8,
)


def one_by_one(store: Lists, keys: list[str]) -> list[list[int]]:
    results: list[list[int]] = []
    for key in keys:
        before = store.get(key)
        results.append([1] if before is None else [*before[0], len(before[0]) + 1])
        store.put(key, (results[-1], max(0 if before is None else before[1], ord(key))))
    return results


def folded(store: Lists, keys: list[str]) -> list[list[int]]:
    def following(before: list[int], _: str) -> list[int]:
        before.append(len(before) + 1)  # what it is given is its own
        return before

    return store.fold(store.full_keys(keys), keys, list(map(ord, keys)), lambda _: [1], following)[0]


def play(
    steps: Steps, fold: Callable[[Lists, list[str]], list[list[int]]]
) -> tuple[list[list[list[int]]], dict[bytes, bytes], int]:
    state = TaskState()
    store = Store(LISTS, state)
    seen: list[list[list[int]]] = []
    for then, keys in steps:
        if then == "scan":
            seen.append([value for _, (value, _) in store.scan()])
        seen.append([list(value) for value in fold(store, keys)])
        if then == "delete":
            store.delete("a")
        if then == "go on":  # in the same batch
            continue
        if then == "drop":
            state.drop_batch()
            continue
        state.accept_batch()
        if then == "discard":
            state.discard()
        elif then == "commit":
            state.prepare()
            state.apply()
    state.accept_batch()
    state.prepare()
    state.apply()
    return seen, dict(state.committed), state.digest


def played_on_tuples(steps: Steps, *, is_folded: bool) -> list[list[tuple[int, ...]]]:
    """Each value is longer by one than the one before; batches are dropped and transactions discarded in between."""
    state = TaskState()
    store = Store(TUPLES, state)
    seen: list[list[tuple[int, ...]]] = []
    for then, keys in steps:
        if is_folded:
            full_keys = store.full_keys(keys)
            found = store.fold(full_keys, keys, [0] * len(keys), lambda _: (0,), lambda at, _: (*at, at[-1] + 1))
            seen.append(found[0])
        else:
            seen.append([])
            for key in keys:
                before = store.get(key)
                seen[-1].append((0,) if before is None else (*before[0], before[0][-1] + 1))
                store.put(key, (seen[-1][-1], 0))
        if then == "drop":
            state.drop_batch()
        elif then != "go on":
            state.accept_batch()
        if then == "discard":
            state.discard()
    return seen


@given(STEPS)
def test_what_was_dropped_or_discarded_is_not_folded_on(steps: Steps) -> None:
    assert played_on_tuples(steps, is_folded=True) == played_on_tuples(steps, is_folded=False)


def test_a_function_that_changes_what_it_is_given_and_fails_changes_nothing() -> None:
    state = TaskState()
    store = Store(LISTS, state)
    keys = store.full_keys(["a"])
    store.fold(keys, [0], [0], lambda _: [1], lambda before, _: before)
    state.accept_batch()

    def failing(before: list[int], _: int) -> list[int]:
        before.append(2)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.fold(keys, [0], [0], lambda _: [1], failing)
    state.drop_batch()
    assert store.fold(keys, [0], [0], lambda _: [1], lambda before, _: before) == ([[1]], [0])


@pytest.mark.parametrize("keys", [["a", "b", "c"], ["a", "b", "a"]])
def test_the_order_of_keys_outlives_a_function_that_fails_midway(keys: list[str]) -> None:
    state = TaskState()
    store = Store(COUNTS, state)
    store.put("b", (1, 0))
    state.accept_batch()
    assert store.count() == 1

    def first(item: int) -> int:
        return 1 // item

    with pytest.raises(ZeroDivisionError):
        store.fold(store.full_keys([*keys, "d"]), [1, 1, 1, 0], [0] * 4, first, lambda before, _: before + 1)
    state.drop_batch()
    assert list(store.scan()) == [("b", (1, 0))]
    store.fold(store.full_keys(keys), [1] * 3, [0] * 3, first, lambda before, _: before + 1)
    assert [key for key, _ in store.scan()] == sorted(set(keys) | {"b"})


@given(STEPS)
def test_folding_is_getting_and_putting_one_by_one(steps: Steps) -> None:
    assert play(steps, folded) == play(steps, one_by_one)


def test_more_keys_than_are_kept_decoded_are_folded_and_got_all_the_same() -> None:
    store = Store(COUNTS, TaskState())
    keys = [str(number) for number in range(20_000)] * 2
    found, _ = store.fold(store.full_keys(keys), keys, list(map(int, keys)), lambda _: 1, lambda before, _: before + 1)
    assert found == [1] * 20_000 + [2] * 20_000
    for _ in range(2):
        assert [store.get(key) for key in keys] == [(2, int(key)) for key in keys]


def test_a_value_of_an_older_version_is_folded_on_and_one_of_another_type_is_told() -> None:
    state = TaskState()
    Store(COUNTS, state).put("a", (7, 0))
    newer = Store(entry_store("counts", str, list[int], version=2, upgrade=lambda _, count: [count]), state)

    def following(before: list[int], item: int) -> list[int]:
        return [*before, item]

    keys = newer.full_keys(["a", "a"])
    assert newer.fold(keys, [1, 2], [0, 0], lambda _: [0], following)[0] == [[7, 1], [7, 1, 2]]
    assert newer.get("a") == ([7, 1, 2], 0)
    other = Store(entry_store("counts", str, str, version=2, upgrade=lambda _, count: str(count)), state)
    with pytest.raises(OperatorMustDecide, match="a stored value of version 2 does not fit its type"):
        other.fold(keys, [1, 2], [0, 0], lambda _: "", lambda before, _: before)


@pytest.mark.parametrize("is_scanned", [False, True])
def test_beside_a_result_stands_the_latest_time_that_went_into_it(is_scanned: bool) -> None:
    """Whether every single write keeps the order of keys, or none does."""
    store = Store(COUNTS, TaskState())
    if is_scanned:
        store.count()
    keys = store.full_keys(["a", "a", "b", "a"])
    _, latest_ms = store.fold(keys, [0] * 4, [5, 3, 1, 7], lambda _: 1, lambda before, _: before + 1)
    assert latest_ms == [5, 5, 1, 7]
    assert store.get("a") == (3, 7)
    _, latest_ms = store.fold(store.full_keys(["a", "b"]), [0] * 2, [6, 2], lambda _: 1, lambda before, _: before + 1)
    assert latest_ms == [7, 2]


def test_a_result_that_is_too_large_is_refused_and_so_is_one_of_another_type() -> None:
    store = Store(LISTS, TaskState(max_entry_bytes=50))
    keys = store.full_keys(["a"])
    with pytest.raises(UnencodableValue, match="50 are allowed"):
        store.fold(keys, [0], [0], lambda _: [0] * 100, lambda before, _: before)
    wrong: list[int] = ["text"]  # type: ignore[list-item]
    with pytest.raises(UnencodableValue, match="does not fit its type"):
        store.fold(keys, [0], [0], lambda _: wrong, lambda before, _: before)

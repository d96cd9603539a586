"""The three layers against plain dicts, and what a handler can and cannot reach."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from penstock.errors import ConfigurationError
from penstock.state.changelog import split_key
from penstock.state.digest import digest_of
from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState

NAMES = ["a", "ab", "b"]  # one name begins with another
KEYS = st.tuples(st.sampled_from(["", "x", "x\x00", "y"]), st.integers(-2, 2))
STORES = st.sampled_from(NAMES)

Model = dict[tuple[str, tuple[str, int]], int | None]


class Layers(RuleBasedStateMachine):
    """Every call is made on the state and on three plain dicts, and everything readable is compared."""

    def __init__(self) -> None:
        super().__init__()
        self.state = TaskState(unsaved={})
        self.is_watched = False
        self.stores = {name: Store(StoreSpec(name, key=tuple[str, int], value=int), self.state) for name in NAMES}
        self.committed: Model = {}
        self.transaction: Model = {}
        self.batch: Model = {}
        self.changelog: dict[bytes, bytes] = {}
        self.saved: dict[bytes, bytes] = {}

    def visible(self) -> dict[tuple[str, tuple[str, int]], int]:
        merged = {**self.committed, **self.transaction, **self.batch}
        return {key: value for key, value in merged.items() if value is not None}

    @initialize(scanned=st.sets(STORES))
    def some_stores_are_scanned_from_the_start(self, scanned: set[str]) -> None:
        for name in scanned:
            assert list(self.stores[name].scan()) == []

    @rule(store=STORES, key=KEYS, value=st.integers(0, 3))
    def put(self, store: str, key: tuple[str, int], value: int) -> None:
        self.stores[store].put(key, value)
        self.batch[store, key] = value

    @rule(store=STORES, key=KEYS)
    def delete(self, store: str, key: tuple[str, int]) -> None:
        self.stores[store].delete(key)
        if (store, key) in self.visible():  # else nothing is written
            self.batch[store, key] = None

    @rule(store=STORES, key=KEYS)
    def get(self, store: str, key: tuple[str, int]) -> None:
        assert self.stores[store].get(key) == self.visible().get((store, key))
        assert self.stores[store].get(key, -1) == self.visible().get((store, key), -1)

    @rule(store=STORES, start=st.none() | KEYS, stop=st.none() | KEYS)
    def scan(self, store: str, start: tuple[str, int] | None, stop: tuple[str, int] | None) -> None:
        expected = sorted(
            (key, value)
            for (name, key), value in self.visible().items()
            if name == store and (start is None or key >= start) and (stop is None or key < stop)
        )
        assert list(self.stores[store].scan(start, stop)) == expected

    @rule(store=STORES, first=st.sampled_from(["", "x", "x\x00", "y"]))
    def prefix(self, store: str, first: str) -> None:
        expected = sorted(
            (key, value) for (name, key), value in self.visible().items() if name == store and key[0] == first
        )
        assert list(self.stores[store].prefix((first,))) == expected

    @rule(store=STORES)
    def count(self, store: str) -> None:
        assert self.stores[store].count() == sum(name == store for name, _ in self.visible())

    @rule()
    def accept_batch(self) -> None:
        self.state.accept_batch()
        self.transaction.update(self.batch)
        self.batch.clear()

    @rule()
    def drop_batch(self) -> None:
        self.state.drop_batch()
        self.batch.clear()

    @rule()
    def commit(self) -> None:
        self.accept_batch()
        before = dict(self.state.committed)
        prepared = self.state.prepare()
        assert dict(self.state.committed) == before  # preparing changes nothing
        written = dict(zip(prepared.keys, prepared.values, strict=True))
        order = [key for key in self.transaction if self.transaction[key] != self.committed.get(key)]
        assert [split_key(key)[0] for key in written] == [name for name, _ in order]
        assert self.state.apply() == len(order)
        self.committed = {**self.visible()}
        self.transaction.clear()
        for key, value in written.items():
            if value is None:
                del self.changelog[key]
            else:
                self.changelog[key] = value
        assert dict(self.state.committed) == self.changelog
        assert self.state.digest == prepared.digest == digest_of(self.changelog)

    @rule()
    def discard(self) -> None:
        self.state.discard()
        self.transaction.clear()
        self.batch.clear()

    @rule()
    def somebody_looks_at_sizes(self) -> None:
        """From then on commits keep count."""
        self.is_watched = True

    @rule(fails=st.booleans())
    def checkpoint(self, fails: bool) -> None:
        taken = self.state.take_unsaved()
        if fails:
            self.state.return_unsaved(taken)
            return
        for key, value in taken.items():
            if value is None:
                self.saved.pop(key, None)
            else:
                self.saved[key] = value
        assert self.saved == dict(self.state.committed)

    @invariant()
    def committed_state_is_what_was_committed(self) -> None:
        assert len(self.state.committed) == len(self.committed)

    @invariant()
    def sizes_are_those_of_what_is_committed(self) -> None:
        if not self.is_watched:
            return
        found: dict[str, tuple[int, int]] = dict.fromkeys(NAMES, (0, 0))
        for key, value in self.changelog.items():
            entries, size_bytes = found[split_key(key)[0]]
            found[split_key(key)[0]] = entries + 1, size_bytes + len(key) + len(value)
        assert {**dict.fromkeys(NAMES, (0, 0)), **self.state.sizes()} == found


Layers.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLayers = Layers.TestCase


class Tally(msgspec.Struct):
    count: int = 0
    seen: list[str] = []


def tallies() -> tuple[TaskState, Store[str, Tally]]:
    state = TaskState()
    return state, Store(StoreSpec("tallies", key=str, value=Tally), state)


def commit(state: TaskState) -> None:
    state.accept_batch()
    state.prepare()
    state.apply()


def test_changing_what_get_returned_changes_nothing_until_put() -> None:
    state, store = tallies()
    store.put("k", Tally(1, ["a"]))
    for _ in range(2):  # first staged, then committed
        found = store.get("k")
        assert found is not None
        found.count = 99
        found.seen.append("leak")
        for _, scanned in store.scan():
            scanned.seen.append("leak")
        assert store.get("k") == Tally(1, ["a"])
        commit(state)


def test_changing_what_was_put_changes_nothing_until_it_is_put_again() -> None:
    state, store = tallies()
    value = Tally(1, ["a"])
    store.put("k", value)
    value.seen.append("leak")
    assert store.get("k") == Tally(1, ["a"])
    commit(state)
    value.count = 99
    assert store.get("k") == Tally(1, ["a"])


def test_a_default_is_returned_as_it_was_given() -> None:
    _, store = tallies()
    default = Tally(5)
    assert store.get("k", default) is default
    assert store.get("k") is None


def test_what_get_returns_is_the_same_before_and_after_a_restart() -> None:
    """A whole number put into a store of floats is a float at once, not only when it was restored."""
    state = TaskState()
    spec = StoreSpec("sums", key=str, value=float)
    store = Store(spec, state)
    store.put("k", 1)
    before = store.get("k")
    commit(state)
    after = Store(spec, TaskState(dict(state.committed))).get("k")
    assert type(before) is type(after) is float


def test_a_value_that_is_put_back_as_it_was_is_not_written_again() -> None:
    state, store = tallies()
    store.put("k", Tally(1))
    commit(state)
    store.put("k", Tally(2))
    store.put("gone", Tally(1))
    state.accept_batch()
    store.put("k", Tally(1))
    store.delete("gone")
    state.accept_batch()
    prepared = state.prepare()
    assert prepared.keys == []
    assert prepared.digest == state.digest


def test_dirty_keys_are_written_in_the_order_of_their_first_write() -> None:
    state, store = tallies()
    for key in ("c", "a"):
        store.put(key, Tally(1))
    state.accept_batch()
    for key in ("b", "c"):
        store.put(key, Tally(2))
    state.accept_batch()
    assert [split_key(key)[1] for key in state.prepare().keys] == [b"c", b"a", b"b"]


def test_nothing_is_applied_that_was_not_prepared_as_it_is_now() -> None:
    state, store = tallies()
    store.put("k", Tally(1))
    with pytest.raises(RuntimeError, match="neither accepted nor dropped"):
        state.prepare()
    state.accept_batch()
    with pytest.raises(RuntimeError, match="not prepared"):
        state.apply()
    state.prepare()
    store.put("k", Tally(2))
    with pytest.raises(RuntimeError, match="changed since"):
        state.apply()


def test_a_scan_may_delete_what_it_returned() -> None:
    _, store = tallies()
    for n in range(2_000):
        store.put(f"{n:04}", Tally(n))
    for key, _ in store.scan(stop="1500"):
        store.delete(key)
    assert [key for key, _ in store.scan()] == [f"{n:04}" for n in range(1_500, 2_000)]


def test_prefixes_of_text_and_bytes() -> None:
    state = TaskState()
    text = Store(StoreSpec("text", key=str, value=int), state)
    raw = Store(StoreSpec("raw", key=bytes, value=int), state)
    for key in ("ab", "abc", "b", "aé"):
        text.put(key, 1)
        raw.put(key.encode(), 1)
    raw.put(b"\xff\xff", 1)
    assert [key for key, _ in text.prefix("a")] == ["ab", "abc", "aé"]
    assert [key for key, _ in raw.prefix(b"ab")] == [b"ab", b"abc"]
    assert [key for key, _ in raw.prefix(b"\xff")] == [b"\xff\xff"]


def test_numbers_have_no_prefixes() -> None:
    store: Store[int, Any] = Store(StoreSpec("numbers", key=int, value=int), TaskState())
    with pytest.raises(ConfigurationError, match=r"use scan\(start, stop\)"):
        store.prefix(1)


def test_what_is_not_kept_is_deleted_by_the_next_commit_and_not_before() -> None:
    """One store's name begins with another's, and a key of one could be read as the other's name."""
    state = TaskState()
    stores = {name: Store(StoreSpec(name, key=str, value=int), state) for name in NAMES}
    for store in stores.values():
        store.put("b", 1)
        store.put("\x01b", 2)
    state.accept_batch()
    state.prepare()
    state.apply()
    before = dict(state.committed)

    assert state.keep_only(["ab"]) == 4
    assert list(stores["a"].scan()) == list(stores["b"].scan()) == []
    assert dict(state.committed) == before, "whoever dies now has lost nothing"
    prepared = state.prepare()
    assert sorted(prepared.keys) == sorted(key for key in before if split_key(key)[0] != "ab")
    assert set(prepared.values) == {None}
    state.apply()
    assert {split_key(key)[0] for key in state.committed} == {"ab"}
    assert state.digest == digest_of(state.committed)


def test_keeping_everything_changes_nothing() -> None:
    state = TaskState()
    Store(StoreSpec("a", key=str, value=int), state).put("x", 1)
    state.accept_batch()
    state.prepare()
    state.apply()
    assert state.keep_only(NAMES) == 0
    assert state.prepare().keys == []

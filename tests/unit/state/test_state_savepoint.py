"""Back to a savepoint within a transaction, accepted batches included."""

from __future__ import annotations

from penstock.state.spec import StoreSpec
from penstock.state.store import Store
from penstock.state.task_state import TaskState

NUMBERS = StoreSpec("numbers", key=str, value=int)


def test_rolling_back_forgets_what_was_accepted_since_and_nothing_before() -> None:
    """Scans and counts too: they keep an order of their own."""
    state = TaskState()
    store = Store(NUMBERS, state)
    for key, number in (("a", 1), ("b", 2)):
        store.put(key, number)
    state.accept_batch()
    assert store.count() == 2

    savepoint = state.savepoint()
    store.put("a", 10)
    store.put("c", 3)
    state.accept_batch()
    store.delete("b")
    state.accept_batch()
    store.put("d", 4)
    state.roll_back(savepoint)

    assert list(store.scan()) == [("a", 1), ("b", 2)]
    assert (store.count(), store.get("c"), store.get("d")) == (2, None, None)
    assert len(state.prepare().keys) == 2

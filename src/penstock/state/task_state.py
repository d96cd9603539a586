"""A task's state in three layers of bytes.

    batch         what the batch in hand wrote           accept_batch: into the transaction; drop_batch: gone
    transaction   what accepted batches wrote            prepare, then apply: into committed; discard: gone
    committed     exactly the entries of the changelog

Reading sees the uppermost layer that says something about a key. All layers are keyed by changelog keys
(`changelog.py`), so one task's stores share them; None stands for "deleted". Typed access is `store.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import compress
from operator import ne
from typing import Final, cast

from penstock.state import digest as digests
from penstock.state.changelog import prefix_of, store_prefix
from penstock.state.sorted_keys import SortedKeys
from penstock.state.store_sizes import StoreSizes

MAX_ENTRY_BYTES: Final = 1_000_000
"""Key and value of one entry; with the frame of a record this stays below what Kafka takes by default (1 MiB)."""


Layers = tuple[dict[bytes, bytes | None], dict[bytes, bytes | None], Mapping[bytes, bytes]]
"""Batch, transaction, committed."""


@dataclass(frozen=True, slots=True)
class PreparedCommit:
    """What a transaction changes, as parallel lists in the order of the first write, and the digest after it.

    Keys whose value is the committed one again are left out. `before` are the committed values.
    """

    keys: list[bytes]
    before: list[bytes | None]
    values: list[bytes | None]
    digest: int


class TaskState:
    """Committed state with a transaction over it and a batch over that. Not for more than one thread.

    Args:
        committed: the entries of the changelog, without the commit record; owned by this object from now on.
        digest: of these, where it is known already.
        unsaved: what of them the checkpoint on disk does not hold (None = deleted); None keeps no such account, for a
            task without checkpoints.
        max_entry_bytes: the longest key and value together that `Store.put` takes.
    """

    def __init__(
        self,
        committed: dict[bytes, bytes] | None = None,
        *,
        digest: int | None = None,
        unsaved: dict[bytes, bytes | None] | None = None,
        max_entry_bytes: int = MAX_ENTRY_BYTES,
    ) -> None:
        self._committed = {} if committed is None else committed
        self._transaction: dict[bytes, bytes | None] = {}
        self._batch: dict[bytes, bytes | None] = {}
        self._digest = digests.digest_of(self._committed) if digest is None else digest
        self._prepared: PreparedCommit | None = None
        self._unsaved: dict[bytes, bytes | None] | None = unsaved
        # Per store prefix, only for stores that were scanned or counted: the keys that reading finds now.
        self._orders: dict[bytes, SortedKeys] = {}
        self._sizes: StoreSizes | None = None  # only where somebody asks
        self.max_entry_bytes: Final = max_entry_bytes

    @property
    def committed(self) -> Mapping[bytes, bytes]:
        """The committed entries; a live view, not to be kept."""
        return self._committed

    @property
    def digest(self) -> int:
        """Of the committed entries."""
        return self._digest

    def sizes(self) -> dict[str, tuple[int, int]]:
        """{store: (entries, bytes of keys and values)} of what is committed.

        The first call looks at every entry, about 0.2 s for a million; later ones cost nothing, and commits keep count.
        """
        if self._sizes is None:
            self._sizes = StoreSizes(self._committed)
        return self._sizes.by_store()

    # ------------------------------------------------------------ reading and writing

    def read(self, key: bytes) -> bytes | None:
        """The key's bytes as the batch in hand sees them; None = not there."""
        if key in self._batch:
            return self._batch[key]
        if key in self._transaction:
            return self._transaction[key]
        return self._committed.get(key)

    def write(self, key: bytes, value: bytes | None) -> None:
        """Stage a value, or None to delete, in the batch in hand."""
        if self._orders:
            self._reorder(key, was_there=self.read(key) is not None, is_there=value is not None)
        self._prepared = None
        self._batch[key] = value

    def layers(self) -> Layers:
        """The layers themselves, to read from and to write to the batch's; for a loop over many keys, and no longer.

        Keys that were not there before are then to be told to `added`, whatever became of the loop.
        """
        self._prepared = None
        return self._batch, self._transaction, self._committed

    def added(self, keys: Iterable[bytes]) -> None:
        """These keys were written to the batch's layer, and reading did not find them before."""
        if self._orders:
            for key in keys:
                self._reorder(key, was_there=False, is_there=True)

    def order(self, prefix: bytes) -> SortedKeys:
        """One store's keys as the batch in hand sees them, ascending; kept up to date by every write from now on.

        The first call for a store sorts its keys, about a second for a million; later ones cost nothing.
        """
        found = self._orders.get(prefix)
        if found is None:
            found = SortedKeys(key for key in self._committed if key.startswith(prefix))
            self._orders[prefix] = found
            for key, value in {**self._transaction, **self._batch}.items():
                if key.startswith(prefix):
                    self._reorder(key, was_there=key in self._committed, is_there=value is not None)
        return found

    # ------------------------------------------------------------ batch and transaction

    def accept_batch(self) -> int:
        """Merge what the batch wrote into the transaction; returns the bytes of its keys and values."""
        self._prepared = None
        self._transaction.update(self._batch)
        written_bytes = sum(map(len, self._batch)) + sum(map(len, filter(None, self._batch.values())))
        self._batch.clear()
        return written_bytes

    def drop_batch(self) -> None:
        """Forget what the batch wrote."""
        self._unwind(_emptied(self._batch))

    def savepoint(self) -> dict[bytes, bytes | None]:
        """The transaction as it is now, for `roll_back`. Copies it: for a batch that is run again record by record."""
        return dict(self._transaction)

    def roll_back(self, savepoint: dict[bytes, bytes | None]) -> None:
        """Forget everything that was accepted or written since the savepoint."""
        self.drop_batch()
        self._prepared = None
        dropped = _emptied(self._transaction)
        self._transaction.update(savepoint)
        self._unwind(dropped)

    def prepare(self) -> PreparedCommit:
        """What the changelog has to get and the digest for the commit record. Changes nothing."""
        if self._batch:
            raise RuntimeError("a commit was prepared with a batch neither accepted nor dropped; please report this")
        keys, values = list(self._transaction), list(self._transaction.values())
        before = list(map(self._committed.get, keys))
        changed = list(map(ne, before, values))
        if not all(changed):
            keys, values, before = (
                list(compress(keys, changed)),
                list(compress(values, changed)),
                list(compress(before, changed)),
            )
        digest = digests.changed(self._digest, keys, before, values)
        self._prepared = PreparedCommit(keys, before, values, digest)
        return self._prepared

    def apply(self) -> int:
        """Make committed what was prepared; to be called when Kafka has committed it. Returns the entries changed."""
        prepared = self._prepared
        if prepared is None:
            raise RuntimeError("state was applied that was not prepared, or changed since; please report this")
        keys, values = prepared.keys, prepared.values
        if not all(values):  # a loop that looks at each would cost three times as much
            for key in compress(keys, (value is None for value in values)):
                del self._committed[key]
            is_there = [value is not None for value in values]
            keys, values = list(compress(keys, is_there)), list(compress(values, is_there))
        self._committed.update(zip(keys, cast("list[bytes]", values), strict=True))
        if self._unsaved is not None:
            self._unsaved.update(zip(prepared.keys, prepared.values, strict=True))
        if self._sizes is not None:
            self._sizes.move(prepared.keys, prepared.before, prepared.values)
        self._digest = prepared.digest
        self._transaction.clear()
        self._prepared = None
        return len(prepared.keys)

    def keep_only(self, stores: Collection[str]) -> int:
        """Delete the entries of all other stores in the transaction in hand; returns how many. Looks at every key."""
        kept = {store_prefix(store) for store in stores}
        others = [key for key in self._committed if prefix_of(key) not in kept]
        for key in others:
            self.write(key, None)
        self.accept_batch()
        return len(others)

    def discard(self) -> None:
        """Forget what the transaction and the batch wrote: back to the committed state."""
        self.drop_batch()
        self._prepared = None
        self._unwind(_emptied(self._transaction))

    # ------------------------------------------------------------ what the checkpoint lacks

    def take_unsaved(self) -> dict[bytes, bytes | None]:
        """What was committed since the last call; the account begins anew. Costs nothing, whatever the state's size."""
        taken = self._unsaved
        self._unsaved = {}
        return {} if taken is None else taken

    def return_unsaved(self, taken: dict[bytes, bytes | None]) -> None:
        """Take back what could not be saved after all."""
        if self._unsaved is not None:
            taken.update(self._unsaved)
        self._unsaved = taken

    def everything_unsaved(self) -> None:
        """Nothing on disk counts any more. Copies the whole map: 30 ms per million entries."""
        self._unsaved = {**self._committed}

    # ------------------------------------------------------------ order

    def _unwind(self, dropped: dict[bytes, bytes | None]) -> None:
        if self._orders:
            for key, value in dropped.items():
                self._reorder(key, was_there=value is not None, is_there=self.read(key) is not None)

    def _reorder(self, key: bytes, *, was_there: bool, is_there: bool) -> None:
        if was_there == is_there:
            return
        order = self._orders.get(prefix_of(key))
        if order is None:
            return
        if is_there:
            order.add(key)
        else:
            order.remove(key)


def _emptied(layer: dict[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    """What was in it."""
    dropped = dict(layer)
    layer.clear()
    return dropped

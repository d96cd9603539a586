"""Keyed state: typed stores over bytes that are exactly those of the changelog.

In: a `StoreSpec` per store, puts and deletes in batches, replayed changelog records. Out: what a transaction has to
write to the changelog, a digest of everything, and checkpoints on disk that shorten the next restore.
Read `task_state.py` first, then `store.py` and `replay.py`; `checkpoint_file.py` stands on its own.
"""

"""Dead letters found, grouped, and brought back exactly once, whichever system wrote them.

In: dead-letter topics, and a selection. Out: groups of failures; the originals where they came from; a ledger of what
became of each. Read `run.py` for the transactions, `ledger.py` for what makes them exactly-once.
"""

"""Getting events in: producers with a cursor, and a plain publisher.

In: a replayable source of rows, or records from application code. Out: records, dead letters and the source's cursor
in one transaction. Read `run.py` for the protocol, `spec.py` for what a producer is.
"""

"""The operators, one file each: a batch in, a batch out.

An operator is two things: data in the graph (`Operation`, immutable) and, opened for one task, a function from batch to
batch. It is pure but for the stores of its task. Whatever it does for a row may depend on earlier rows and on nothing
behind them, so that any way of cutting the input gives the same; `tests/unit/operators` holds each to it.
Read `operator.py` first, then `map.py`, `process.py` and `folding.py`.
"""

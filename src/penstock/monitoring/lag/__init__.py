"""How far consumer groups are behind: in offsets, in seconds, and why.

`observer.py` first: one cycle over a cluster becomes an `Observation`. `curve.py` and `time_lag.py` turn offsets into
seconds, `standing.py` judges a group on a partition; all three are pure. `exporter.py` runs cycles and serves metrics.
"""

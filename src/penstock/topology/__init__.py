"""The graph of a pipeline, as immutable data: what reads, what is done, what writes, and which stores are kept.

In: nodes, as `penstock.dsl` collects them. Out: a `Topology` without problems, its task groups, its fingerprint, and
its description for people and code review. Nothing here runs anything. Read `node.py` first, then `topology.py`.
"""

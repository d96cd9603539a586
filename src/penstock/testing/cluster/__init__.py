"""A Kafka cluster in memory: what its brokers promise and what its clients show of it, without a server or a thread.

In: workers, producers and readers of the engine, unchanged; a seed. Out: the same logs, offsets and errors every time.
Its behaviour is that of Kafka 4 with librdkafka's transaction protocol, as far as `tests/contract` has compared both.
Read `cluster.py` first; `clients.py` is what the engine is given.
"""

"""A real Kafka on this machine, for development, the demo and tests: no container, no mock.

In: how many nodes. Out: `bootstrap_servers`, and per-broker faults (`kill`, `stop`, `cont`, `restart`).
Read `cluster.py` first. The jars come by way of `jar_lock.py` (what), `jar_sources.py` (from where) and `jar_cache.py`
(kept); `java.py` finds a Java, `broker.py` runs one process with it, as `local_server.py` says; `launcher.py` makes
that process die with us.
"""

from penstock.embedded.broker import Broker
from penstock.embedded.cluster import KafkaCluster

__all__ = ["Broker", "KafkaCluster"]

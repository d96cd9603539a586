"""A schema registry on this machine: Confluent's REST calls on a real `_schemas` topic. Development and single node.

In: HTTP requests (`http.py`, `bodies.py`). Out: records in Kafka, in the layout that Confluent's registry and Karapace
read (`layout.py`). Between them: which records count (`lineage.py`), what they add up to (`ledger.py`, `contents.py`),
who writes them (`store.py`), what is asked of it (`subjects.py`, `settings.py`, `definitions.py`). Read `ledger.py`
first, then `store.py`.
"""

from penstock.embedded.registry.server import RegistryServer

__all__ = ["RegistryServer"]

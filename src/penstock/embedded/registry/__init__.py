"""A schema registry on this machine: Confluent's REST calls on a real `_schemas` topic. Development and single node.

In: HTTP requests (`http.py`, `bodies.py`). Out: records in Kafka, in the layout that Confluent's registry and Karapace
read (`layout.py`). Between them: what the log adds up to (`contents.py`), which records count (`ledger.py`), who may write it
(`lineage.py`, `store.py`),
what is asked of it (`subjects.py`, `settings.py`, `definitions.py`). Read `store.py` first.
"""

from penstock.embedded.registry.server import RegistryServer

__all__ = ["RegistryServer"]

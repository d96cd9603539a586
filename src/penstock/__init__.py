"""penstock: exactly-once Kafka pipelines in plain Python.

```python
import penstock as ps
```

is the only import that a project needs; every name here is public and stays. Names are loaded when they are first used
(PEP 562): `penstock --help`, and a module that needs the errors only, do not pay for the Kafka client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.config import Config
    from penstock.config import load as load_config
    from penstock.dsl.pipeline import Pipeline
    from penstock.dsl.stream import GlobalTable, Stream, Table
    from penstock.errors import BadRecord, BadRow, PenstockError, UndecodableRecord, UnencodableValue
    from penstock.operators.context import Context
    from penstock.operators.process import processor
    from penstock.publishing.publisher import Publisher
    from penstock.publishing.spec import producer
    from penstock.record import Record
    from penstock.schemas.serdes import avro, int64, int_text, json
    from penstock.schemas.topic import Topic
    from penstock.state.spec import StoreSpec
    from penstock.state.store import Store
    from penstock.topology.policy import CircuitBreaker, Retry

__all__ = [
    "BadRecord",
    "BadRow",
    "CircuitBreaker",
    "Config",
    "Context",
    "GlobalTable",
    "PenstockError",
    "Pipeline",
    "Publisher",
    "Record",
    "Retry",
    "Store",
    "StoreSpec",
    "Stream",
    "Table",
    "Topic",
    "UndecodableRecord",
    "UnencodableValue",
    "avro",
    "int64",
    "int_text",
    "json",
    "load_config",
    "processor",
    "producer",
]

_HOMES = {
    "BadRecord": "errors",
    "BadRow": "errors",
    "CircuitBreaker": "topology.policy",
    "Config": "config",
    "Context": "operators.context",
    "GlobalTable": "dsl.stream",
    "PenstockError": "errors",
    "Pipeline": "dsl.pipeline",
    "Publisher": "publishing.publisher",
    "Record": "record",
    "Retry": "topology.policy",
    "Store": "state.store",
    "StoreSpec": "state.spec",
    "Stream": "dsl.stream",
    "Table": "dsl.stream",
    "Topic": "schemas.topic",
    "UndecodableRecord": "errors",
    "UnencodableValue": "errors",
    "avro": "schemas.serdes",
    "int64": "schemas.serdes",
    "int_text": "schemas.serdes",
    "json": "schemas.serdes",
    "load_config": "config:load",
    "processor": "operators.process",
    "producer": "publishing.spec",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    module, _, other = _HOMES[name].partition(":")
    return getattr(import_module(f"penstock.{module}"), other or name)


def __dir__() -> list[str]:
    return __all__

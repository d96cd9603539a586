"""Framed Avro read by the schema that wrote it, whatever that is: for people who look into a topic."""

from __future__ import annotations

from typing import Any

from penstock.clock import Clock, SystemClock
from penstock.errors import RegistryUnavailable, UndecodableRecord
from penstock.protocols import SchemaRegistry
from penstock.schemas.classes import Classes
from penstock.schemas.ids import SchemaIds
from penstock.schemas.malformed import Malformed
from penstock.schemas.reading import FRAME_BYTES, BatchReader, reason_for


class FrameInspector:
    """Decodes framed records without a declared type: records become dicts, enums text.

    Args:
        registry: where the writers' schemas are.
        clock: tells when to ask again for an unknown id.
    """

    def __init__(self, registry: SchemaRegistry, clock: Clock | None = None) -> None:
        self._ids = SchemaIds(registry, clock or SystemClock())
        self._readers: dict[int, BatchReader] = {}

    def decode(self, data: bytes) -> Any:
        """The value behind the frame of one record.

        Raises:
            UndecodableRecord: the id is unknown, or the bytes do not fit its schema.
            RegistryUnavailable: ask again.
        """
        schema_id = int.from_bytes(data[1:FRAME_BYTES], "big")
        try:
            return self._reader(schema_id).read([data])[0]
        except (RegistryUnavailable, MemoryError):
            raise
        except Exception as err:
            # fastavro raises nearly anything; exceptions other than ours may quote the payload.
            told = str(err) if isinstance(err, Malformed) else f"the bytes do not fit the schema ({type(err).__name__})"
            raise UndecodableRecord(told, reason=reason_for(err), schema_id=schema_id) from err

    def _reader(self, schema_id: int) -> BatchReader:
        if schema_id not in self._readers:
            root = self._ids.writer(schema_id).root
            self._readers[schema_id] = BatchReader(root, root, Classes(root, None))
        return self._readers[schema_id]

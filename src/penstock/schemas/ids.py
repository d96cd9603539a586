"""Between schemas and the registry's ids: looked up once, remembered, and a poison id not asked for again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from penstock.clock import Clock
from penstock.errors import ConfigurationError
from penstock.protocols import RegisteredSchema, SchemaReference, SchemaRegistry
from penstock.schemas.malformed import Malformed
from penstock.schemas.parse import AvroSchema, parse

UNKNOWN_ID_TTL_S: Final = 30.0
"""How long an id that the registry does not have is taken for unknown without asking again."""
MAX_UNKNOWN_IDS: Final = 10_000
MAX_REFERENCES: Final = 1_000


class SchemaIds:
    """One codec's view of the registry.

    An id that cannot be used (unknown, not Avro, not valid) is remembered with its reason for `UNKNOWN_ID_TTL_S`; a
    registry that does not answer is not remembered at all, and raises `RegistryUnavailable`.
    """

    def __init__(self, registry: SchemaRegistry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._refused: dict[int, tuple[float, str, str]] = {}

    def writer(self, schema_id: int) -> AvroSchema:
        """The schema that wrote records with this id.

        Raises:
            Malformed: there is none that could be used.
            RegistryUnavailable: ask again.
        """
        until, reason, detail = self._refused.get(schema_id, (0.0, "", ""))
        if reason and self._clock.monotonic_s() < until:
            raise Malformed(reason, detail)
        try:
            return self._ask(schema_id)
        except Malformed as err:
            if len(self._refused) >= MAX_UNKNOWN_IDS:
                self._refused.clear()
            self._refused[schema_id] = self._clock.monotonic_s() + UNKNOWN_ID_TTL_S, err.reason, str(err)
            raise

    def _ask(self, schema_id: int) -> AvroSchema:
        found = self._registry.by_id(schema_id)
        if found is None:
            raise Malformed("unknown_schema", "the registry has no schema with this id")
        if found.kind != "AVRO":
            raise Malformed("unknown_schema", f"the schema is {found.kind}, not AVRO")
        return self._parsed(found)

    def _parsed(self, found: RegisteredSchema) -> AvroSchema:
        try:
            return parse(found.text, list(self._texts(found.references)), source=f"schema id {found.id}")
        except ConfigurationError as err:
            raise Malformed("invalid_schema", str(err)) from err

    def _texts(self, references: Sequence[SchemaReference]) -> Iterator[str]:
        """The texts a schema refers to, those they refer to in turn included."""
        seen: set[tuple[str, int]] = set()
        waiting = list(references)
        while waiting:
            reference = waiting.pop()
            place = (reference.subject, reference.version)
            if place in seen:
                continue
            seen.add(place)
            found = self._registry.version(*place)
            if found is None or len(seen) > MAX_REFERENCES:
                raise Malformed("invalid_schema", f"its reference {reference.subject} version {place[1]} is missing")
            yield found.text
            waiting.extend(found.references)

    def id_for(self, subject: str, schema: AvroSchema, *, auto_register: bool) -> int:
        """The id under which the subject holds this very schema.

        Asked for word for word first, as `penstock schemas register` writes it. A schema that was registered with
        references, or spelled otherwise, is found by its content.

        Raises:
            ConfigurationError: it is not there and may not be put there, or it was refused as incompatible.
            RegistryUnavailable: ask again.
        """
        if found := self._registry.lookup(subject, schema.text):
            return found.id
        for version in reversed(self._registry.versions(subject)):
            other = self._registry.version(subject, version)
            if other is not None and other.kind == "AVRO" and self._is_same(other, schema):
                return other.id
        if not auto_register:
            raise ConfigurationError(
                f"the subject '{subject}' has no version with the schema {schema.name or schema.canonical[:100]}: "
                "register it with `penstock schemas register`, or set auto_register in the profile"
            )
        return self._registry.register(subject, schema.text).id

    def _is_same(self, other: RegisteredSchema, schema: AvroSchema) -> bool:
        try:
            return self._parsed(other) == schema
        except Malformed:
            return False

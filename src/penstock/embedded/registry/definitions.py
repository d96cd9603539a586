"""Schemas as the registry judges them: resolved, parsed, compared."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from penstock.embedded.registry import refusal
from penstock.embedded.registry.contents import Contents
from penstock.embedded.registry.layout import SchemaValue
from penstock.errors import ConfigurationError
from penstock.protocols import SchemaReference
from penstock.schemas.compatibility import Level, Violation, check
from penstock.schemas.limits import MAX_SCHEMA_BYTES
from penstock.schemas.parse import AvroSchema, parse

_PARSED_KEPT = 256
_MAX_REFERENCES = 1_000

_Resolved = tuple[str, tuple[str, ...]]
"""A text and the texts it refers to."""


class Definitions:
    """Parses texts with what they refer to, and remembers the results. Safe for several threads."""

    def __init__(self) -> None:
        self._parsed: OrderedDict[_Resolved, AvroSchema] = OrderedDict()
        self._identities: dict[_Resolved, str] = {}
        self._lock = threading.Lock()

    def parse(self, text: str, references: Sequence[SchemaReference], contents: Contents) -> AvroSchema:
        """The schema.

        Raises:
            Refusal: no valid schema, too large, or it refers to what is not there.
        """
        if len(text.encode("utf-8", "surrogatepass")) > MAX_SCHEMA_BYTES:
            raise refusal.too_large(f"Schema too large: at most {MAX_SCHEMA_BYTES:,} bytes")
        referenced = tuple(_resolve(references, contents))
        with self._lock:
            known = self._parsed.get((text, referenced))
        if known is not None:
            return known
        try:
            schema = parse(text, referenced, source="Invalid schema")
        except ConfigurationError as exc:
            raise refusal.invalid_schema(str(exc)) from exc
        with self._lock:
            self._parsed[text, referenced] = schema
            while len(self._parsed) > _PARSED_KEPT:
                self._parsed.popitem(last=False)
        return schema

    def registered(self, schema: SchemaValue, contents: Contents) -> AvroSchema:
        """A schema that the log holds.

        Raises:
            Refusal: another registry took it, and it is none that we understand.
        """
        if schema.kind != "AVRO":
            raise refusal.invalid_schema(
                f"subject '{schema.subject}' version {schema.version} is of type {schema.kind}; AVRO is understood here"
            )
        return self.parse(schema.text, schema.references, contents)

    def identity(self, schema: SchemaValue, contents: Contents) -> str | None:
        """What makes it the same schema as another; None where we do not understand it, so it equals none."""
        try:
            key = (schema.text, tuple(_resolve(schema.references, contents)))
            with self._lock:
                known = self._identities.get(key)
            if known is None:
                known = self.registered(schema, contents).identity
                with self._lock:
                    self._identities[key] = known
        except refusal.Refusal:
            return None  # not remembered: what it refers to may come yet
        return known

    def violations(
        self, level: Level, new: AvroSchema, earlier: Sequence[SchemaValue], contents: Contents
    ) -> list[Violation]:
        """Why `new` may not follow `earlier` (ascending); empty when it may."""
        if not level.directions:
            return []
        counted = earlier if level.transitive else earlier[-1:]
        return check(level, new, [(old.version, self.registered(old, contents)) for old in counted])


def _resolve(references: Sequence[SchemaReference], contents: Contents) -> list[str]:
    """The texts that `references` lead to, directly or not."""
    found: dict[tuple[str, int], str] = {}
    left = list(references)
    while left:
        reference = left.pop()
        place = (reference.subject, reference.version)
        if place in found:
            continue
        schema = _referenced(reference, contents)
        found[place] = schema.text
        left.extend(schema.references)
        if len(found) > _MAX_REFERENCES:
            raise refusal.invalid_schema(f"Invalid schema: it refers to more than {_MAX_REFERENCES:,} others")
    return list(found.values())


def _referenced(reference: SchemaReference, contents: Contents) -> SchemaValue:
    if reference.version == -1:  # the latest, as in paths
        versions = contents.versions(reference.subject)
        schema = versions[-1] if versions else None
    else:
        schema = contents.version(reference.subject, reference.version)
    if schema is None or schema.deleted:
        raise refusal.invalid_schema(
            f"Invalid schema: the reference '{reference.name}' leads to subject '{reference.subject}' "
            f"version {reference.version}, which is not there"
        )
    return schema

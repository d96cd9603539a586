"""Parse an Avro schema: it counts as valid only when both parsers and our own rules accept it.

fastavro is what the codec runs on, Apache's `avro` what registries and other languages agree with; each accepts schemas
that the other refuses. Texts are bounded before any of them sees a byte (`limits.py`).

Two ways to be equal: `canonical` (Avro's Parsing Canonical Form) says that two schemas write the same bytes;
`identity` keeps defaults, docs, aliases and logical types too, and forgets only white space, the order of keys and how
names were abbreviated. A registry gives a new id per identity, as Confluent's does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import avro.name
import avro.schema
import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from penstock.errors import ConfigurationError
from penstock.schemas.building import Builder, Definition, Json, definitions
from penstock.schemas.defaults import Budget, InvalidDefault, physical_default
from penstock.schemas.limits import load_json
from penstock.schemas.nodes import Enum, Fixed, Node, NoDefault, Record, shape, walk

MAX_TYPE_DEPTH: Final = 128
"""Types inside types, counted through references: what parsers, codecs and compatibility checks recurse over."""

MAX_LEAST_VALUES: Final = 100_000
"""Thirty records, each twice in the next, make a value of a billion parts out of a kilobyte of schema."""


@dataclass(frozen=True, slots=True)
class AvroSchema:
    """A valid schema. Equal and hashed by `identity`.

    Attributes:
        text: as it was given.
        identity: its JSON, compact, keys sorted, names in full, references written out where first used.
        canonical: Avro's Parsing Canonical Form; equal for two schemas that write the same bytes.
        json: what `identity` says, keys in the order given; self-contained: `json.dumps` of it needs no references.
        root: the typed graph.
        name: full name of the top type, None where it has none.
        is_recursive: a value can contain another of its own type.
    """

    text: str = field(compare=False, repr=False)
    identity: str
    canonical: str = field(compare=False, repr=False)
    json: Json = field(compare=False, repr=False)
    root: Node = field(compare=False, repr=False)
    name: str | None = field(compare=False)
    is_recursive: bool = field(compare=False, repr=False)

    @property
    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, 8 bytes little-endian, as single-object encoding writes it."""
        return bytes.fromhex(fingerprint(self.canonical, "CRC-64-AVRO"))

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the canonical form, 32 bytes."""
        return hashlib.sha256(self.canonical.encode()).digest()

    @property
    def self_contained(self) -> str:
        """The schema as compact JSON that needs no references; what a generated class carries."""
        return json.dumps(self.json, separators=(",", ":"), ensure_ascii=False)

    def apache(self) -> avro.schema.Schema:
        """As an object of Apache's library, for `avro.compatibility`: aliases in full, logical types left out."""
        return _apache(self.json)


def parse(text: str, references: Iterable[str] = (), *, source: str = "schema") -> AvroSchema:
    """Parse a schema's JSON text.

    Args:
        text: JSON, at most 1 MiB, at most 64 brackets deep.
        references: texts whose named types this one may use by full name, in any order; they may use each other.
        source: how messages call the text: a file, a subject.

    Raises:
        ConfigurationError: not a valid schema; the message names the place and, where they object, the parser's words.
    """
    content = cast("Json", load_json(text, source))
    lent: dict[str, Definition] = {}
    for number, reference in enumerate(references, start=1):
        lent.update(definitions(cast("Json", load_json(reference, f"{source}, reference {number}"))))
    root, full = Builder(source, lent).build(content)

    measured = shape(root)
    if measured.depth > MAX_TYPE_DEPTH:
        raise ConfigurationError(f"{source}: types nest {measured.depth} deep; {MAX_TYPE_DEPTH} is the limit")
    if measured.least_values > MAX_LEAST_VALUES:
        raise ConfigurationError(
            f"{source}: a record contains itself with no way out, or one value has over {MAX_LEAST_VALUES:,} parts"
        )
    _check_defaults(root, source)
    canonical = _ask_both(full, source)
    return AvroSchema(
        text=text,
        identity=json.dumps(full, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        canonical=canonical,
        json=full,
        root=root,
        name=root.name if isinstance(root, Record | Enum | Fixed) else None,
        is_recursive=measured.is_recursive,
    )


def _check_defaults(root: Node, source: str) -> None:
    budget = Budget()
    for node in walk(root):
        for each in node.fields if isinstance(node, Record) else ():
            if not isinstance(each.default, NoDefault):
                try:
                    physical_default(each, budget)
                except InvalidDefault as err:
                    place = f"{cast('Record', node).name}.{each.name}"
                    raise ConfigurationError(f"{source}: {place}: invalid default: {err}") from err


def _ask_both(full: Json, source: str) -> str:
    """Let both parsers judge; the canonical form is fastavro's.

    Apache's (1.12.2) writes `{"type":"long"}` for a long with a logical type and repeats a `fixed` at each use, which
    gives other fingerprints than Java's.
    """
    try:
        parsed = fastavro.parse_schema(cast("Any", full))
        canonical = to_parsing_canonical_form(parsed)
    except Exception as err:  # the parsers raise whatever the input makes them stumble over
        raise ConfigurationError(f"{source}: refused by fastavro: {_words(err)}") from err
    try:
        _apache(full)
    except Exception as err:
        raise ConfigurationError(f"{source}: refused by Apache avro: {_words(err)}") from err
    return canonical


def _apache(full: Json) -> avro.schema.Schema:
    return avro.schema.make_avsc_object(_without_logical_types(full), avro.name.Names())


def _without_logical_types(json: Json) -> Json:
    """Our own rules judge logical types more strictly; Apache's only warns about them, through a global filter."""
    if isinstance(json, list):
        return [_without_logical_types(each) for each in json]
    if not isinstance(json, dict):
        return json
    out = {key: value for key, value in json.items() if key != "logicalType"}
    for key in ("items", "values"):
        if key in out:
            out[key] = _without_logical_types(out[key])
    if json.get("type") == "record" and isinstance(fields := json.get("fields"), list):
        out["fields"] = [
            {**each, "type": _without_logical_types(each["type"])} for each in fields if isinstance(each, dict)
        ]
    return out


def _words(err: Exception) -> str:
    return (str(err) or type(err).__name__)[:1_000]

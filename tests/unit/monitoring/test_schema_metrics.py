"""Schemas as a worker meets them: what it asks of the registry, and what no schema explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pytest

from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError, RegistryUnavailable
from penstock.monitoring import client_catalogue as catalogue
from penstock.monitoring.schema_metrics import ObservedRegistry, SchemaMetrics
from penstock.protocols import RegisteredSchema, SchemaReference, SchemaRegistry
from penstock.schemas.serdes import avro
from penstock.schemas.topic import Topic
from penstock.testing.memory_registry import MemoryRegistry
from tests.unit.monitoring.observed_worker import Observed
from tests.unit.monitoring.parsing import scraped, value
from tests.unit.publishing.in_memory import ManualClock
from tests.unit.runtime.in_memory import Cluster

SCHEMA = '{"type":"record","name":"Fare","fields":[{"name":"cents","type":"int"}]}'


@dataclass
class Fare:
    cents: int


FARES = Topic("in", key=str, value=avro(Fare, schema=SCHEMA))
OUT = Topic("out", key=str, value=avro(Fare, schema=SCHEMA))


def doubled() -> Pipeline:
    made = Pipeline("p", on_error="dead_letter")
    made.stream(FARES).map(lambda fare: Fare(fare.cents * 2), name="double").to(OUT)
    return made


def framed(registry: SchemaRegistry, *cents: int) -> list[bytes | None]:
    return FARES.bind(registry, auto_register=True).encode_values([Fare(each) for each in cents])


def test_what_no_schema_explains_and_what_fits_none_shows_by_subject_and_why() -> None:
    registry = MemoryRegistry()
    good, large = framed(registry, 1, 2**30)
    assert good is not None
    other = registry.register(
        "other-value", '{"type":"record","name":"Seat","fields":[{"name":"row","type":"string"}]}'
    )
    values = [
        good,
        b"\x00\x00\x00\x00\x63" + good[5:],  # an id that nobody has
        b"\x00" + other.id.to_bytes(4, "big") + b"\x02a",  # a schema that is no fare's
        good[:5],  # cut
        b"no Avro",
        large,  # twice as much is more than 32 bits
    ]
    seen = Observed(
        Cluster({("in", 0): [(n, b"k", each, n) for n, each in enumerate(values)]}), doubled(), registry=registry
    )
    seen.run.until_idle()
    told = {
        (subject, reason): seen.value(catalogue.SCHEMA_ERRORS, subject=subject, reason=reason)
        for subject in ("in-value", "out-value")
        for reason in catalogue.SCHEMA_REASONS
    }
    assert {key: count for key, count in told.items() if count} == {
        ("in-value", "unknown_id"): 1,
        ("in-value", "incompatible"): 1,
        ("in-value", "decode"): 2,
        ("out-value", "encode"): 1,
    }


def test_a_record_that_fails_for_another_reason_is_no_schema_error() -> None:
    registry = MemoryRegistry()
    made = Pipeline("p", on_error="dead_letter")
    made.stream(FARES).map(lambda fare: Fare(1 // fare.cents), name="invert").to(OUT)
    (value_,) = framed(registry, 0)
    seen = Observed(Cluster({("in", 0): [(0, b"k", value_, 0), (1, b"\xff", value_, 0)]}), made, registry=registry)
    seen.run.until_idle()
    assert [s for s in seen.scrape() if s.name == str(catalogue.SCHEMA_ERRORS)] == []


class Answers(MemoryRegistry):
    """A registry that takes its time, and refuses to register."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock

    def versions(self, subject: str) -> list[int]:
        self._clock.now_s += 0.75
        return super().versions(subject)

    def register(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema:
        del subject, text, references
        raise ConfigurationError("incompatible")

    def version(self, subject: str, version: int | Literal["latest"]) -> RegisteredSchema | None:
        del subject, version
        raise RegistryUnavailable("away")


def test_what_the_registry_was_asked_is_counted_by_how_it_answered_and_timed() -> None:
    clock = ManualClock()
    metrics = SchemaMetrics("p", clock)
    registry = ObservedRegistry(Answers(clock), metrics)
    assert registry.versions("s") == []
    assert registry.by_id(1) is None
    assert registry.lookup("s", SCHEMA) is None
    with pytest.raises(ConfigurationError):
        registry.register("s", SCHEMA)
    with pytest.raises(RegistryUnavailable):
        registry.version("s", 1)
    found = scraped(metrics.families())
    told = {o: value(found, str(catalogue.REGISTRY_REQUESTS), outcome=o) for o in catalogue.REQUEST_OUTCOMES}
    assert told == {"ok": 1, "missing": 2, "refused": 1, "unavailable": 1}
    assert value(found, f"{catalogue.REGISTRY_DURATION}_count") == 5
    assert value(found, f"{catalogue.REGISTRY_DURATION}_sum") == 0.75


def test_a_worker_asks_the_registry_once_for_what_it_needs_all_the_time() -> None:
    registry = MemoryRegistry()
    values = framed(registry, *range(50))
    registry.register("out-value", SCHEMA)
    seen = Observed(
        Cluster({("in", 0): [(n, b"k", each, n) for n, each in enumerate(values)]}), doubled(), registry=registry
    )
    seen.run.until_idle()
    assert seen.value(catalogue.REGISTRY_REQUESTS, outcome="ok") == 2, "the id of the input, the schema of the output"

"""What schemas cost: questions to the registry, and records and values that fit none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, TypeVar

from penstock.clock import Clock
from penstock.errors import RegistryUnavailable, UndecodableRecord, UnencodableValue
from penstock.monitoring import client_catalogue as catalogue
from penstock.monitoring.exposition import Family
from penstock.monitoring.instruments import Counter, Histogram
from penstock.protocols import RegisteredSchema, SchemaReference, SchemaRegistry

T = TypeVar("T")

_UNDECODABLE: Final = {
    "unknown_schema": "unknown_id",
    "invalid_schema": "incompatible",
    "unresolvable": "incompatible",
}


class SchemaMetrics:
    """Of one worker.

    Args:
        pipeline: its name.
        clock: time.
    """

    def __init__(self, pipeline: str, clock: Clock) -> None:
        self._clock = clock
        self._errors = Counter(catalogue.SCHEMA_ERRORS, pipeline)
        self._requests = Counter(catalogue.REGISTRY_REQUESTS, pipeline)
        self._durations = Histogram(catalogue.REGISTRY_DURATION, pipeline)
        self._durations.expect()
        for outcome in catalogue.REQUEST_OUTCOMES:
            self._requests.add(0, outcome)

    def failed(self, error: BaseException) -> None:
        """A record failed; if it is a schema's doing, it is counted."""
        if isinstance(error, UndecodableRecord | UnencodableValue) and error.subject:
            is_decoding = isinstance(error, UndecodableRecord)
            reason = _UNDECODABLE.get(error.reason, "decode") if is_decoding else "encode"
            self._errors.add(1, error.subject, reason)

    def asked(self, ask: Callable[[], T]) -> T:
        """Ask the registry, and note how that went."""
        began_s = self._clock.monotonic_s()
        outcome = "refused"
        try:
            answer = ask()
            outcome = "missing" if answer is None else "ok"
        except RegistryUnavailable:
            outcome = "unavailable"
            raise
        finally:
            self._durations.observe(self._clock.monotonic_s() - began_s)
            self._requests.add(1, outcome)
        return answer

    def families(self) -> Iterator[Family]:
        """As of now."""
        for instrument in (self._errors, self._requests, self._durations):
            yield instrument.family()


class ObservedRegistry:
    """A `protocols.SchemaRegistry` whose answers are counted.

    Args:
        registry: who answers.
        metrics: who counts.
    """

    def __init__(self, registry: SchemaRegistry, metrics: SchemaMetrics) -> None:
        self._registry, self._metrics = registry, metrics

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        """The schema with this global id."""
        return self._metrics.asked(lambda: self._registry.by_id(schema_id))

    def version(self, subject: str, version: int | Literal["latest"]) -> RegisteredSchema | None:
        """One version of a subject."""
        return self._metrics.asked(lambda: self._registry.version(subject, version))

    def versions(self, subject: str) -> list[int]:
        """The versions of a subject."""
        return self._metrics.asked(lambda: self._registry.versions(subject))

    def lookup(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema | None:
        """This very schema under this subject."""
        return self._metrics.asked(lambda: self._registry.lookup(subject, text, references))

    def register(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema:
        """Register under the subject."""
        return self._metrics.asked(lambda: self._registry.register(subject, text, references))

"""The schema registry as the engine sees it, on confluent-kafka's client: its authentication, TLS and retries.

The client remembers answers for ever, also such as a later registration makes wrong ("latest", a look-up). Only what
cannot change is remembered here: the content of an id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from confluent_kafka.schema_registry import RegisteredSchema as TheirRegistered
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry import SchemaReference as TheirReference
from confluent_kafka.schema_registry.error import SchemaRegistryError

from penstock.errors import ConfigurationError, PenstockError, RegistryUnavailable
from penstock.protocols import RegisteredSchema, SchemaReference

if TYPE_CHECKING:
    from penstock.config import RegistrySettings

T = TypeVar("T")

_TIMEOUT_S = 10.0
_RETRIES = 2
_NOT_THERE = {40401, 40402, 40403}
_COMES_BACK = {408, 425, 429}


@dataclass(frozen=True, slots=True)
class RegistryDescription:
    """A registry as it describes itself.

    Attributes:
        url: where it answers, without credentials.
        subjects: how many.
        level: the global compatibility level.
        mode: `READWRITE`, `READONLY` or `IMPORT`.
    """

    url: str
    subjects: int
    level: str
    mode: str


class RegistryClient:
    """`protocols.SchemaRegistry` on HTTP. Safe for several threads.

    A registry that cannot be reached, or that answers with a time-out or a 5xx, is `RegistryUnavailable`, whatever was
    asked: no record is to blame. What is not there is None and is asked for anew each time.

    Args:
        url: where it answers; several, comma-separated, are tried in turn.
        username: for HTTP basic authentication.
        password: likewise.
        ca_file: certificates (PEM) to trust instead of the system's, for https.
        timeout_s: for one request; two retries may follow.
    """

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ca_file: Path | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._where = ", ".join(_without_credentials(each.strip()) for each in url.split(","))
        options: dict[str, object] = {
            "url": url,
            "timeout": timeout_s,
            "max.retries": _RETRIES,
            "retries.wait.ms": 100,
            "retries.max.wait.ms": 1_000,
        }
        if username is not None:
            options["basic.auth.user.info"] = f"{username}:{password or ''}"
        if ca_file is not None:
            options["ssl.ca.location"] = str(ca_file)
        self._client = SchemaRegistryClient(options)
        self._by_id: dict[int, RegisteredSchema] = {}
        self._lock = threading.Lock()

    @staticmethod
    def of(settings: RegistrySettings) -> RegistryClient:
        """The registry that the configuration describes."""
        password = settings.password.get_secret_value() if settings.password else None
        return RegistryClient(settings.url, username=settings.username, password=password, ca_file=settings.ca_file)

    def by_id(self, schema_id: int) -> RegisteredSchema | None:
        """The schema with this global id; None if the registry has none."""
        with self._lock:
            known = self._by_id.get(schema_id)
        if known is not None:
            return known
        found = self._asked(f"schema id {schema_id}", lambda: self._client.get_schema(schema_id))
        if found is None:
            return None
        schema = _ours(schema_id, found)
        with self._lock:
            self._by_id[schema_id] = schema
        return schema

    def version(self, subject: str, version: int | Literal["latest"]) -> RegisteredSchema | None:
        """One version of a subject; None for an unknown subject or version."""

        def call() -> TheirRegistered:
            if version == "latest":
                return self._client.get_latest_version(subject)
            return self._client.get_version(subject, version)

        found = self._asked(f"subject '{subject}' version {version}", call)
        return _registered(found, subject) if found else None

    def versions(self, subject: str) -> list[int]:
        """The versions that are not deleted, ascending; empty for an unknown subject."""
        found = self._asked(f"versions of subject '{subject}'", lambda: self._client.get_versions(subject))
        return sorted(found or [])

    def lookup(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema | None:
        """This very schema under this subject, if it is registered.

        Raises:
            ConfigurationError: the registry finds it invalid; the message gives its words.
        """
        schema = _theirs(text, references)
        found = self._asked(f"look-up in subject '{subject}'", lambda: self._client.lookup_schema(subject, schema))
        return _registered(found, subject) if found else None

    def register(self, subject: str, text: str, references: Sequence[SchemaReference] = ()) -> RegisteredSchema:
        """Register under the subject; the same schema again gives the same id.

        Raises:
            ConfigurationError: refused as incompatible or invalid; the message gives the registry's words.
        """
        schema = _theirs(text, references)
        answer = self._asked(
            f"registering under subject '{subject}'",
            lambda: self._client.register_schema_full_response(subject, schema),
        )
        if answer is None or answer.schema_id is None:
            raise ConfigurationError(f"{self._where}: registering under '{subject}' was answered with nothing")
        if answer.version is None:  # Karapace and older Confluent registries tell the id alone
            return self.lookup(subject, text, references) or _ours(answer.schema_id, schema, subject)
        return _ours(answer.schema_id, schema, subject, answer.version)

    def about(self) -> RegistryDescription:
        """What the registry says of itself.

        Raises:
            ConfigurationError: something else answers at its address, or the credentials are refused.
        """
        subjects = self._asked("subjects", self._client.get_subjects)
        level = self._asked("compatibility level", self._client.get_compatibility)
        mode = self._asked("mode", self._client.get_global_mode)
        return RegistryDescription(self._where, len(subjects or []), level or "unknown", mode or "unknown")

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _asked(self, what: str, call: Callable[[], T]) -> T | None:
        self._client.clear_caches()  # type: ignore[no-untyped-call]  # has no annotations
        try:
            return call()
        except SchemaRegistryError as exc:
            if exc.error_code in _NOT_THERE:
                return None
            raise self._judged(what, exc) from exc
        except (ValueError, TypeError, KeyError) as exc:
            raise ConfigurationError(
                f"{self._where}, {what}: the answer is not a schema registry's; check registry.url"
            ) from exc
        except Exception as exc:  # transport errors of whichever httpx the client has found
            raise RegistryUnavailable(
                f"{self._where}, {what}: no answer ({type(exc).__name__}); start it, or mend registry.url"
            ) from exc

    def _judged(self, what: str, exc: SchemaRegistryError) -> PenstockError:
        status, where = exc.http_status_code, f"{self._where}, {what}"
        if status >= 500 or status in _COMES_BACK:
            return RegistryUnavailable(f"{where}: HTTP {status}: {exc.error_message}")
        if status in {401, 403}:
            return ConfigurationError(
                f"{where}: HTTP {status}: credentials refused; set registry.username and registry.password"
            )
        if status == 404:
            return ConfigurationError(f"{where}: HTTP 404: no schema registry answers there; check registry.url")
        return ConfigurationError(f"{where}: {exc.error_message} (code {exc.error_code})")


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _theirs(text: str, references: Sequence[SchemaReference]) -> Schema:
    return Schema(text, "AVRO", [TheirReference(r.name, r.subject, r.version) for r in references])


def _registered(found: TheirRegistered, subject: str) -> RegisteredSchema:
    return _ours(found.schema_id or 0, found.schema, found.subject or subject, found.version)


def _ours(schema_id: int, schema: Schema, subject: str | None = None, version: int | None = None) -> RegisteredSchema:
    return RegisteredSchema(
        id=schema_id,
        text=schema.schema_str or "",
        references=tuple(
            SchemaReference(r.name or "", r.subject or "", r.version or 0) for r in schema.references or ()
        ),
        subject=subject,
        version=version,
        kind=schema.schema_type or "AVRO",
    )

"""The REST calls: one table from method and path to what answers it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.embedded.registry import refusal
from penstock.embedded.registry.bodies import MAX_BODY_BYTES, level_body, mode_body, schema_body, version_of
from penstock.embedded.registry.layout import SchemaValue
from penstock.embedded.registry.refusal import Refusal
from penstock.embedded.registry.schemas import Schemas
from penstock.embedded.registry.settings import Settings
from penstock.embedded.registry.subjects import Subjects, told

LOGGER = logging.getLogger("penstock.embedded.registry")
CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"

ABOUT = {
    "name": "penstock registry",
    "for": "development and single node: one process, no replication of its own, no authentication",
    "interface": "Confluent Schema Registry REST API, the part for AVRO",
}


class Text(str):
    """An answer that is sent as it is, not as a JSON string."""

    __slots__ = ()


class Call(NamedTuple):
    """One request."""

    path: dict[str, str]
    query: QueryParams
    body: bytes

    @property
    def subject(self) -> str:
        """The subject in the path."""
        return self.path["subject"]

    @property
    def version(self) -> int:
        """The version in the path; `bodies.LATEST` for the latest.

        Raises:
            Refusal: 42202.
        """
        return version_of(self.path["version"])

    def flag(self, *names: str) -> bool:
        """Whether a query parameter says "true", in any case."""
        return any(self.query.get(name, "").lower() == "true" for name in names)

    def page(self, items: list[Any]) -> list[Any]:
        """The part of a list that `offset` and `limit` ask for.

        Raises:
            Refusal: 400: no numbers.
        """
        try:
            offset, limit = int(self.query.get("offset", "0")), int(self.query.get("limit", "-1"))
        except ValueError as exc:
            raise Refusal(400, 400, "offset and limit must be numbers") from exc
        start = max(0, offset)
        return items[start : start + limit] if limit > 0 else items[start:]


Answer = Callable[[Call], object]


def application(subjects: Subjects, schemas: Schemas, settings: Settings) -> ASGIApp:
    """The registry as an ASGI application."""
    table = [*_subject_calls(subjects), *_schema_calls(schemas), *_setting_calls(settings)]
    table += [("GET", "/", lambda _: ABOUT), ("GET", "/contexts", lambda _: ["."])]
    app = Starlette(
        routes=[Route(path, _endpoint(answer), methods=[method]) for method, path, answer in table],
        exception_handlers={HTTPException: _no_such_call},
    )
    app.router.redirect_slashes = False
    return _encoded_paths(app)


def _subject_calls(subjects: Subjects) -> list[tuple[str, str, Answer]]:
    one, version = "/subjects/{subject}", "/subjects/{subject}/versions/{version}"

    def check(call: Call, number: int | None) -> object:
        try:
            level, found = subjects.violations(call.subject, schema_body(call.body), number)
        except Refusal as exc:
            if exc.code != 42201 or not call.flag("verbose"):
                raise
            return {"is_compatible": False, "messages": [str(exc)]}
        verdict: dict[str, object] = {"is_compatible": not found}
        return {**verdict, "messages": told(level, found) if found else []} if call.flag("verbose") else verdict

    def names(call: Call) -> object:
        prefix = call.query.get("subjectPrefix", "").removeprefix(":*:").removeprefix(":.:")
        deleted_only = call.flag("deletedOnly", "deleted_only")
        return call.page(subjects.names(prefix=prefix, deleted=call.flag("deleted"), deleted_only=deleted_only))

    return [
        ("GET", "/subjects", names),
        (
            "GET",
            f"{one}/versions",
            lambda c: c.page(
                subjects.versions(
                    c.subject, deleted=c.flag("deleted"), deleted_only=c.flag("deletedOnly", "deleted_only")
                )
            ),
        ),
        (
            "POST",
            f"{one}/versions",
            lambda c: _full(
                subjects.register(c.subject, schema_body(c.body), normalize=c.flag("normalize")), "subject"
            ),
        ),
        ("POST", one, lambda c: _full(subjects.look_up(c.subject, schema_body(c.body), deleted=c.flag("deleted")))),
        ("DELETE", one, lambda c: subjects.delete(c.subject, permanent=c.flag("permanent"))),
        ("GET", version, lambda c: _full(subjects.version(c.subject, c.version, deleted=c.flag("deleted")))),
        (
            "GET",
            f"{version}/schema",
            lambda c: Text(subjects.version(c.subject, c.version, deleted=c.flag("deleted")).text),
        ),
        (
            "GET",
            f"{version}/referencedby",
            lambda c: c.page(subjects.referring_to(c.subject, c.version, deleted=c.flag("deleted"))),
        ),
        ("DELETE", version, lambda c: subjects.delete_version(c.subject, c.version, permanent=c.flag("permanent"))),
        ("POST", "/compatibility/subjects/{subject}/versions", lambda c: check(c, None)),
        ("POST", "/compatibility/subjects/{subject}/versions/{version}", lambda c: check(c, c.version)),
    ]


def _schema_calls(schemas: Schemas) -> list[tuple[str, str, Answer]]:
    by_id = "/schemas/ids/{id:int}"

    def one(call: Call) -> object:
        schema, highest = schemas.with_id(int(call.path["id"]))
        return _full(schema, "id") | ({"maxId": highest} if call.flag("fetchMaxId") else {})

    def versions(call: Call) -> list[SchemaValue]:
        return schemas.versions(int(call.path["id"]), call.query.get("subject"), deleted=call.flag("deleted"))

    return [
        ("GET", "/schemas/types", lambda _: ["AVRO"]),
        ("GET", by_id, one),
        ("GET", f"{by_id}/schema", lambda c: Text(schemas.with_id(int(c.path["id"]))[0].text)),
        ("GET", f"{by_id}/subjects", lambda c: c.page(list(dict.fromkeys(s.subject for s in versions(c))))),
        (
            "GET",
            f"{by_id}/versions",
            lambda c: c.page([{"subject": s.subject, "version": s.version} for s in versions(c)]),
        ),
        ("GET", "/schemas/guids/{guid}", lambda c: _full(schemas.with_guid(c.path["guid"]))),
    ]


def _setting_calls(settings: Settings) -> list[tuple[str, str, Answer]]:
    def set_level(call: Call) -> object:
        level = level_body(call.body)
        settings.set_level(call.path.get("subject"), level)
        return {"compatibility": level}

    def set_mode(call: Call) -> object:
        mode = mode_body(call.body)
        settings.set_mode(call.path.get("subject"), mode, force=call.flag("force"))
        return {"mode": mode}

    def level(call: Call) -> object:
        found = settings.level(call.path.get("subject"), default_to_global=call.flag("defaultToGlobal"))
        return {"compatibilityLevel": found}

    def mode(call: Call) -> object:
        return {"mode": settings.mode(call.path.get("subject"), default_to_global=call.flag("defaultToGlobal"))}

    calls: list[tuple[str, str, Answer]] = []
    for path in ("", "/{subject}"):
        calls += [
            ("GET", f"/config{path}", level),
            ("PUT", f"/config{path}", set_level),
            (
                "DELETE",
                f"/config{path}",
                lambda c: {"compatibilityLevel": settings.delete_level(c.path.get("subject"))},
            ),
            ("GET", f"/mode{path}", mode),
            ("PUT", f"/mode{path}", set_mode),
            ("DELETE", f"/mode{path}", lambda c: {"mode": settings.delete_mode(c.path.get("subject"))}),
        ]
    return calls


def _full(schema: SchemaValue, *without: str) -> dict[str, Any]:
    """A version as it is told: `schemaType` and `references` only where there is something to tell."""
    every: dict[str, Any] = {
        "subject": schema.subject,
        "version": schema.version,
        "id": schema.id,
        "guid": schema.guid,
        **schema.typed(),
        "schema": schema.text,
    }
    every |= {name: schema.extra[name] for name in ("metadata", "ruleSet") if name in schema.extra}
    return {name: value for name, value in every.items() if name not in without}


# ---------------------------------------------------------------- HTTP


def _endpoint(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return _respond(await run_in_threadpool(answer, await _call(request)))
        except Refusal as exc:
            return _refuse(exc)
        except Exception:
            LOGGER.exception("%s %s failed; this is a bug, please report it", request.method, request.url.path)
            return _refuse(refusal.store_failed("internal error; the registry's log says more"))

    return endpoint


async def _call(request: Request) -> Call:
    if "origin" in request.headers:  # a web page in some browser: it has no business here
        raise Refusal(403, 403, "requests from web pages are refused")
    path = {name: unquote(str(value)) for name, value in request.path_params.items()}
    return Call(path, request.query_params, await _body(request))


async def _body(request: Request) -> bytes:
    """The body, bounded while it arrives: whatever its length header says."""
    parts, length = list[bytes](), 0
    async for part in request.stream():
        length += len(part)
        if length > MAX_BODY_BYTES:
            raise Refusal(413, 413, f"Request too large: at most {MAX_BODY_BYTES:,} bytes")
        parts.append(part)
    return b"".join(parts)


def _respond(content: object, status: int = 200) -> Response:
    body = content.encode() if isinstance(content, Text) else msgspec.json.encode(content)
    return Response(body, status, media_type=CONTENT_TYPE)


def _refuse(exc: Refusal) -> Response:
    return _respond({"error_code": exc.code, "message": str(exc)}, exc.status)


async def _no_such_call(_request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    words = {404: "HTTP 404 Not Found", 405: "HTTP 405 Method Not Allowed"}
    return _respond({"error_code": status, "message": words.get(status, f"HTTP {status}")}, status)


def _encoded_paths(app: ASGIApp) -> ASGIApp:
    """Route by the path as it was sent: a subject may hold slashes, sent as %2F, which decoding would make ours."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "raw_path" in scope:
            path = scope["raw_path"].decode("ascii", "replace")
            scope = {**scope, "path": path.rstrip("/") or "/"}
        await app(scope, receive, send)

    return wrapped

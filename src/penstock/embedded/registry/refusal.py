"""What the registry answers when it does not do as asked: Confluent's codes and, where they are known, its words."""

from __future__ import annotations

from penstock.errors import PenstockError


class Refusal(PenstockError):
    """An answer other than 200.

    Attributes:
        status: HTTP status.
        code: the registry's own code, finer than the status.
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def no_subject(subject: str | None) -> Refusal:
    """40401."""
    return Refusal(404, 40401, f"Subject '{subject}' not found.")


def no_version(version: int) -> Refusal:
    """40402."""
    return Refusal(404, 40402, f"Version {version} not found.")


def no_schema(schema_id: int | str | None = None) -> Refusal:
    """40403."""
    return Refusal(404, 40403, "Schema not found" if schema_id is None else f"Schema {schema_id} not found")


def already_deleted(subject: str, version: int | None = None) -> Refusal:
    """40404 for a subject, 40406 for one version."""
    what, code = (
        (f"Subject '{subject}'", 40404) if version is None else (f"Subject '{subject}' Version {version}", 40406)
    )
    return Refusal(404, code, f"{what} was soft deleted. Set permanent=true to delete permanently")


def not_yet_deleted(subject: str, version: int | None = None) -> Refusal:
    """40405 for a subject, 40407 for one version."""
    what, code = (
        (f"Subject '{subject}'", 40405) if version is None else (f"Subject '{subject}' Version {version}", 40407)
    )
    return Refusal(404, code, f"{what} was not deleted first before being permanently deleted")


def no_level(subject: str) -> Refusal:
    """40408."""
    return Refusal(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def no_mode(subject: str) -> Refusal:
    """40409."""
    return Refusal(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(subject: str, reasons: list[str]) -> Refusal:
    """409."""
    told = "; ".join(reasons)
    message = f'Schema being registered is incompatible with an earlier schema for subject "{subject}", details: {told}'
    return Refusal(409, 409, message)


def invalid_schema(why: str) -> Refusal:
    """42201."""
    return Refusal(422, 42201, why)


def invalid_version(version: str) -> Refusal:
    """42202."""
    message = f"The specified version '{version}' is not a valid version id. "
    return Refusal(422, 42202, message + 'Allowed values are between [1, 2^31-1] and the string "latest"')


def invalid_level(why: str | None = None) -> Refusal:
    """42203."""
    levels = "none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    return Refusal(422, 42203, why or f"Invalid compatibility level. Valid values are {levels}")


def invalid_mode(why: str | None = None) -> Refusal:
    """42204."""
    return Refusal(422, 42204, why or "Invalid mode. Valid values are READWRITE, READONLY and IMPORT.")


def not_permitted(why: str) -> Refusal:
    """42205."""
    return Refusal(422, 42205, why)


def referred_to(subject: str, version: int) -> Refusal:
    """42206."""
    return Refusal(422, 42206, f"One or more references exist to the schema: subject '{subject}', version {version}")


def invalid_subject(subject: str) -> Refusal:
    """42208."""
    return Refusal(422, 42208, f"The specified subject {subject[:100]!r} is not valid")


def too_large(why: str) -> Refusal:
    """42209."""
    return Refusal(422, 42209, why)


def store_failed(why: str) -> Refusal:
    """50001."""
    return Refusal(500, 50001, why)


def timed_out(why: str) -> Refusal:
    """50002."""
    return Refusal(500, 50002, why)


def not_leader() -> Refusal:
    """50003."""
    return Refusal(
        500, 50003, "This process no longer writes the registry's topic; another one has taken over. Ask that one"
    )

"""Dead letters as a person, or a program, is shown them.

Whatever may hold payload (keys, values, headers, and other systems' messages and stacks) is left out unless it is asked
for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from penstock.cli.output import console

if TYPE_CHECKING:
    from penstock.cli.rendering import DecodeAvro
    from penstock.deadletter.dead_letter import DeadLetter
    from penstock.redrive.groups import Group
    from penstock.redrive.ledger import Fate

REDACTED = "[redacted]"


def shown_time(time_ms: int) -> str:
    """A time for people, UTC; `-` where it is none."""
    if not 0 < time_ms < 253_402_300_800_000:
        return "-"
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def topic_row(topic: str, groups: list[Group]) -> dict[str, Any]:
    """A topic's letters, counted."""
    return {
        "topic": topic,
        "open": sum(group.fates["open"] for group in groups),
        "redriven": sum(group.fates["redriven"] for group in groups),
        "dropped": sum(group.fates["dropped"] for group in groups),
        "kinds": len(groups),
        "first_ms": min((group.first_ms for group in groups), default=None),
        "last_ms": max((group.last_ms for group in groups), default=None),
    }


def group_document(group: Group, by: str) -> dict[str, Any]:
    """A group as JSON has it."""
    first = group.first
    return {
        by: group.name,
        "open": group.fates["open"],
        "redriven": group.fates["redriven"],
        "dropped": group.fates["dropped"],
        "first_ms": group.first_ms,
        "last_ms": group.last_ms,
        "dialect": first.dialect,
        "stage": first.stage,
        "operator": first.operator,
        "exception": first.exception,
        "reason": first.reason,
        "place": first.place,
        "samples": group.samples,
    }


def print_groups(groups: list[Group], by: str) -> None:
    """Groups for people, a paragraph each."""
    from penstock.cli.rendering import printable  # noqa: PLC0415 - keeps `--help` fast

    out = console()
    for group in groups:
        fates = ", ".join(
            f"{group.fates[fate]:,} {fate}" for fate in ("open", "redriven", "dropped") if group.fates[fate]
        )
        out.print(f"{printable(group.name) or '(none)'}  {fates}", soft_wrap=True)
        if by == "fingerprint":
            out.print(f"  {printable(_what(group.first))}", soft_wrap=True)
        out.print(f"  seen   {shown_time(group.first_ms)} to {shown_time(group.last_ms)}", soft_wrap=True)
        at = ", ".join(sample.removeprefix(group.first.topic) for sample in group.samples)
        out.print(f"  at     {at}", soft_wrap=True)


def _what(letter: DeadLetter) -> str:
    """The failure in one line, without anything that may be payload."""
    exception = letter.exception.rpartition(".")[2] or "no exception told"
    reason = f" ({letter.reason})" if letter.reason not in ("", "error") else ""
    stage = f" in {letter.stage}" if letter.stage else ""
    operator = f" of '{letter.operator}'" if letter.operator else ""
    place = f", {letter.place}" if letter.place else ""
    return f"{exception}{reason}{stage}{operator}{place}"


def print_letter(letter: DeadLetter, fate: Fate, decode_avro: DecodeAvro | None) -> None:
    """One letter for people; with what may hold payload where a decoder is given."""
    from penstock.cli.rendering import printable, render  # noqa: PLC0415 - keeps `--help` fast

    told = {
        "from": str(letter.source or ""),
        "failed": _what(letter),
        "by": letter.pipeline + (f", worker {letter.worker}" if letter.worker else ""),
        "schemas": ", ".join(
            f"{side} {number}"
            for side, number in (("key", letter.key_schema_id), ("value", letter.value_schema_id))
            if number is not None
        ),
        "fingerprint": letter.fingerprint,
        "message": letter.message if decode_avro is not None or not letter.may_quote_payload else "",
        "attempts": "" if letter.attempts is None else str(letter.attempts),
        "redriven": f"{letter.redrives} times, last by {letter.redrive_id}" if letter.redrives else "",
        "partial": "" if letter.is_whole else "key, value or headers of the original are left out",
        "problems": "; ".join(letter.problems),
    }
    if decode_avro is not None:
        told |= {"key": str(render(letter.key, decode_avro)), "value": str(render(letter.value, decode_avro))}
        told |= {f"header {printable(name)}": str(render(data)) for name, data in letter.headers}
    out = console()
    out.print(f"{letter}  {fate}  {shown_time(letter.seen_ms)}  {letter.dialect}", soft_wrap=True)
    for name, text in told.items():
        if text:
            out.print(f"  {name:<12} {printable(text)}", soft_wrap=True)
    if letter.stack and (decode_avro is not None or not letter.may_quote_payload):
        for line in letter.stack.splitlines():
            out.print(f"    {printable(line.expandtabs(2))}", soft_wrap=True)


def document(
    letter: DeadLetter, fate: Fate, decode_avro: DecodeAvro | None, redact: list[str] | None = None
) -> dict[str, Any]:
    """One letter as JSON has it; with payload where a decoder is given, but for what is to be redacted."""
    from penstock.cli.rendering import render  # noqa: PLC0415 - keeps `--help` fast

    has_words = not letter.may_quote_payload or (decode_avro is not None and not redact)
    source = letter.source
    told: dict[str, Any] = {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "fate": fate,
        "dialect": letter.dialect,
        "source": None
        if source is None
        else {"topic": source.topic, "partition": source.partition, "offset": source.offset},
        "timestamp_ms": letter.original_ms,
        "failed_ms": letter.failed_ms,
        "pipeline": letter.pipeline,
        "worker": letter.worker,
        "stage": letter.stage,
        "operator": letter.operator,
        "exception": letter.exception,
        "reason": letter.reason,
        "place": letter.place,
        "fingerprint": letter.fingerprint,
        "attempts": letter.attempts,
        "key_schema_id": letter.key_schema_id,
        "value_schema_id": letter.value_schema_id,
        "redrives": letter.redrives,
        "redrive_id": letter.redrive_id,
        "is_whole": letter.is_whole,
        "problems": list(letter.problems),
        "message": letter.message if has_words else None,
        "stack": letter.stack if has_words else None,
    }
    if decode_avro is None:
        return told
    key, value = render(letter.key, decode_avro), render(letter.value, decode_avro)
    told |= {"value": value.value if not redact else redacted(value.value, redact), "value_form": value.form}
    if not redact:
        told |= {
            "key": key.value,
            "key_form": key.form,
            "headers": [{"name": name, "value": render(data).value} for name, data in letter.headers],
        }
    return told


def redacted(value: Any, paths: list[str]) -> Any:
    """The value with what stands at these paths replaced; one that is no map, or meant by `*`, is replaced whole."""
    if value is None:
        return None
    if "*" in paths or not isinstance(value, dict | list):
        return REDACTED
    for path in paths:
        value = _without(value, path.split("."))
    return value


def _without(value: Any, path: list[str]) -> Any:
    if isinstance(value, list):
        return [_without(each, path) for each in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    changed = REDACTED if len(path) == 1 else _without(value[path[0]], path[1:])
    return {**value, path[0]: changed}

"""From files and variables to a `Config`, or to one error that lists every problem."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from penstock.config import environment
from penstock.config.file import FILE_NAME, Lines, find, line_of, read
from penstock.config.model import Config, Source, sections
from penstock.config.options import refusals
from penstock.errors import ConfigurationError

Table = dict[str, Any]
KeyPath = tuple[str, ...]

BUILT_IN: dict[str, Table] = {"dev": {"registry": {"auto_register": True}}, "prod": {}}
"""The profiles that are always there, with what they set before the file does."""

_PLAINER = {
    "missing": "is missing",
    "string_pattern_mismatch": "should be lower-case letters, digits and dashes, a letter first, 63 at most",
    "string_type": "should be text, in quotes",
    "model_type": "should be a table",
    "dict_type": "should be a table",
}
"""Kinds of pydantic's errors that need other words here."""

UNNAMED: Table = {"project": {"name": "penstock"}}
"""What stands in for the file where there is none."""


def load(start: Path | None = None, profile: str | None = None) -> Config:
    """Read the configuration: environment over profile over file over defaults.

    Args:
        start: folder from which `penstock.toml` is looked for, upwards; None = the current one. Without any file
            the defaults and the environment apply.
        profile: None = `PENSTOCK_PROFILE`, else `dev`.

    Raises:
        ConfigurationError: names every problem, each with its file and line or variable, and its key.
    """
    file = find(start or Path.cwd())
    table, lines = read(file) if file else (UNNAMED, {})
    layers = _Layers(file, lines, table, profile or os.environ.get(environment.PROFILE) or "dev")
    merged, origins = layers.merged()
    problems = [*layers.wrong_profiles(), *layers.unknown_keys(), *_unknown_variables()]
    config, wrong_values = _validated(layers.from_file(), origins)
    problems += wrong_values
    problems += _across(merged, origins)
    if problems or config is None:
        raise ConfigurationError(_report(problems))
    return config.placed(Source(file.parent if file else Path.cwd(), file, layers.profile, origins))


class _Layers:
    """What each place says, and where it says it."""

    def __init__(self, file: Path | None, lines: Lines, table: Table, profile: str) -> None:
        self._place = _shown(file) if file else "default"  # what stands in for a file
        self._lines = lines
        self._base = {key: value for key, value in table.items() if key != "profiles"}
        profiles = table.get("profiles", {})
        self._profiles: dict[str, Any] = profiles if isinstance(profiles, dict) else {}
        self._has_profiles = isinstance(profiles, dict)
        self._chosen = self._profiles.get(profile)
        self.profile = profile

    def from_file(self) -> Table:
        """Built-in profile, file and profile, the later over the earlier."""
        base = _over({"project": {}, **BUILT_IN.get(self.profile, {})}, self._base)
        return _over(base, self._chosen) if isinstance(self._chosen, dict) else base

    def merged(self) -> tuple[Table, dict[KeyPath, str]]:
        """Everything with the environment on top, and {path: where it was set}."""
        variables = environment.EnvironmentSource(Config)()
        built_in = BUILT_IN.get(self.profile, {})
        origins = dict.fromkeys(environment.leaves(built_in), f"default of profile {self.profile}")
        origins |= {path: self._at(path) for path in environment.leaves(self._base)}
        if isinstance(self._chosen, dict):
            paths = environment.leaves(self._chosen)
            origins |= {path: self._at(("profiles", self.profile, *path)) for path in paths}
        return _over(self.from_file(), variables), origins | environment.origins(variables)

    def wrong_profiles(self) -> Iterator[str]:
        """Profiles that are no tables, and a chosen one that does not exist."""
        if not self._has_profiles:
            yield f"{self._at(('profiles',))}: profiles: should be a table of tables"
        for name, overlay in self._profiles.items():
            if not isinstance(overlay, dict):
                yield f"{self._at(('profiles', name))}: {dotted(('profiles', name))}: should be a table"
        known = [*BUILT_IN, *self._profiles]
        if self.profile not in known:
            yield f"profile {self.profile!r} does not exist{_nearest(self.profile, known)}"

    def unknown_keys(self) -> Iterator[str]:
        """Keys that mean nothing, in every profile, the inactive ones too."""
        yield from self._unknown(self._base, ())
        for name, overlay in self._profiles.items():
            if isinstance(overlay, dict):
                yield from self._unknown(overlay, ("profiles", name))

    def _unknown(self, table: Table, path: KeyPath) -> Iterator[str]:
        known = sections()
        for name, content in table.items():
            if name not in known:
                yield self._unknown_key((*path, name), [*known, *_homes(name)])
            elif isinstance(content, dict):
                for key in content.keys() - known[name].model_fields.keys():
                    yield self._unknown_key((*path, name, key), [*known[name].model_fields, *_homes(key)])

    def _unknown_key(self, path: KeyPath, known: list[str]) -> str:
        homes = _homes(path[-1])
        hint = f"; did you mean {homes[0]}?" if homes else _nearest(path[-1], known)
        return f"{self._at(path)}: {dotted(path)}: unknown key{hint}"

    def _at(self, path: KeyPath) -> str:
        line = line_of(path, self._lines)
        return f"{self._place}:{line}" if line else self._place


def dotted(path: KeyPath) -> str:
    """A path as it is written in TOML."""
    return ".".join(part if part.replace("_", "").replace("-", "").isalnum() else f'"{part}"' for part in path)


def _validated(table: Table, origins: Mapping[KeyPath, str]) -> tuple[Config | None, list[str]]:
    try:
        return Config(**table), []
    except ValidationError as err:
        # Unknown keys have been reported, with their nearest names and for every profile.
        return None, [_told(error, origins) for error in err.errors() if error["type"] != "extra_forbidden"]


def _told(error: Mapping[str, Any], origins: Mapping[KeyPath, str]) -> str:
    path = tuple(str(part) for part in error["loc"][:3] if part not in ("str", "int", "bool"))
    where = origins.get(path) or next((where for at, where in origins.items() if at[: len(path)] == path), FILE_NAME)
    plain = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    what = _PLAINER.get(error["type"], plain)
    return f"{where}: {dotted(path)}: {what}{_got(error, path)}"


def _got(error: Mapping[str, Any], path: KeyPath) -> str:
    # Only what cannot hold a secret is repeated.
    harmless = path[0] in ("project", "publishing", "processing", "logging") or path[-1] == "bootstrap_servers"
    return f", got {error['input']!r}" if harmless and isinstance(error["input"], str | int | float) else ""


def _across(merged: Table, origins: Mapping[KeyPath, str]) -> Iterator[str]:
    """What no section can judge alone: time-outs that must fit together, and librdkafka's options."""
    kafka, timeouts_ms = _table(merged, "kafka"), dict[str, int]()
    for section in ("publishing", "processing"):
        settings = _table(merged, section)
        timeouts_ms[section] = timeout_ms = _number(settings.get("transaction_timeout_ms"), 60_000)
        if (budget_ms := _number(settings.get("transaction_budget_ms"), 45_000)) >= timeout_ms:
            path = (section, "transaction_budget_ms")
            where = origins.get(path) or origins.get((section, "transaction_timeout_ms"), FILE_NAME)
            yield (
                f"{where}: {dotted(path)}: {budget_ms} must be less than "
                f"{section}.transaction_timeout_ms ({timeout_ms})"
            )
    processing, session = _table(merged, "processing"), ("processing", "session_timeout_ms")
    if processing.get("group_protocol") == "consumer" and session[1] in processing:
        yield (
            f'{origins.get(session, FILE_NAME)}: {dotted(session)}: holds for group_protocol "classic" only; with '
            '"consumer" it is group.consumer.session.timeout.ms on the brokers'
        )
    for name in environment.OPTION_TABLES:
        produces = name in ("client", "producer")
        for option, reason in refusals(_table(kafka, name), timeouts_ms if produces else {}):
            option_path = ("kafka", name, option)
            yield f"{origins.get(option_path, FILE_NAME)}: {dotted(option_path)}: {reason}"


def _table(table: Table, key: str) -> Table:
    # A wrong type has been reported by then.
    found = table.get(key)
    return found if isinstance(found, dict) else {}


def _number(value: object, default: int) -> int:
    try:
        return int(str(value))
    except ValueError:
        return default


def _unknown_variables() -> Iterator[str]:
    known = {
        environment.variable((section, key)) for section, model in sections().items() for key in model.model_fields
    }
    tables = {("kafka", table) for table in environment.OPTION_TABLES}
    for name, path in environment.variables():
        if name.upper() in known or (len(path) == 3 and path[:2] in tables):
            continue
        yield f"environment {name}: unknown variable{_nearest(name.upper(), sorted(known | {environment.PROFILE}))}"


def _homes(key: str) -> list[str]:
    """The sections that have a key of this name, as dotted keys."""
    return [f"{section}.{key}" for section, model in sections().items() if key in model.model_fields]


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(dict.fromkeys(known))}"


def _over(below: Table, above: Table) -> Table:
    """Both tables, the second winning key by key."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return merged


def _shown(file: Path) -> str:
    here = Path.cwd()
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def _report(problems: list[str]) -> str:
    head = (
        "the configuration has a problem:" if len(problems) == 1 else f"the configuration has {len(problems)} problems:"
    )
    return "\n  ".join([head, *problems])

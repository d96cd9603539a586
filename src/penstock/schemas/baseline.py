"""The older schemas that `penstock schemas check` compares with: a git revision, a folder, a registry."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from penstock.errors import ConfigurationError, UsageError
from penstock.protocols import RegisteredSchema, SchemaReference, SchemaRegistry
from penstock.schemas.limits import MAX_SCHEMA_BYTES
from penstock.schemas.parse import AvroSchema, parse

_GIT_TIMEOUT_S: Final = 60.0
_MAX_REFERENCES: Final = 1_000


def read_git(folder: Path, revision: str) -> dict[str, str]:
    """{path relative to the folder: text} of its `.avsc` files at a git revision; empty where it had none.

    Raises:
        UsageError: no such revision, or no git repository; the message ends with git's words.
        ConfigurationError: a file was larger than a schema may be, or not UTF-8.
    """
    tree = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    listed = _git(folder, "ls-tree", "-r", "-z", "--long", tree.decode("ascii")).decode("utf-8", "surrogateescape")
    found: dict[str, str] = {}
    for entry in filter(None, listed.split("\0")):
        about, path = entry.split("\t", 1)
        _mode, kind, name, size = about.split()
        if kind != "blob" or not path.endswith(".avsc"):
            continue
        if int(size) > MAX_SCHEMA_BYTES:
            raise ConfigurationError(f"{path} at {revision}: larger than {MAX_SCHEMA_BYTES:,} bytes")
        try:
            found[path] = _git(folder, "cat-file", "blob", name).decode("utf-8")
        except UnicodeDecodeError as err:
            raise ConfigurationError(f"{path} at {revision}: not UTF-8: {err}") from err
    return found


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, check=True, timeout=_GIT_TIMEOUT_S
        )
    except FileNotFoundError as err:
        raise UsageError("git is not installed; compare with dir:PATH or registry instead") from err
    except subprocess.TimeoutExpired as err:
        raise UsageError(f"git {arguments[0]} in {folder} took longer than {_GIT_TIMEOUT_S:.0f} s") from err
    except subprocess.CalledProcessError as err:
        said = err.stderr.decode("utf-8", "replace").strip() or "no such revision; a shallow clone must fetch it first"
        raise UsageError(f"git {' '.join(arguments)} in {folder}: {said}") from err
    return done.stdout


def read_registry(registry: SchemaRegistry, subject: str) -> list[tuple[int, AvroSchema]]:
    """(version, schema) of every live version of a subject, ascending; empty for a new subject.

    Raises:
        RegistryUnavailable: the registry does not answer.
        ConfigurationError: what is registered there is no Avro schema.
    """
    found: list[tuple[int, AvroSchema]] = []
    for version in registry.versions(subject):
        registered = registry.version(subject, version)
        if registered is not None:
            found.append((version, _parsed(registry, registered, f"{subject} version {version}")))
    return found


def _parsed(registry: SchemaRegistry, registered: RegisteredSchema, source: str) -> AvroSchema:
    if registered.kind != "AVRO":
        raise ConfigurationError(f"{source} in the registry is {registered.kind}, not Avro")
    return parse(registered.text, _referenced(registry, registered.references, source), source=source)


def _referenced(registry: SchemaRegistry, references: Sequence[SchemaReference], source: str) -> list[str]:
    """The texts of all schemas that a schema stands on, whatever the way to them."""
    texts: dict[tuple[str, int], str] = {}
    waiting = [*references]
    while waiting:
        each = waiting.pop()
        if (each.subject, each.version) in texts:
            continue
        found = registry.version(each.subject, each.version)
        if found is None or len(texts) >= _MAX_REFERENCES:
            raise ConfigurationError(f"{source}: its reference {each.subject} version {each.version} is not there")
        texts[each.subject, each.version] = found.text
        waiting += found.references
    return [*texts.values()]

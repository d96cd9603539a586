"""Finding pipelines: by their place in `processors/`, by import string, by entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from penstock.config.modules import folder_of, import_module, modules
from penstock.dsl.pipeline import Pipeline
from penstock.errors import ConfigurationError, UsageError

ENTRY_POINTS: Final = "penstock.processors"
"""The group in which an installed package offers its pipelines: `name = "module:pipeline"`."""


def pipelines(root: Path, package: str = "processors") -> dict[str, Pipeline]:
    """{name: pipeline} for every pipeline in the modules of `<root>/<package>` and in installed packages, by name.

    Imports those modules; `root` is put on `sys.path` for it.

    Raises:
        ConfigurationError: a module cannot be imported, or two pipelines share a name.
    """
    found: dict[str, tuple[Pipeline, str]] = {}
    for module_name, module in modules(root, package):
        for value in vars(module).values():
            if isinstance(value, Pipeline):
                _add(found, value, module_name)
    for entry in entry_points(group=ENTRY_POINTS):
        _add(found, _at(entry.value, root, f"entry point '{entry.name}'"), f"entry point '{entry.name}'")
    return {name: pipeline for name, (pipeline, _) in sorted(found.items())}


def pipeline_named(reference: str, root: Path, package: str = "processors") -> Pipeline:
    """The pipeline of this name, or at this import string (`module:attribute`).

    Raises:
        UsageError: there is none; the message lists those there are.
        ConfigurationError: as for `pipelines`.
    """
    if ":" in reference:
        return _at(reference, root, f"'{reference}'")
    there = pipelines(root, package)
    if reference not in there:
        folder = folder_of(root, package)
        known = ", ".join(there) or f"none: put a module with a penstock.Pipeline into {folder}"
        raise UsageError(f"there is no pipeline '{reference}' in {folder}; known: {known}")
    return there[reference]


def _add(found: dict[str, tuple[Pipeline, str]], pipeline: Pipeline, where: str) -> None:
    other, first = found.setdefault(pipeline.name, (pipeline, where))
    if other is not pipeline:
        raise ConfigurationError(
            f"two pipelines are named '{pipeline.name}', in {first} and in {where}: they would share one consumer "
            "group; rename one"
        )


def _at(reference: str, root: Path, where: str) -> Pipeline:
    module_name, _, attribute = reference.partition(":")
    found: object = import_module(module_name, root, where)
    for name in attribute.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, Pipeline):
        raise UsageError(f"{where}: what is at {reference} is no penstock.Pipeline; write module:attribute")
    return found

"""Finding the producers of a project: by their place in `producers/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.config.modules import folder_of, modules
from penstock.errors import ConfigurationError, UsageError
from penstock.publishing.spec import ProducerSpec

AnyProducer = ProducerSpec[Any, Any]


def producers(root: Path, package: str = "producers") -> dict[str, AnyProducer]:
    """{name: producer} for every producer in the modules of `<root>/<package>`, by name.

    Imports those modules; `root` is put on `sys.path` for it.

    Raises:
        ConfigurationError: a module cannot be imported, or two producers share a name.
    """
    found: dict[str, tuple[AnyProducer, str]] = {}
    for module_name, module in modules(root, package):
        for value in vars(module).values():
            if not isinstance(value, ProducerSpec):
                continue
            spec: AnyProducer = value
            other = found.setdefault(spec.name, (spec, module_name))
            if other[0] is not spec:
                raise ConfigurationError(
                    f"two producers are named '{spec.name}', in {other[1]} and in {module_name}: they would fence "
                    "each other; rename one"
                )
    return {name: spec for name, (spec, _) in sorted(found.items())}


def producer_named(name: str, root: Path, package: str = "producers") -> AnyProducer:
    """The producer of this name.

    Raises:
        UsageError: there is none; the message lists those there are.
        ConfigurationError: as for `producers`.
    """
    there = producers(root, package)
    if name not in there:
        folder = folder_of(root, package)
        known = ", ".join(there) or f"none: put a module with @penstock.producer into {folder}"
        raise UsageError(f"there is no producer '{name}' in {folder}; known: {known}")
    return there[name]

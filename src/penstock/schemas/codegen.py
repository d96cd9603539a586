"""Python types from schemas: one package per namespace, one class per record and enum.

The output is a function of the schemas alone: same files, same bytes. It is checked in beside them, and `drift` tells
when it is not what they say.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from penstock.errors import ConfigurationError
from penstock.schemas.module_source import HEADER, Documented, Style, module_source
from penstock.schemas.nodes import Enum, Record
from penstock.schemas.python_names import class_name, named_types, package_of
from penstock.schemas.tree import Definition, SchemaTree
from penstock.schemas.walk import fields, split, text


def generate(tree: SchemaTree, *, package: str, style: Style = Style.STRUCT) -> dict[str, str]:
    """The generated files: {path relative to the folder of the schemas: text}, every package's `__init__.py`.

    Args:
        tree: the schemas.
        package: import name of their folder.
        style: what records become.

    Raises:
        ConfigurationError: the schemas are not sound, or two namespaces need each other's types.
    """
    tree.require_sound()
    by_namespace: dict[str, list[Documented]] = {}
    for name, definition in tree.definitions.items():
        told = _documented(tree, name, definition)
        if told is not None:
            by_namespace.setdefault(split(name)[0], []).append(told)
    _refuse_twins(tree)
    _refuse_circles(by_namespace)
    files = {"__init__.py": f'{HEADER}\n"""Types generated from the `.avsc` files in these folders."""\n'}
    for namespace, types in sorted(by_namespace.items()):
        parts = package_of(namespace)
        for depth in range(1, len(parts)):
            about = f'"""Namespaces below `{".".join(namespace.split(".")[:depth])}`."""'
            files.setdefault("/".join((*parts[:depth], "__init__.py")), f"{HEADER}\n{about}\n")
        files["/".join((*parts, "__init__.py"))] = module_source(namespace, types, package=package, style=style)
    return files


def _documented(tree: SchemaTree, name: str, definition: Definition) -> Documented | None:
    schema = tree.schema(name)
    if not isinstance(schema.root, Record | Enum):
        return None
    docs = {text(field.get("name")): text(field.get("doc")) for field, _ in fields(definition.place)}
    return Documented(
        node=schema.root,
        doc=text(definition.schema.get("doc")),
        field_docs=docs,
        schema_text=tree.schema_text(name),
    )


def _refuse_twins(tree: SchemaTree) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name in tree.definitions:
        other = seen.setdefault((split(name)[0], class_name(name)), name)
        if other != name:
            raise ConfigurationError(f"{other} and {name} would be one class, {class_name(name)}; rename one of them")


def _refuse_circles(by_namespace: Mapping[str, list[Documented]]) -> None:
    """Modules that import each other do not load; say which types make them do so."""
    needs = {namespace: _needs(namespace, types) for namespace, types in sorted(by_namespace.items())}
    done: set[str] = set()

    def visit(namespace: str, trail: tuple[str, ...]) -> None:
        if namespace in trail:
            circle = [*trail[trail.index(namespace) :], namespace]
            reasons = ", ".join(needs[user][used] for user, used in pairwise(circle))
            raise ConfigurationError(f"namespaces need each other: {reasons}; put these types into one namespace")
        if namespace not in done:
            for other in needs[namespace]:
                visit(other, (*trail, namespace))
            done.add(namespace)

    for namespace in needs:
        visit(namespace, ())


def _needs(namespace: str, types: list[Documented]) -> dict[str, str]:
    """{other namespace: why it is needed}."""
    found: dict[str, str] = {}
    for user in (each.node for each in types):
        for field in user.fields if isinstance(user, Record) else ():
            for used in named_types(field.type):
                if (other := split(used.name)[0]) != namespace:
                    found.setdefault(other, f"{user.name} uses {used.name}")
    return found


def import_name(folder: Path) -> str:
    """The name under which a folder of schemas is imported: from the outermost package around it."""
    folder = folder.resolve()
    parts = [folder.name]
    while (folder.parent / "__init__.py").exists():
        folder = folder.parent
        parts.insert(0, folder.name)
    return ".".join(parts)


def drift(folder: Path, files: Mapping[str, str]) -> str:
    """What `write` would change, as a unified diff; empty when nothing.

    Raises:
        ConfigurationError: a file stands in the way that was not generated.
    """
    current = _generated_before(folder, files)
    pieces: list[str] = []
    for path in sorted({*current, *files}):
        old, new = current.get(path, ""), files.get(path, "")
        names = (f"a/{path}" if path in current else "/dev/null", f"b/{path}" if path in files else "/dev/null")
        pieces += difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), *names)
    return "".join(pieces)


def write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Bring the folder up to date; returns the paths that changed. Generated files no longer wanted are removed.

    Raises:
        ConfigurationError: a file stands in the way that was not generated.
    """
    current = _generated_before(folder, files)
    changed = [path for path in sorted({*current, *files}) if current.get(path) != files.get(path)]
    for path in changed:
        if path in files:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(files[path], "utf-8")
        else:
            (folder / path).unlink()
    return changed


def _generated_before(folder: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Generated files that are there, whether still wanted or not."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("__init__.py")):
        content, relative = path.read_text("utf-8"), path.relative_to(folder).as_posix()
        if content.startswith(HEADER):
            found[relative] = content
        elif relative in files:
            raise ConfigurationError(f"{path} was not generated and would be overwritten; move its content elsewhere")
    return found

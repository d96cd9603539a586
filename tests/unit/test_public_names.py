"""The public door: what `import penstock` offers, and that the engine does not use it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import penstock

ENGINE = Path(penstock.__file__).parent


@pytest.mark.parametrize("name", penstock.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(penstock, name).__doc__


def test_the_public_names_are_sorted_and_have_homes() -> None:
    assert sorted(set(penstock.__all__)) == sorted(penstock._HOMES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = penstock.Nothing


def test_the_engine_never_imports_the_public_door() -> None:
    """`import penstock` inside the engine would hide its layers from the import contracts."""
    found = []
    for file in ENGINE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import) and any(alias.name == "penstock" for alias in node.names):
                found.append(f"{file.name}:{node.lineno}")
            if isinstance(node, ast.ImportFrom) and node.module == "penstock" and not node.level:
                found.append(f"{file.name}:{node.lineno}")
    assert not found

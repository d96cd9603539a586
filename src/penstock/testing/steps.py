"""The steps of the protocol by the names that hooks are told, each right before it is taken; and what each sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

Step = Literal[
    "init",
    "poll",
    "restore",
    "claim",
    "process",
    "accept",
    "begin",
    "produce",
    "changelog",
    "commit record",
    "flush",
    "metadata",
    "send offsets",
    "commit",
    "committed",
    "apply",
]
"""Where a worker can be made to fail, by the names that hooks are told: right before the step of that name."""

STEPS: Final[tuple[Step, ...]] = get_args(Step)
"""Those that every worker comes to, again and again."""

RARE_STEPS: Final = (
    "deploy",
    "deployed",
    "load checkpoint",
    "takeover",
    "marks",
    "checkpoint",
    "checkpoint write",
    "checkpoint sync",
    "checkpoint written",
)
"""The others."""

REQUESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "init": ("init",),
    "produce": ("add partitions", "produce"),
    "flush": ("produce", "add partitions"),
    "send offsets": ("commit offsets", "add offsets"),
    "commit": ("end",),
}
"""{step: requests that are sent behind it}, the one that matters most first."""

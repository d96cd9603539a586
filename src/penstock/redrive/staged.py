"""How large a transaction gets, and what is in the one that is open."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RedriveLimits:
    """How large transactions get, and how long trouble is borne.

    Attributes:
        commit_interval_s: a transaction is committed when it is this old.
        max_transaction_records: at the latest with so many letters.
        max_transaction_bytes: or so many bytes.
        patience_s: how long trouble may last without a commit in between before the run gives up.
    """

    commit_interval_s: float = 0.5
    max_transaction_records: int = 5_000
    max_transaction_bytes: int = 16_777_216
    patience_s: float = 300.0


@dataclass(slots=True)
class Staged:
    """Of the open transaction.

    Attributes:
        places: (partition, offset) of its letters.
        targets: {topic: records}.
        held: {why: letters} since the last commit.
        seen: {partition: next offset} behind what was looked at.
        size_bytes: of its records.
    """

    places: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    targets: Counter[str] = field(default_factory=Counter[str])
    held: Counter[str] = field(default_factory=Counter[str])
    seen: dict[int, int] = field(default_factory=dict[int, int])
    size_bytes: int = 0

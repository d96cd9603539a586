"""Who may write `_schemas`, as the log itself says: pure, so that every reader comes to the same answer.

Kafka's group membership chooses the leader but cannot stop a process that stood still while it lost its place and now
finishes its request: Kafka fences only transactional writers, and `_schemas` must not hold transactions (their markers
would leave other registries waiting for ever). So each record carries its writer's name, and each writer begins with a
claim that names the writer it follows:

    claim(A, follows nobody)  A  A  claim(B, follows A)  B  [A: ignored]  [claim(C, follows A): ignored]  B

A record counts when its writer holds the latest valid claim, or when it carries no writer (another registry wrote it).
A claim counts when it follows the holder of the latest one: of two that follow the same, the first wins. A writer
answers its client only after it has read its own record back, so what it acknowledged counts for every reader.
"""

from __future__ import annotations

from penstock.embedded.registry.layout import Claim


class Lineage:
    """The line of writers up to a place in the log. Feed it every record in order.

    Attributes:
        holder: who holds the latest valid claim; None before the first.
    """

    def __init__(self) -> None:
        self.holder: str | None = None

    def admits(self, writer: str | None) -> bool:
        """Whether a record of this writer counts here; `writer` is None for a record without the header."""
        # Before the first claim everything counts: compaction may have taken the claims of earlier writers.
        return writer is None or self.holder is None or writer == self.holder

    def follow(self, claim: Claim) -> bool:
        """Take a claim in; False when it does not count."""
        if self.holder is not None and self.holder not in {claim.writer, claim.supersedes}:
            return False
        self.holder = claim.writer
        return True

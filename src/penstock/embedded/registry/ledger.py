"""The log folded record by record: which records count, what they add up to, which places must be said again.

No id stands for two schemas, not even for a reader that knows nothing of claims (Karapace):

1. A writer has one record under way at most, decided on the log up to its end, with an id one above the highest there.
2. A writer that was superseded decides nothing more once it has read that; what it had under way was decided on the log
   before the claim that supersedes it. So its id is at most one above the highest before that claim.
3. That one id is never given: each claim that takes over from another writer uses it up. All readers come to the same
   highest id, since it is counted at the claim's place in the log.
"""

from __future__ import annotations

from penstock.embedded.registry.contents import Contents
from penstock.embedded.registry.layout import Key, KeyType, decode_claim, decode_key
from penstock.embedded.registry.lineage import Lineage


class Ledger:
    """What the log says up to a place.

    Attributes:
        contents: what counts.
        lineage: who writes.
        disputed: keys whose last record does not count, in the order they came.
    """

    def __init__(self) -> None:
        self.contents = Contents()
        self.lineage = Lineage()
        self.disputed: dict[Key, None] = {}

    def take(self, key: bytes | None, value: bytes | None, writer: str | None) -> None:
        """Take one record in.

        Raises:
            NotOurs: it makes no sense; nothing has changed.
        """
        decoded = decode_key(key)
        if decoded.keytype is KeyType.NOOP:
            counts = self._take_claim(value)
        else:
            counts = self.lineage.admits(writer)
            self._take_content(decoded, value, counts=counts)
        if counts:
            self.disputed.pop(decoded, None)
        else:
            self.disputed[decoded] = None

    def _take_claim(self, value: bytes | None) -> bool:
        claim = decode_claim(value)
        if claim is None:
            return True
        self.contents.highest_id = max(self.contents.highest_id, claim.highest_id)
        former = self.lineage.holder
        counts = self.lineage.follow(claim)
        if former not in {None, self.lineage.holder}:
            self.contents.highest_id += 1  # the former writer's record under way may carry it
        return counts

    def _take_content(self, key: Key, value: bytes | None, *, counts: bool) -> None:
        if counts:
            self.contents.apply(key, value)
        elif key.keytype is KeyType.SCHEMA and value:
            self.contents.burn_id(value)

"""Where a stream comes from, and what is known of its keys and values when the graph is built."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from penstock.dsl.draft import Drafts, Way
from penstock.protocols import Serde


class Known(NamedTuple):
    """What is known of a stream's keys, or of its values.

    Attributes:
        kind: their type, for stores; None where it is not known.
        serde: how a topic of the user's holds them; None where none does.
    """

    kind: object = None
    serde: Serde[Any] | None = None

    @staticmethod
    def of(serde: Serde[Any]) -> Known:
        """What a topic's serde tells."""
        return Known(getattr(serde, "kind", None), serde)

    def common(self, other: Known) -> Known:
        """What is known of both."""
        return Known(self.kind if self.kind == other.kind else None, self.serde if self.serde is other.serde else None)


UNKNOWN: Final = Known()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in a graph in the making a stream comes from.

    Attributes:
        drafts: the graph.
        way: the way out of a node.
        key: what is known of its keys.
        value: likewise.
    """

    drafts: Drafts
    way: Way
    key: Known
    value: Known

    def after(self, node: int, value: Known, port: int = 0) -> Origin:
        """The way out of a node behind this one, which keeps keys."""
        return replace(self, way=Way(node, port), value=value)

"""What a pipeline may give up for latency, and what it may not."""

from __future__ import annotations

from typing import Literal

from penstock.errors import ConfigurationError
from penstock.topology.topology import Topology

Guarantee = Literal["exactly_once", "at_least_once"]


def check_guarantee(topology: Topology, guarantee: Guarantee) -> None:
    """Whether this pipeline can keep it.

    Without transactions a crash leaves records that were written and whose offsets were not committed. They are read
    again, which makes duplicates in an output. In a state it would make wrong values: the changelog would hold the
    effect of records that are then applied to it once more, and no check could tell.

    Raises:
        ConfigurationError: it keeps state, or goes through a topic of its own, and is to run at least once.
    """
    if guarantee == "exactly_once":
        return
    told = f"processing.guarantee is at_least_once, and pipeline '{topology.name}'"
    for group in topology.groups.values():
        if group.stores:
            names = ", ".join(f"'{store.name}'" for store in group.stores)
            raise ConfigurationError(
                f"{told} keeps state ({names}): after a crash, records would be applied to it a second time. Run it "
                "exactly_once, or move what needs no state into a pipeline of its own"
            )
        if any(node.operation.is_cut for node in group.nodes):
            raise ConfigurationError(
                f"{told} sends records through a topic of its own to find the task of their key, and what reads them "
                "there relies on the transactions of who writes them. Run it exactly_once"
            )

"""What counts as dealt with."""

from __future__ import annotations

import pytest

from penstock.testing.cluster.cluster import SimulatedCluster
from penstock.testing.simulation.progress import Progress
from penstock.testing.simulation.shape import IN, PIPELINE, Shape

PLACE = (IN, 0)


@pytest.fixture
def cluster() -> SimulatedCluster:
    """With three records to read."""
    cluster = SimulatedCluster(1, brokers=1)
    cluster.create(IN, 1)
    for at in range(3):
        cluster.append(IN, b"key", f"{at}".encode(), timestamp_ms=at)
    return cluster


@pytest.fixture
def progress(cluster: SimulatedCluster) -> Progress:
    return Progress(cluster, Shape(partitions=1).build().topology())


def test_what_was_once_committed_is_dealt_with_though_a_late_copy_puts_the_group_back(
    cluster: SimulatedCluster, progress: Progress
) -> None:
    """A broker takes it, and a worker without anything to do commits nothing more."""
    offsets = cluster.groups.group(PIPELINE).offsets
    assert progress.left() == "('in', 0) is committed up to None of 3"
    offsets.commit({PLACE: (2, "")})
    assert progress.left() == "('in', 0) is committed up to 2 of 3"
    assert progress.committed() == 2
    offsets.commit({PLACE: (3, "")})
    offsets.commit({PLACE: (2, "")})
    assert progress.committed() == 2
    assert progress.left() == ""


def test_a_transaction_that_puts_a_group_back_leaves_work(cluster: SimulatedCluster, progress: Progress) -> None:
    """No late copy can do that: its transaction is over."""
    offsets = cluster.groups.group(PIPELINE).offsets
    for offset in (3, 2):
        offsets.stage(7, 0, {PLACE: (offset, "")})
        offsets.end(7, 0, commit=True)
    assert progress.left() == "('in', 0) is committed up to 2 of 3"

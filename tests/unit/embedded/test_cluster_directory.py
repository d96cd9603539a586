"""Where a cluster keeps its files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from penstock.embedded.broker_settings import NodePorts
from penstock.embedded.cluster_directory import ClusterDirectory, Identity
from penstock.errors import ConfigurationError, StartFailed


def test_a_scratch_folder_is_private_and_goes_away() -> None:
    directory = ClusterDirectory(None)
    node = directory.node(1)
    directory.save(Identity.new((NodePorts(1, 2),)))

    assert (directory.root.stat().st_mode & 0o777, node.stat().st_mode & 0o777) == (0o700, 0o700)
    directory.close()
    assert not directory.root.exists()


def test_a_kept_cluster_is_recognised(tmp_path: Path) -> None:
    identity = Identity.new((NodePorts(1, 2),))
    with closing(ClusterDirectory(tmp_path / "kept")) as first:
        assert first.identity(1) is None
        first.save(identity)

    with closing(ClusterDirectory(tmp_path / "kept")) as second:
        assert second.identity(1) == identity
    assert len(identity.cluster_id) == 22  # 16 bytes as base64 without padding: what Kafka accepts


def test_a_kept_cluster_of_another_size_is_refused(tmp_path: Path) -> None:
    with closing(ClusterDirectory(tmp_path)) as directory:
        directory.save(Identity.new((NodePorts(1, 2),) * 3))

        with pytest.raises(ConfigurationError, match="holds a cluster of 3 node"):
            directory.identity(1)


def test_a_spoilt_identity_is_an_error_and_not_a_new_cluster(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")

    with (
        closing(ClusterDirectory(tmp_path)) as directory,
        pytest.raises(ConfigurationError, match=r"cluster.json cannot be read"),
    ):
        directory.identity(1)


def test_two_clusters_in_one_folder_are_refused(tmp_path: Path) -> None:
    held = ClusterDirectory(tmp_path)

    with pytest.raises(StartFailed, match="another process runs a cluster in"):
        ClusterDirectory(tmp_path)
    held.close()
    ClusterDirectory(tmp_path).close()

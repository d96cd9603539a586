"""A cluster of one: how it starts, fails to start, and ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.embedded import KafkaCluster
from penstock.embedded.ports import free_ports
from penstock.errors import ConfigurationError, StartFailed
from penstock.kafka.readiness import ReadinessProbe

pytestmark = pytest.mark.broker


def until(true: Callable[[], bool]) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Whether no process has this id, but for an exit code that nobody has fetched."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


OWNER = """
import sys, time
from penstock.embedded import KafkaCluster
with KafkaCluster() as cluster:
    print(cluster.brokers[0].pid, cluster.log_directory(1).parent.parent, flush=True)
    time.sleep(300)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_nothing_survives_a_killed_owner() -> None:
    """Neither the broker nor its files; the owner gets no chance to do anything about it."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        assert not is_gone(int(pid))
        assert Path(folder, "node-1", "data").is_dir()
        owner.kill()

    until(lambda: is_gone(int(pid)))
    until(lambda: not Path(folder).exists())


def test_data_cluster_id_and_port_are_kept_and_the_thread_that_started_it_may_end(tmp_path: Path) -> None:
    cluster = KafkaCluster(persist=tmp_path / "kept")
    starter = threading.Thread(target=cluster.start)
    starter.start()
    starter.join()
    try:
        until(lambda: not starter.is_alive())
        probe = ReadinessProbe(cluster.bootstrap_servers)
        assert probe.nodes(timeout_s=10) == {1}
        first = (cluster.cluster_id, cluster.bootstrap_servers)
        written = sorted(path.name for path in cluster.log_directory(1).glob("__transaction_state-*"))
    finally:
        cluster.close()

    with KafkaCluster(persist=tmp_path / "kept") as again:
        assert (again.cluster_id, again.bootstrap_servers) == first
        assert sorted(path.name for path in again.log_directory(1).glob("__transaction_state-*")) == written
    assert written
    assert (tmp_path / "kept" / "node-1" / "data").is_dir()


def test_a_broker_that_ends_at_once_says_why() -> None:
    settings = {"log.segment.bytes": 1}
    with (
        pytest.raises(StartFailed, match=r"(?s)broker 1 .*ConfigException.*log.segment.bytes"),
        KafkaCluster(settings=settings),
    ):
        pass


def test_storage_that_cannot_be_formatted_says_why() -> None:
    settings = {"process.roles": "nonsense"}
    with (
        pytest.raises(StartFailed, match=r"(?s)storage of broker 1 could not be formatted.*process.roles"),
        KafkaCluster(settings=settings),
    ):
        pass


def test_a_port_that_is_taken_is_told_before_anything_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StartFailed, match=f"port {port} on 127.0.0.1 is taken"), KafkaCluster(port=port):
            pass


def test_a_port_that_is_taken_between_the_look_and_the_start_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody listens on the first ports that are tried; the broker ends with a bind error and gets others."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        offers = iter([[taken, *free_ports(1)], free_ports(2)])
        monkeypatch.setattr("penstock.embedded.cluster.free_ports", lambda _count: next(offers))
        monkeypatch.setattr("penstock.embedded.cluster.is_free", lambda port: port != taken)

        with KafkaCluster() as cluster:
            assert cluster.brokers[0].port != taken
            assert next(offers, None) is None


@pytest.fixture(params=["8k", "16k", pytest.param("64k", marks=pytest.mark.full)])
def tiny_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system that is full before its storage is formatted, before the broker can write its log, or later."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told(tiny_disk: Path) -> None:
    with pytest.raises(StartFailed, match=r"disk full: .*tiny"), KafkaCluster(persist=tiny_disk / "kept"):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StartFailed, match=r"cannot be written in .*kept \(.*Not a directory.*persist into another"),
        KafkaCluster(persist=tmp_path / "file" / "kept"),
    ):
        pass


@pytest.mark.parametrize("nodes", [0, 2, 4])
def test_other_sizes_than_one_and_three_are_refused(nodes: int) -> None:
    with pytest.raises(ConfigurationError, match="1 or 3 nodes"):
        KafkaCluster(nodes)


def test_closing_twice_is_harmless_and_leaves_no_process() -> None:
    cluster = KafkaCluster(benchmark=True).start()
    broker, folder = cluster.brokers[0], cluster.log_directory(1)
    pid = broker.pid
    assert pid is not None
    cluster.close()
    cluster.close()

    assert broker.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not folder.exists()

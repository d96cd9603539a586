"""`penstock kafka`, as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.embedded.ports import free_ports
from penstock.kafka.readiness import ReadinessProbe

pytestmark = pytest.mark.broker


class Command:
    """`penstock` in a project of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Exit code, and everything that was printed."""
        done = subprocess.run(
            [*self.line, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout + done.stderr

    @property
    def line(self) -> list[str]:
        """How it is started, without the installed script."""
        return [sys.executable, "-c", "from penstock.cli.app import main; main()", "kafka"]


@pytest.fixture
def penstock_kafka(tmp_path: Path) -> Iterator[Command]:
    """The command in a new project; what it left running is taken down."""
    (tmp_path / "penstock.toml").write_text('[project]\nname = "trial"\n')
    command = Command(tmp_path)
    yield command
    command("down")


def test_up_status_and_down_of_a_detached_cluster(penstock_kafka: Command) -> None:
    port = free_ports(1)[0]

    code, told = penstock_kafka("up", "--detach", "--port", str(port), "--persist", "kept")
    assert (code, f"Kafka is up: 127.0.0.1:{port}" in told) == (0, True), told
    assert ReadinessProbe(f"127.0.0.1:{port}").nodes(timeout_s=10) == {1}

    code, told = penstock_kafka("status", "--json")
    cluster = json.loads(told)["cluster"]
    assert (code, cluster["bootstrap_servers"]) == (0, f"127.0.0.1:{port}")
    assert cluster["persist"] == str(penstock_kafka.folder / "kept")
    assert (penstock_kafka.folder / ".penstock").stat().st_mode & 0o777 == 0o700

    code, told = penstock_kafka("up", "--detach")
    assert (code, "is up already" in told) == (2, True), told

    assert penstock_kafka("down") == (0, f"Kafka is down (127.0.0.1:{port})\n")
    assert penstock_kafka("status") == (1, "Kafka is down; start it with `penstock kafka up`\n")
    assert penstock_kafka("down") == (0, "Kafka was not up\n")
    with pytest.raises(ProcessLookupError):
        os.kill(cluster["nodes"][0]["pid"], 0)


def test_a_killed_owner_takes_the_brokers_along_and_is_not_believed_to_be_up(penstock_kafka: Command) -> None:
    port = free_ports(1)[0]
    assert penstock_kafka("up", "--detach", "--port", str(port))[0] == 0
    cluster = json.loads(penstock_kafka("status", "--json")[1])["cluster"]

    os.kill(cluster["owner_pid"], signal.SIGKILL)

    deadline = time.monotonic() + 30
    while ReadinessProbe(f"127.0.0.1:{port}").nodes(timeout_s=0.2):
        assert time.monotonic() < deadline
    assert json.loads(penstock_kafka("status", "--json")[1]) == {"up": False, "cluster": None}


def test_a_registry_that_ends_by_itself_is_told_by_status_and_in_the_log(penstock_kafka: Command) -> None:
    port, registry_port = free_ports(2)
    code, told = penstock_kafka(
        "up", "--detach", "--port", str(port), "--registry", "--registry-port", str(registry_port)
    )
    assert code == 0
    cluster = json.loads(penstock_kafka("status", "--json")[1])["cluster"]
    line = f"registry  http://127.0.0.1:{registry_port}, process {cluster['registry_pid']}\n"
    assert line in told

    os.kill(cluster["registry_pid"], signal.SIGKILL)

    log = penstock_kafka.folder / ".penstock" / "kafka.log"
    deadline = time.monotonic() + 30
    while "the schema registry ended by itself; its last log lines:\n" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    code, told = penstock_kafka("status")
    assert (code, line.replace("\n", ", does not answer\n") in told) == (0, True), told
    assert ReadinessProbe(f"127.0.0.1:{port}").nodes(timeout_s=10) == {1}


def test_a_registry_port_that_is_taken_names_the_option_that_chooses_another(penstock_kafka: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        registry_port = str(taken.getsockname()[1])
        code, told = penstock_kafka(
            "up", "--port", str(free_ports(1)[0]), "--registry", "--registry-port", registry_port
        )
    assert code == 4
    assert f"port {registry_port} on 127.0.0.1 is taken" in told
    assert "choose another with --registry-port" in told


def test_in_the_foreground_ctrl_c_takes_it_down(penstock_kafka: Command) -> None:
    port = free_ports(1)[0]
    with subprocess.Popen(
        [*penstock_kafka.line, "up", "--port", str(port)], cwd=penstock_kafka.folder, stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        assert up.stdout.readline() == f"Kafka is up: 127.0.0.1:{port}\n"
        assert penstock_kafka("status")[1].startswith(f"Kafka is up: 127.0.0.1:{port}")
        up.send_signal(signal.SIGINT)
        rest = up.stdout.read()

    assert up.returncode == 0
    assert rest.endswith("Kafka is down\n")


def test_why_a_detached_start_failed_is_told_by_the_command_that_asked(penstock_kafka: Command) -> None:
    (penstock_kafka.folder / "kept").mkdir()
    (penstock_kafka.folder / "kept" / "cluster.json").write_text("{}")

    code, told = penstock_kafka("up", "--detach", "--port", str(free_ports(1)[0]), "--persist", "kept")

    assert code != 0
    assert "cluster.json cannot be read" in told
    assert "Traceback" not in told

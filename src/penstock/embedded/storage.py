"""Format the storage of new nodes, with Kafka's own tool."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from penstock.embedded.broker import LOG_LINES_SHOWN, Broker
from penstock.embedded.jvm import STORAGE_TOOL, Jvm
from penstock.embedded.serving import FULL
from penstock.errors import StartFailed

_TIMEOUT_S = 60.0


def format_storage(jvm: Jvm, cluster_id: str, brokers: Sequence[Broker]) -> None:
    """Make each node's data folder belong to the cluster; nodes that have one already are left alone.

    Raises:
        StartFailed: the tool refused; its last lines are in the message.
    """
    tools = [
        (broker, _start_tool(jvm, cluster_id, broker))
        for broker in brokers
        if not (broker.data / "meta.properties").exists()
    ]
    try:
        for broker, tool in tools:
            told, _ = tool.communicate(timeout=_TIMEOUT_S)
            if tool.returncode != 0:
                lines = "\n".join(told.splitlines()[-LOG_LINES_SHOWN:])
                why = f"disk full: no room in {broker.directory}, so " if FULL in told else ""
                raise StartFailed(f"{why}the storage of broker {broker.node_id} could not be formatted:\n{lines}")
    except subprocess.TimeoutExpired as err:
        raise StartFailed(
            f"formatting storage took longer than {_TIMEOUT_S:.0f} s; is this machine very busy?"
        ) from err
    finally:
        for _, tool in tools:
            tool.kill()
            tool.communicate()


def _start_tool(jvm: Jvm, cluster_id: str, broker: Broker) -> subprocess.Popen[str]:
    arguments = ["format", "--cluster-id", cluster_id, "--config", str(broker.settings_file)]
    return subprocess.Popen(
        jvm.command(STORAGE_TOOL, arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=jvm.environment(),
        cwd=broker.directory,  # where a JVM that crashes leaves its report
    )

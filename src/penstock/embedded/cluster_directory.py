"""Where a cluster keeps its files: a scratch folder that goes with it, or a folder of the user's that stays."""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import IO

import msgspec

from penstock.embedded.broker_settings import NodePorts
from penstock.errors import ConfigurationError, StartFailed


class Identity(msgspec.Struct, frozen=True):
    """What must not change while data is kept, and what had better not: clients remember ports."""

    cluster_id: str
    ports: tuple[NodePorts, ...]

    @staticmethod
    def new(ports: tuple[NodePorts, ...]) -> Identity:
        """A cluster that never was: 16 random bytes, written as Kafka writes them.

        One in 64 of these texts begins with a dash, which Kafka's storage tool takes for an option: none of those.
        """
        while True:
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            if not cluster_id.startswith("-"):
                return Identity(cluster_id, ports)


class ClusterDirectory:
    """The files of one cluster, private to the user: `node-1/`, `node-2/` ..., and `cluster.json` where they are kept.

    Args:
        persist: a folder to keep everything in; None makes a scratch folder.

    Raises:
        StartFailed: another process runs a cluster in this folder.
    """

    def __init__(self, persist: Path | None) -> None:
        self.is_scratch = persist is None
        self._lock: IO[bytes] | None = None
        if persist is None:
            self.root = Path(tempfile.mkdtemp(prefix="penstock-kafka-"))
            return
        self.root = persist.absolute()
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(self.root)

    def node(self, node_id: int) -> Path:
        """The folder of one node, made if missing."""
        folder = self.root / f"node-{node_id}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def identity(self, nodes: int) -> Identity | None:
        """Who lives here; None for a new folder.

        Raises:
            ConfigurationError: a cluster of another size, or a `cluster.json` that cannot be read.
        """
        try:
            found = msgspec.json.decode(self._identity_file.read_bytes(), type=Identity)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as err:
            raise ConfigurationError(
                f"{self._identity_file} cannot be read: {err}; persist into another folder"
            ) from err
        if len(found.ports) != nodes:
            raise ConfigurationError(
                f"{self.root} holds a cluster of {len(found.ports)} node(s), not {nodes}: start it with "
                f"--nodes {len(found.ports)}, or persist into another folder"
            )
        return found

    def save(self, identity: Identity) -> None:
        """Keep the identity, atomically."""
        if self.is_scratch:
            return
        part = self._identity_file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(identity))
        part.replace(self._identity_file)

    def close(self) -> None:
        """Remove a scratch folder; let go of one that is kept."""
        if self._lock is not None:
            self._lock.close()
        if self.is_scratch:
            shutil.rmtree(self.root, ignore_errors=True)

    @property
    def _identity_file(self) -> Path:
        return self.root / "cluster.json"


def _locked(root: Path) -> IO[bytes]:
    # The kernel lets go of it when the process dies, however it dies.
    file = os.fdopen(os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        file.close()
        raise StartFailed(f"another process runs a cluster in {root}: stop it, or persist into another folder") from err
    return file

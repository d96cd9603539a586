"""A Kafka cluster of one or three nodes on this machine, as a context manager.

Start, in five steps: 1. Java and jars. 2. A folder and ports. 3. Format each node's storage. 4. One process per node.
5. Wait until all brokers are counted and a transaction coordinator answers.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.embedded import class_archive
from penstock.embedded.broker import Broker
from penstock.embedded.broker_settings import NodePorts, Setting, as_properties, node_settings
from penstock.embedded.cluster_directory import ClusterDirectory, Identity
from penstock.embedded.jvm import Jvm, prepare_jvm
from penstock.embedded.orphans import kill_orphans
from penstock.embedded.ports import LOOPBACK, free_ports, is_free, require_free
from penstock.embedded.serving import PortClash, wait_until_ready
from penstock.embedded.storage import format_storage
from penstock.errors import ConfigurationError, StartFailed

_PORT_TRIES = 5


class KafkaCluster:
    """Apache Kafka in KRaft mode, one process per node, on the loopback address only.

    The processes die with the one that started them, however it dies. Without `persist` nothing stays on disk.

    Args:
        nodes: 1, or 3 with replication factor 3 and two in sync for transactions and offsets.
        port: where node 1 listens, node 2 on the next one and so on; None takes free ports.
        persist: a folder that keeps data, cluster id and ports for the next start.
        settings: broker settings that overrule the embedded ones.
        benchmark: a heap of 1 GiB and the optimising compiler, instead of a start within a second.
        java: the executable to use instead of looking for one.
        jars: a folder with Kafka's jars, asked before all other sources.

    Raises:
        ConfigurationError: neither 1 nor 3 nodes.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        port: int | None = None,
        persist: Path | None = None,
        settings: Mapping[str, Setting] | None = None,
        benchmark: bool = False,
        java: Path | None = None,
        jars: Path | None = None,
    ) -> None:
        if nodes not in {1, 3}:
            raise ConfigurationError(f"an embedded cluster has 1 or 3 nodes, not {nodes}: two cannot outvote one")
        self.nodes = nodes
        self.brokers: tuple[Broker, ...] = ()
        self._port = port
        self._persist = persist
        self._settings = dict(settings or {})
        self._benchmark = benchmark
        self._java = java
        self._jars = jars
        self._directory: ClusterDirectory | None = None
        self._identity: Identity | None = None
        self._new_archive: Path | None = None

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of all nodes, comma-separated; empty while the cluster is down."""
        return ",".join(f"{LOOPBACK}:{broker.port}" for broker in self.brokers)

    @property
    def cluster_id(self) -> str:
        """The id that Kafka shows; empty until the first start."""
        return self._identity.cluster_id if self._identity else ""

    def log_directory(self, node_id: int) -> Path:
        """The `log.dirs` of a node (1 is the first): a folder `topic-partition` for each partition it holds."""
        return self.brokers[node_id - 1].data

    def start(self) -> Self:
        """Start all nodes and return when transactions work; nothing is left behind if that fails.

        Raises:
            StartFailed: no Java, no jars, a port taken, a full disk, or a broker that ended: its last log lines are in
                the message.
            ConfigurationError: `java` or `persist` cannot be used.
        """
        kill_orphans()
        jvm = prepare_jvm(java=self._java, jars=self._jars, benchmark=self._benchmark)
        try:
            self._directory = ClusterDirectory(self._persist)
            self._start_on_some_ports(jvm, self._directory)
        except BaseException as err:
            self.close()
            if isinstance(err, OSError):
                raise StartFailed(self._no_room(err)) from err
            raise
        return self

    def close(self) -> None:
        """Stop all nodes: in order where data is kept, at once where it goes anyway. Harmless when repeated."""
        if self.brokers:
            self._keep_archive(self.brokers[0])
        if self._persist is not None:
            for broker in self.brokers:
                # All at once: the last two of three would wait for a quorum that is gone.
                broker.begin_shutdown()
        for broker in self.brokers:
            broker.kill() if self._persist is None else broker.shutdown()
        self.brokers = ()
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, _type: type[BaseException] | None, _err: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _no_room(self, err: OSError) -> str:
        where = f"{self._persist}" if self._persist is not None else "the temporary folder"
        way_out = "persist into another folder" if self._persist is not None else "set TMPDIR to another folder"
        if err.errno == errno.ENOSPC:
            return f"disk full: no room for Kafka's files in {where}; make room, or {way_out}"
        return f"Kafka's files cannot be written in {where} ({err}); {way_out}"

    def _start_on_some_ports(self, jvm: Jvm, directory: ClusterDirectory) -> None:
        known = directory.identity(self.nodes)
        for _ in range(_PORT_TRIES):
            ports = self._choose_ports(known)
            self._identity = Identity(known.cluster_id, ports) if known else Identity.new(ports)
            # Before the format: nodes that were formatted must find the same cluster id after a crash here.
            directory.save(self._identity)
            try:
                self._start_nodes(jvm, directory, self._identity)
            except PortClash:
                for broker in self.brokers:
                    broker.kill()
                known = self._identity
            else:
                return
        raise StartFailed(f"ports were taken by other processes {_PORT_TRIES} times in a row; start again")

    def _choose_ports(self, known: Identity | None) -> tuple[NodePorts, ...]:
        fresh = free_ports(2 * self.nodes)
        chosen: list[NodePorts] = []
        for index in range(self.nodes):
            broker, controller = fresh[2 * index : 2 * index + 2]
            if known is not None:
                kept = known.ports[index]
                broker = kept.broker if is_free(kept.broker) else broker
                controller = kept.controller if is_free(kept.controller) else controller
            if self._port is not None:
                broker = self._port + index
                require_free(broker)
            chosen.append(NodePorts(broker, controller))
        return tuple(chosen)

    def _start_nodes(self, jvm: Jvm, directory: ClusterDirectory, identity: Identity) -> None:
        self.brokers = tuple(
            Broker(
                node_id,
                ports.broker,
                directory.node(node_id),
                jvm,
                remove_with_owner=directory.is_scratch,
            )
            for node_id, ports in enumerate(identity.ports, start=1)
        )
        for broker in self.brokers:
            settings = node_settings(broker.node_id, identity.ports, broker.data, self._settings)
            broker.settings_file.write_text(as_properties(settings))
        format_storage(jvm, identity.cluster_id, self.brokers)
        self._new_archive = class_archive.part_to_write(jvm.jars.parent, jvm.java)
        for broker in self.brokers:
            broker.start(write_archive_to=self._new_archive if broker.node_id == 1 else None)
        wait_until_ready(self.brokers)

    def _keep_archive(self, writer: Broker) -> None:
        """Let the broker that was told to write a class archive exit in order, and put the archive in its place."""
        if self._new_archive is None:
            return
        part, self._new_archive = self._new_archive, None
        class_archive.keep(part, writer.shutdown())

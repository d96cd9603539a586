"""Brokers that know groups and nothing else: sockets that answer as Kafka does, for what its client makes of outages.

A real cluster shows these only now and then: which broker answers first, a coordinator that comes up in the very moment
in which somebody gives it up.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from struct import pack, unpack
from threading import Condition, Thread
from typing import Final

from penstock.testing.proxy.frame import Request, framed

HOST: Final = "127.0.0.1"
_UNSUPPORTED_VERSION: Final = 35
_GROUP_ID_NOT_FOUND: Final = 69


class Api(IntEnum):
    """What is answered, each in one version only."""

    METADATA = 3
    FIND_COORDINATOR = 10
    DESCRIBE_GROUPS = 15
    API_VERSIONS = 18
    CONSUMER_GROUP_DESCRIBE = 69


_VERSIONS: Final = {api: 1 if api is Api.METADATA else 0 for api in Api}


@dataclass(frozen=True)
class Member:
    """As both protocols tell it."""

    member_id: str
    client_id: str
    host: str = "/10.0.0.1"
    topic: str = "t"
    partitions: tuple[int, ...] = ()


@dataclass
class Group:
    """A group that a broker coordinates.

    Attributes:
        members: who is in it.
        is_newer: of the newer protocol (KIP-848), of which the older calls know nothing.
        error: what the broker says instead.
    """

    members: list[Member] = field(default_factory=list[Member])
    is_newer: bool = False
    error: int = 0


class Broker:
    """One of them.

    Attributes:
        asked: what was asked for, in order; the one that is being answered included.
        groups: those that it lists and describes.
        before: called before each answer; it may wait, or raise `OSError` to end the connection instead.
    """

    def __init__(self, cluster: Cluster, node: int) -> None:
        self.node = node
        self.groups: dict[str, Group] = {}
        self.asked: list[Api] = []
        self.before: Callable[[Api], None] = lambda _: None
        self._cluster = cluster
        self._changed = Condition()
        self._connections: set[socket.socket] = set()
        self._listener = self._bound(0)
        self.port: int = self._listener.getsockname()[1]

    @staticmethod
    def _bound(port: int) -> socket.socket:
        """Bound, so that nobody else gets the port, and refusing connections until `start`."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        return listener

    def start(self) -> None:
        """Take connections."""
        self._listener.listen()
        Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """End all connections and refuse new ones."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._listener = self._bound(self.port)

    def close(self) -> None:
        """End for good."""
        self.stop()
        self._listener.close()

    def wait_for(self, api: Api, times: int = 1, timeout_s: float = 30.0) -> bool:
        """Whether this was asked for so often, in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.asked.count(api) >= times, timeout_s)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._connections.add(connection)
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            while len(head := stream.read(4)) == 4:
                request = Request.parse(stream.read(*unpack(">i", head)))
                api = Api(request.api_key)
                with self._changed:
                    self.asked.append(api)
                    self._changed.notify_all()
                self.before(api)
                connection.sendall(framed(pack(">i", request.correlation_id) + self._answer(api, request)))
        self._connections.discard(connection)

    def _answer(self, api: Api, request: Request) -> bytes:
        match api:
            case Api.API_VERSIONS:
                error = _UNSUPPORTED_VERSION if request.api_version > _VERSIONS[api] else 0
                known = [pack(">hhh", key, version, version) for key, version in _VERSIONS.items()]
                return pack(">h", error) + _array(known)
            case Api.METADATA:
                brokers = [pack(">i", b.node) + _text(HOST) + pack(">ih", b.port, -1) for b in self._cluster.brokers]
                return _array(brokers) + pack(">i", self.node) + _array([])
            case Api.FIND_COORDINATOR:
                (group,) = _texts(_body(request), 1)
                found = self._cluster.coordinators.get(group, self)
                return pack(">hi", 0, found.node) + _text(HOST) + pack(">i", found.port)
            case Api.DESCRIBE_GROUPS:
                body = _body(request)
                return _array([self._described(name) for name in _texts(body[4:], *unpack(">i", body[:4]))])
            case Api.CONSUMER_GROUP_DESCRIBE:
                return self._described_newer(_asked_for_compact(request))

    def _described(self, name: str) -> bytes:
        group = self.groups.get(name)
        if group is None or group.is_newer or group.error:
            error = 0 if group is None else group.error
            return pack(">h", error) + _text(name) + _text("Dead") + _text("") + _text("") + _array([])
        members = [
            _text(m.member_id) + _text(m.client_id) + _text(m.host) + _bytes(b"") + _bytes(_assignment(m))
            for m in group.members
        ]
        state = "Stable" if members else "Empty"
        return pack(">h", 0) + _text(name) + _text(state) + _text("consumer") + _text("range") + _array(members)

    def _described_newer(self, name: str) -> bytes:
        group = self.groups.get(name, Group())
        members = [
            _short(m.member_id)
            + b"\0\0"  # neither instance nor rack
            + pack(">i", 1)
            + _short(m.client_id)
            + _short(m.host)
            + _few([])
            + b"\0"
            + _placed(m)
            + _placed(m)
            + b"\0"
            for m in group.members
        ]
        error = group.error or (0 if group.is_newer else _GROUP_ID_NOT_FOUND)
        told = (
            pack(">h", error)
            + b"\0"
            + _short(name)
            + _short("Stable" if members else "Empty")
            + pack(">ii", 1, 1)
            + _short("uniform")
            + _few(members)
            + pack(">i", -(2**31))
            + b"\0"
        )
        return b"\0" + pack(">i", 0) + _few([told]) + b"\0"


class Cluster:
    """Brokers that know each other.

    Attributes:
        brokers: all that there are; a client is told of all of them.
        coordinators: {group: its coordinator}; of others, whoever is asked names itself.
    """

    def __init__(self, count: int) -> None:
        self.brokers: list[Broker] = []
        self.brokers += [Broker(self, node) for node in range(1, count + 1)]
        self.coordinators: dict[str, Broker] = {}

    @property
    def bootstrap_servers(self) -> str:
        """Of the first broker."""
        return f"{HOST}:{self.brokers[0].port}"


@contextmanager
def cluster(count: int) -> Generator[Cluster]:
    """So many brokers, none of them started."""
    made = Cluster(count)
    try:
        yield made
    finally:
        for broker in made.brokers:
            broker.close()


def _text(text: str) -> bytes:
    return pack(">h", len(text)) + text.encode()


def _bytes(data: bytes) -> bytes:
    return pack(">i", len(data)) + data


def _array(items: list[bytes]) -> bytes:
    return pack(">i", len(items)) + b"".join(items)


def _short(text: str) -> bytes:
    """In compact form; below 127 bytes."""
    return bytes([len(text) + 1]) + text.encode()


def _few(items: list[bytes]) -> bytes:
    """An array in compact form; below 127 items."""
    return bytes([len(items) + 1]) + b"".join(items)


def _assignment(member: Member) -> bytes:
    partitions = _array([pack(">i", partition) for partition in member.partitions])
    return pack(">h", 1) + _array([_text(member.topic) + partitions]) + _bytes(b"")


def _placed(member: Member) -> bytes:
    partitions = _few([pack(">i", partition) for partition in member.partitions])
    return _few([b"\1" * 16 + _short(member.topic) + partitions + b"\0"]) + b"\0"


def _body(request: Request) -> bytes:
    return request.frame[10 + len(request.client_id or "") :]


def _texts(data: bytes, count: int) -> list[str]:
    found: list[str] = []
    for _ in range(count):
        (length,) = unpack(">h", data[:2])
        found.append(data[2 : 2 + length].decode())
        data = data[2 + length :]
    return found


def _asked_for_compact(request: Request) -> str:
    """The one group that a client asks for at a time: behind the header's tags and the number of groups."""
    body = _body(request)[2:]
    return body[1 : body[0]].decode()

"""The proxy: a listener for each broker, and the thread that serves them."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Final, Self

from penstock.embedded.ports import LOOPBACK
from penstock.testing.proxy.frame import Api
from penstock.testing.proxy.link import Link
from penstock.testing.proxy.order import Fault, HeldRequest, Order, OrderBook

_START_S: Final = 10.0


class KafkaProxy:
    """Stands between clients and brokers, without TLS or SASL: what it is to tell apart it has to read.

    Clients that are given `bootstrap_servers` stay on it: wherever a broker tells its address, the proxy's is put in
    its place. Brokers have to advertise the addresses that the proxy is given, on 127.0.0.1.

    Args:
        bootstrap_servers: all the brokers' `host:port`, comma-separated.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        parts = [address.rpartition(":") for address in bootstrap_servers.split(",")]
        self._brokers = [(host, int(port)) for host, _, port in parts]
        if any(host != LOOPBACK for host, _ in self._brokers):
            # The host stands in answers as text; another one of another length would move everything behind it.
            raise ValueError(f"the proxy works for brokers on {LOOPBACK}, not {bootstrap_servers}")
        self._book = OrderBook()
        self._detours: dict[bytes, bytes] = {}
        self._links: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None
        self._ports: list[int] = []
        self._is_listening = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_over: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="kafka-proxy", daemon=True)

    @property
    def bootstrap_servers(self) -> str:
        """For clients, in the brokers' order."""
        return ",".join(f"{LOOPBACK}:{port}" for port in self._ports)

    # ------------------------------------------------------------ orders

    def hold(self, api: Api, nth: int = 1, *, client_id: str | None = None) -> HeldRequest:
        """Keep the nth such request from now on, and end its connection; it arrives at `release`."""
        order = HeldRequest("hold", api, nth, client_id)
        self._book.add(order)
        return order

    def drop(self, api: Api, nth: int = 1, *, client_id: str | None = None) -> Order:
        """Let the nth such request vanish, and end its connection."""
        return self._ordered("drop", api, nth, client_id)

    def lose_answer(self, api: Api, nth: int = 1, *, client_id: str | None = None) -> Order:
        """Have the nth such request handled, and end its connection instead of the answer."""
        return self._ordered("lose the answer", api, nth, client_id)

    def duplicate(self, api: Api, nth: int = 1, *, client_id: str | None = None) -> Order:
        """Have the nth such request handled twice, one after the other."""
        return self._ordered("duplicate", api, nth, client_id)

    def delay(self, seconds: float, api: Api, nth: int = 1, *, client_id: str | None = None) -> Order:
        """Let the nth such request, and what follows on its connection, wait."""
        return self._ordered("delay", api, nth, client_id, seconds)

    def forget(self) -> None:
        """Give up all orders that are still to be met: what comes from now on passes."""
        self._book.clear()

    def count(self, api: Api, *, client_id: str | None = None) -> int:
        """How many such requests have come so far, whatever happened to them."""
        return self._book.count(api, client_id)

    def _ordered(self, fault: Fault, api: Api, nth: int, client_id: str | None, seconds: float = 0.0) -> Order:
        order = Order(fault, api, nth, client_id, seconds)
        self._book.add(order)
        return order

    # ------------------------------------------------------------ serving

    def __enter__(self) -> Self:
        """Listen, one free port for each broker."""
        self._thread.start()
        if not self._is_listening.wait(_START_S):
            raise RuntimeError("the proxy does not listen; please report")
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        """End all connections.

        Raises:
            AdvertisedElsewhere: clients were told of brokers that the proxy does not stand for.
        """
        if self._loop is not None and self._is_over is not None:
            self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    async def _serve(self) -> None:
        self._loop, self._is_over = asyncio.get_running_loop(), asyncio.Event()
        servers = [await self._listen(address) for address in self._brokers]
        self._ports = [int(server.sockets[0].getsockname()[1]) for server in servers]
        for (host, port), ours in zip(self._brokers, self._ports, strict=True):
            self._detours[_as_told(host, port)] = _as_told(host, ours)
        self._is_listening.set()
        await self._is_over.wait()
        for server in servers:
            server.close()
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _listen(self, address: tuple[str, int]) -> asyncio.Server:
        async def connected(client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
            # A task within the connection's own: asyncio logs a connection that is cancelled as an error (Python 3.11).
            link = asyncio.create_task(Link(address, self._book, self._detours).carry(client_in, client_out))
            self._links.add(link)
            await asyncio.wait({link})
            self._links.discard(link)
            client_out.close()
            failed = None if link.cancelled() else link.exception()
            # A broker that is away ends the connection, and the client notices by that.
            if failed is not None and not isinstance(failed, OSError):
                self._failed = failed

        return await asyncio.start_server(connected, LOOPBACK, 0)


def _as_told(host: str, port: int) -> bytes:
    """As an address stands in an answer."""
    return host.encode() + port.to_bytes(4, "big")

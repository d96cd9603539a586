"""One connection of a client, and the one to the broker that stands for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from penstock.testing.proxy.frame import Api, Request, ask, correlation_id_of, framed, read_frame
from penstock.testing.proxy.order import ENDS_THE_CONNECTION, Order, OrderBook

NAMES_BROKERS: Final = frozenset({Api.PRODUCE, Api.METADATA, Api.FIND_COORDINATOR, Api.DESCRIBE_CLUSTER})
"""Whose answers say where brokers are. Those to FETCH do too, after a change of leaders, but carry what users wrote."""

_SETTLE_S: Final = 5.0


class AdvertisedElsewhere(RuntimeError):
    """The brokers name addresses that the proxy does not know: clients would go around it."""


class Link:
    """Carries frames both ways, and obeys.

    Args:
        address: the broker's.
        book: the orders.
        detours: {the bytes of a broker's address in an answer: the bytes of the proxy's, equally many}.
    """

    def __init__(self, address: tuple[str, int], book: OrderBook, detours: Mapping[bytes, bytes]) -> None:
        self._address = address
        self._book = book
        self._detours = detours
        self._asked: dict[int, int] = {}
        self._all_answered = asyncio.Event()
        self._all_answered.set()

    async def carry(self, client_in: asyncio.StreamReader, client_out: asyncio.StreamWriter) -> None:
        """Until either side ends its connection, or an order does."""
        broker_in, broker_out = await asyncio.open_connection(*self._address)
        try:
            both = (self._requests(client_in, broker_out), self._answers(broker_in, client_out))
            ways = [asyncio.create_task(way) for way in both]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                outcomes = await asyncio.gather(*ways, return_exceptions=True)
        finally:
            broker_out.close()
        for outcome in outcomes:
            # Connections end, that is what they are here for; anything else is a mistake, and must be seen.
            if isinstance(outcome, Exception) and not isinstance(outcome, EOFError | OSError):
                raise outcome

    async def _requests(self, client: asyncio.StreamReader, broker: asyncio.StreamWriter) -> None:
        while True:
            request = Request.parse(await read_frame(client))
            order = self._book.take(request, self._address)
            if order is not None:
                await self._obey(order, request)
                if order.fault in ENDS_THE_CONNECTION:
                    return
            self._asked[request.correlation_id] = request.api_key
            self._all_answered.clear()
            broker.write(framed(request.frame))
            await broker.drain()

    async def _obey(self, order: Order, request: Request) -> None:
        if order.fault == "delay":
            await asyncio.sleep(order.seconds)
        elif order.fault in {"duplicate", "lose the answer"}:
            order.answer = await asyncio.to_thread(ask, self._address, request.frame)
        if order.fault in ENDS_THE_CONNECTION:
            # Else the answers to earlier requests would be lost too, or not, as it happens.
            await asyncio.wait_for(self._all_answered.wait(), _SETTLE_S)

    async def _answers(self, broker: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while True:
            answer = await read_frame(broker)
            api_key = self._asked.get(correlation_id_of(answer))
            client.write(framed(self._rewritten(answer, api_key)))
            await client.drain()
            self._asked.pop(correlation_id_of(answer), None)
            if not self._asked:
                self._all_answered.set()

    def _rewritten(self, answer: bytes, api_key: int | None) -> bytes:
        """The answer with the proxy's addresses for the brokers'.

        In every version, compact or not, an address is the host's text and, right behind, four bytes of port. Only the
        port is another, so no length changes, and no version of the answer has to be understood.
        """
        if api_key not in NAMES_BROKERS:
            return answer
        found = answer
        for theirs, ours in self._detours.items():
            found = found.replace(theirs, ours)
        if api_key == Api.METADATA and found == answer:
            raise AdvertisedElsewhere(
                f"{self._address[0]}:{self._address[1]} tells clients of no broker by the address that the proxy was "
                "given; give it the brokers' advertised addresses"
            )
        return found

"""What is to be done to which request, and whether it has been done."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

from penstock.testing.proxy.frame import Request, ask

Fault = Literal["delay", "hold", "drop", "lose the answer", "duplicate"]
"""What can happen to a request:

* `delay`: it waits, and with it all that follows on its connection, as behind a stalled line.
* `hold`: its connection ends behind it, so the client sends it again on a new one; this copy waits to be released.
* `drop`: its connection ends in front of it: it never arrives, and the client sends it again.
* `lose the answer`: it is handled, and its connection ends in front of the answer: it arrives again from the client.
* `duplicate`: it is handled twice, and nobody tells the client, who gets the second answer.
"""

ENDS_THE_CONNECTION: frozenset[Fault] = frozenset({"hold", "drop", "lose the answer"})


@dataclass(eq=False)
class Order:
    """One fault for one request.

    Attributes:
        fault: what is to happen.
        api_key: to requests of this kind.
        nth: to which of them, counted from when the order was given; 1 = the next.
        client_id: of this client only; None = of any.
        seconds: how long a `delay` lasts.
        answer: the broker's to a copy that the proxy sent on its own account; None = there is none, or not yet.
    """

    fault: Fault
    api_key: int
    nth: int = 1
    client_id: str | None = None
    seconds: float = 0.0
    answer: bytes | None = None
    request: Request | None = field(default=None, init=False)
    address: tuple[str, int] | None = field(default=None, init=False)
    seen: int = field(default=0, init=False)
    _met: threading.Event = field(default_factory=threading.Event, init=False)

    @property
    def is_met(self) -> bool:
        """Whether the request has come."""
        return self._met.is_set()

    def wait(self, timeout_s: float = 30.0) -> Request:
        """Return the request when it has come.

        Raises:
            TimeoutError: it has not.
        """
        if not self._met.wait(timeout_s) or self.request is None:
            raise TimeoutError(f"{self} was not met within {timeout_s:.0f} s: {self.seen} of its kind have come")
        return self.request

    def wants(self, request: Request) -> bool:
        """Count it, if it is of this kind; whether it is the one."""
        if request.api_key != self.api_key or self.client_id not in {None, request.client_id}:
            return False
        self.seen += 1
        return self.seen >= self.nth

    def meet(self, request: Request, address: tuple[str, int]) -> None:
        """This is the one, on its way to this broker."""
        self.request, self.address = request, address
        self._met.set()

    def __str__(self) -> str:
        """What was ordered."""
        whose = "" if self.client_id is None else f" of {self.client_id}"
        return f"{self.fault} request {self.nth} with API key {self.api_key}{whose}"


@dataclass(eq=False)
class HeldRequest(Order):
    """A request that arrives when the test says so."""

    def release(self) -> bytes:
        """Let it arrive now; returns the broker's answer, without its length, when it has been handled.

        Raises:
            RuntimeError: it has not come yet, or has been released.
            OSError: the broker does not answer.
        """
        if self.request is None or self.address is None or self.answer is not None:
            raise RuntimeError(f"{self}: there is nothing to release")
        self.answer = ask(self.address, self.request.frame)
        return self.answer


class OrderBook:
    """The orders that are still to be met; given by one thread, looked up by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[Order] = []
        self._counts: dict[tuple[int, str | None], int] = {}

    def add(self, order: Order) -> None:
        """From now on requests count for it."""
        with self._lock:
            self._pending.append(order)

    def clear(self) -> None:
        """Requests count for none of them any more."""
        with self._lock:
            self._pending.clear()

    def take(self, request: Request, address: tuple[str, int]) -> Order | None:
        """Count a request; the order that it meets, the earliest if several are due. The others get the next one."""
        with self._lock:
            for key in {(request.api_key, None), (request.api_key, request.client_id)}:
                self._counts[key] = self._counts.get(key, 0) + 1
            due = [order for order in self._pending if order.wants(request)]
            if not due:
                return None
            self._pending.remove(due[0])
            due[0].meet(request, address)
            return due[0]

    def count(self, api_key: int, client_id: str | None) -> int:
        """How many requests of this kind have come."""
        with self._lock:
            return self._counts.get((api_key, client_id), 0)

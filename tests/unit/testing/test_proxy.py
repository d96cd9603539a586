"""The proxy between a client of a few lines and a broker of a few more: what arrives, and what is answered."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import pytest

from penstock.testing.proxy import Api, KafkaProxy, Request
from penstock.testing.proxy.link import AdvertisedElsewhere

HOST = "127.0.0.1"


class Broker(socketserver.ThreadingTCPServer):
    """Notes each request, and answers it with its own text, or with where a broker is."""

    daemon_threads = True
    arrived: list[bytes]
    told: bytes


class Connection(socketserver.StreamRequestHandler):
    """To the broker."""

    def handle(self) -> None:
        broker = cast("Broker", self.server)
        while len(head := self.rfile.read(4)) == 4:
            frame = self.rfile.read(int.from_bytes(head, "big"))
            broker.arrived.append(text_of(frame))
            answer = frame[4:8] + (broker.told if frame[1] == Api.METADATA else b"seen " + text_of(frame))
            self.wfile.write(len(answer).to_bytes(4, "big") + answer)


def text_of(frame: bytes) -> bytes:
    """What stands behind the header."""
    return frame[10 + int.from_bytes(frame[8:10], "big") :]


def frame_of(api: Api, text: bytes, client: bytes = b"c") -> bytes:
    """A request, with its length; its correlation id is that of its kind."""
    frame = bytes([0, api, 0, 1, 0, 0, 0, api]) + len(client).to_bytes(2, "big") + client + text
    return len(frame).to_bytes(4, "big") + frame


class Client:
    """One connection."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.answers = self.socket.makefile("rb")

    def send(self, api: Api, text: bytes, client: bytes = b"c") -> None:
        self.socket.sendall(frame_of(api, text, client))

    def receive(self) -> bytes | None:
        """The next answer without its correlation id; None = the connection has ended."""
        head = self.answers.read(4)
        return self.answers.read(int.from_bytes(head, "big"))[4:] if head else None

    def close(self) -> None:
        self.answers.close()
        self.socket.close()

    def ask(self, api: Api, text: bytes, client: bytes = b"c") -> bytes | None:
        self.send(api, text, client)
        return self.receive()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker((HOST, 0), Connection) as made:
        made.arrived, made.told = [], b""
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def address_of(broker: Broker) -> str:
    return f"{HOST}:{broker.server_address[1]}"


@pytest.fixture
def proxy(broker: Broker) -> Iterator[KafkaProxy]:
    with KafkaProxy(address_of(broker)) as made:
        yield made


@pytest.fixture
def client(proxy: KafkaProxy) -> Iterator[Client]:
    with closing(Client(proxy.bootstrap_servers)) as made:
        yield made


def ask_once(proxy: KafkaProxy, api: Api, text: bytes) -> bytes | None:
    """On a new connection."""
    with closing(Client(proxy.bootstrap_servers)) as made:
        return made.ask(api, text)


def test_what_nobody_asked_for_passes_whole(broker: Broker, client: Client) -> None:
    large = b"x" * 1_000_000
    assert client.ask(Api.PRODUCE, large) == b"seen " + large
    assert broker.arrived == [large]


def test_a_held_request_arrives_when_it_is_released_and_its_connection_is_gone(
    broker: Broker, proxy: KafkaProxy, client: Client
) -> None:
    held = proxy.hold(Api.END_TXN)
    with pytest.raises(RuntimeError, match="nothing to release"):
        held.release()
    assert client.ask(Api.END_TXN, b"first") is None
    assert held.wait() == Request(Api.END_TXN, 1, Api.END_TXN, "c", frame_of(Api.END_TXN, b"first")[4:])
    assert ask_once(proxy, Api.END_TXN, b"again") == b"seen again"
    assert held.release()[4:] == b"seen first"
    assert broker.arrived == [b"again", b"first"]
    with pytest.raises(RuntimeError, match="nothing to release"):
        held.release()


def test_answers_to_earlier_requests_are_not_lost_with_the_connection(proxy: KafkaProxy, client: Client) -> None:
    proxy.drop(Api.END_TXN)
    client.socket.sendall(
        b"".join([frame_of(Api.PRODUCE, b"a"), frame_of(Api.FETCH, b"b"), frame_of(Api.END_TXN, b"")])
    )
    assert [client.receive() for _ in range(3)] == [b"seen a", b"seen b", None]


def test_a_dropped_request_never_arrives(broker: Broker, proxy: KafkaProxy, client: Client) -> None:
    order = proxy.drop(Api.END_TXN)
    assert client.ask(Api.END_TXN, b"x") is None
    assert order.is_met
    assert broker.arrived == []


def test_an_order_that_is_forgotten_is_met_by_nothing(broker: Broker, proxy: KafkaProxy, client: Client) -> None:
    order = proxy.drop(Api.END_TXN)
    proxy.forget()
    assert client.ask(Api.END_TXN, b"x") == b"seen x"
    assert not order.is_met
    assert broker.arrived == [b"x"]


def test_a_request_whose_answer_is_lost_has_arrived(broker: Broker, proxy: KafkaProxy, client: Client) -> None:
    order = proxy.lose_answer(Api.END_TXN)
    assert client.ask(Api.END_TXN, b"x") is None
    assert (broker.arrived, order.answer) == ([b"x"], bytes([0, 0, 0, Api.END_TXN]) + b"seen x")


def test_a_duplicate_arrives_twice_and_is_answered_once(broker: Broker, proxy: KafkaProxy, client: Client) -> None:
    proxy.duplicate(Api.END_TXN)
    assert [client.ask(Api.END_TXN, b"x"), client.ask(Api.END_TXN, b"y")] == [b"seen x", b"seen y"]
    assert broker.arrived == [b"x", b"x", b"y"]


def test_a_delayed_request_holds_up_its_own_connection_only(broker: Broker, proxy: KafkaProxy, client: Client) -> None:
    order = proxy.delay(1.0, Api.END_TXN)
    client.send(Api.END_TXN, b"late")
    client.send(Api.FETCH, b"behind")
    order.wait()
    assert ask_once(proxy, Api.FETCH, b"beside") == b"seen beside"
    assert [client.receive(), client.receive()] == [b"seen late", b"seen behind"]
    assert broker.arrived == [b"beside", b"late", b"behind"]


def test_requests_are_chosen_by_kind_client_and_number_since_the_order(
    broker: Broker, proxy: KafkaProxy, client: Client
) -> None:
    client.ask(Api.PRODUCE, b"before", b"a")
    order = proxy.duplicate(Api.PRODUCE, 2, client_id="a")
    for n, (api, who) in enumerate([(Api.PRODUCE, b"a"), (Api.PRODUCE, b"b"), (Api.FETCH, b"a"), (Api.PRODUCE, b"a")]):
        assert not order.is_met
        client.ask(api, b"%d" % n, who)
    client.ask(Api.PRODUCE, b"after", b"a")
    assert broker.arrived == [b"before", b"0", b"1", b"2", b"3", b"3", b"after"]
    assert (proxy.count(Api.PRODUCE), proxy.count(Api.PRODUCE, client_id="a"), proxy.count(Api.END_TXN)) == (5, 4, 0)
    with pytest.raises(TimeoutError, match="drop request 2 with API key 26 of a was not met within 0 s: 0 of its kind"):
        proxy.drop(Api.END_TXN, 2, client_id="a").wait(0)


def test_two_orders_for_one_request_are_met_by_it_and_the_next(
    broker: Broker, proxy: KafkaProxy, client: Client
) -> None:
    proxy.duplicate(Api.PRODUCE)
    proxy.drop(Api.PRODUCE)
    assert client.ask(Api.PRODUCE, b"1") == b"seen 1"
    assert client.ask(Api.PRODUCE, b"2") is None
    assert broker.arrived == [b"1", b"1"]


def port_bytes(address: Any) -> bytes:
    return int(str(address).rpartition(":")[2]).to_bytes(4, "big")


def test_clients_are_told_of_the_proxy_where_a_broker_tells_of_itself(
    broker: Broker, proxy: KafkaProxy, client: Client
) -> None:
    broker.told = b"\x0a127.0.0.1" + port_bytes(address_of(broker)) + b"rack"
    assert client.ask(Api.METADATA, b"") == b"\x0a127.0.0.1" + port_bytes(proxy.bootstrap_servers) + b"rack"


def test_what_users_wrote_is_never_changed(broker: Broker, client: Client) -> None:
    theirs = b"127.0.0.1" + port_bytes(address_of(broker))
    assert client.ask(Api.FETCH, theirs) == b"seen " + theirs


def test_brokers_that_advertise_other_addresses_fail_the_test(broker: Broker) -> None:
    """Their clients would go around the proxy, and every order of the test would be in vain."""
    broker.told = b"\x0a127.0.0.2" + port_bytes(address_of(broker))
    with pytest.raises(AdvertisedElsewhere, match="advertised"), KafkaProxy(address_of(broker)) as proxy:
        assert ask_once(proxy, Api.METADATA, b"") is None


def test_other_hosts_are_refused() -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1, not kafka:9092"):
        KafkaProxy("kafka:9092")

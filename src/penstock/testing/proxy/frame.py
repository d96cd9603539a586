"""Kafka's frames, as far as a proxy has to know them: a length, and who asks for what."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

_LENGTH: Final = Struct(">i")
_HEADER: Final = Struct(">hhih")
_ANSWER_TIMEOUT_S: Final = 30.0


class Api(IntEnum):
    """The keys of the requests that tests choose by, by their names in Kafka's protocol; others pass as well."""

    PRODUCE = 0
    FETCH = 1
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    INIT_PRODUCER_ID = 22
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_CLUSTER = 60
    CONSUMER_GROUP_HEARTBEAT = 68


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole.

    Attributes:
        api_key: what is asked for; see `Api`.
        api_version: in which form.
        correlation_id: the answer has it too.
        client_id: who asks; None = it does not say.
        frame: all of it behind the length, header included.
    """

    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    frame: bytes

    @staticmethod
    def parse(frame: bytes) -> Request:
        """Read the header, of which every version begins like this (the client's id is never in compact form)."""
        api_key, api_version, correlation_id, length = _HEADER.unpack_from(frame)
        client_id = None if length < 0 else frame[_HEADER.size : _HEADER.size + length].decode()
        return Request(api_key, api_version, correlation_id, client_id, frame)


def correlation_id_of(answer: bytes) -> int:
    """Of which request it is the answer: the first field of every version."""
    (correlation_id,) = _LENGTH.unpack_from(answer)
    return int(correlation_id)


def framed(frame: bytes) -> bytes:
    """With its length in front."""
    return _LENGTH.pack(len(frame)) + frame


async def read_frame(stream: asyncio.StreamReader) -> bytes:
    """The next frame without its length.

    Raises:
        asyncio.IncompleteReadError: the connection has ended.
    """
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    return await stream.readexactly(length)


def ask(address: tuple[str, int], frame: bytes) -> bytes:
    """Send a request on a connection of its own, and return the answer without its length.

    A broker answers the requests of one connection in their order; on another one this is handled whatever the
    connection that it was written for is waiting for.

    Raises:
        OSError: the broker does not answer within 30 seconds, or ends the connection.
    """
    with (
        socket.create_connection(address, timeout=_ANSWER_TIMEOUT_S) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.sendall(framed(frame))
        head = stream.read(_LENGTH.size)
        answer = stream.read(*_LENGTH.unpack(head)) if len(head) == _LENGTH.size else b""
        if len(answer) < _LENGTH.size:
            raise ConnectionError(f"{address[0]}:{address[1]} ended the connection instead of an answer")
        return answer

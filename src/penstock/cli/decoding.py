"""Framed Avro, decoded for people who look into a topic."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock.cli.rendering import DecodeAvro
    from penstock.config import Config


@contextmanager
def avro_decoder(config: Config) -> Generator[DecodeAvro]:
    """A decoder that asks a registry which does not answer once, not for each record."""
    from penstock.errors import PenstockError, UndecodableRecord  # noqa: PLC0415 - as above
    from penstock.kafka.registry import RegistryClient  # noqa: PLC0415 - heavy
    from penstock.schemas.inspection import FrameInspector  # noqa: PLC0415 - heavy

    registry = RegistryClient.of(config.registry)
    inspector = FrameInspector(registry)
    given_up: list[PenstockError] = []

    def decode(data: bytes) -> object:
        if given_up:
            raise given_up[0]
        try:
            return inspector.decode(data)
        except UndecodableRecord:
            raise
        except PenstockError as err:
            given_up.append(err)
            raise

    try:
        yield decode
    finally:
        registry.close()

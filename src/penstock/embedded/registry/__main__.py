"""What `RegistryServer` starts: `python -m penstock.embedded.registry SETTINGS_FILE`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import msgspec

from penstock.embedded.registry.process import serve
from penstock.embedded.registry.server import StartSettings
from penstock.errors import PenstockError
from penstock.kafka.client import Connection


def main(settings_file: Path) -> int:
    """Serve; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = msgspec.json.decode(settings_file.read_bytes(), type=StartSettings)
    ready = settings_file.with_name("url")

    def tell(url: str) -> None:
        unfinished = ready.with_suffix(".tmp")
        unfinished.write_text(url)
        unfinished.rename(ready)

    try:
        serve(
            Connection(settings.bootstrap_servers, client=settings.client),
            port=settings.port,
            topic=settings.topic,
            session_timeout_s=settings.session_timeout_s,
            on_ready=tell,
        )
    except PenstockError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

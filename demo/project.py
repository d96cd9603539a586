"""The project's commands as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.pipelines import INSTANCE
from penstock.errors import StartFailed


class Project:
    """Starts `penstock produce` and `penstock run` for one project on one cluster.

    Args:
        root: the project's folder.
        environment: variables of the processes.
        logs: a folder for what they print.
    """

    def __init__(self, root: Path, environment: Mapping[str, str], logs: Path) -> None:
        self._root, self._environment, self._logs = root, dict(environment), logs

    def start(self, verb: str, name: str, arguments: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a producer (`produce`) or a pipeline's worker (`run`)."""
        command = Path(sys.executable).with_name("penstock")
        with self._log(verb, name).open("ab") as log:
            return subprocess.Popen(
                [str(command), verb, name, *arguments],
                cwd=self._root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def finish(self, verb: str, name: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until it is done.

        Raises:
            StartFailed: it ended with an error; the message has its last words.
        """
        if (code := process.wait()) != 0:
            raise StartFailed(f"`penstock {verb} {name}` ended with code {code}:\n{self.last_words(verb, name)}")

    def last_words(self, verb: str, name: str) -> str:
        """The last lines that it printed."""
        return "\n".join(self._log(verb, name).read_text(errors="replace").strip().splitlines()[-15:])

    def _log(self, verb: str, name: str) -> Path:
        return self._logs / f"{verb}-{name}.log"


def environment(bootstrap_servers: str, registry_url: str, state: Path) -> dict[str, str]:
    """Variables for producers and workers on this cluster; nobody's own settings mix in."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")} | {
        "PENSTOCK_PROFILE": "dev",
        "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "PENSTOCK_REGISTRY__URL": registry_url,
        "PENSTOCK_STATE__DIRECTORY": str(state),
        # A worker that is started again has its partitions back at once, instead of when the dead one's session ends.
        "PENSTOCK_PROCESSING__STATIC_MEMBERSHIP": "true",
        "PENSTOCK_PROCESSING__INSTANCE": INSTANCE,
    }

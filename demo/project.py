"""The project's commands as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from penstock.errors import StartFailed
from processors import airline_directory

_NOTHING_HAS_BEGUN: Final = 128 + signal.SIGTERM
_COMMAND: Final = Path(__file__).with_name("command.py")


class Project:
    """Starts `penstock produce` and `penstock run` for one project on one cluster.

    None of its processes outlives this one, nor the thread that started it: see `penstock.supervisor.parent`.

    Args:
        root: the project's folder.
        environment: variables of the processes.
        logs: a folder for what they print.
    """

    def __init__(self, root: Path, environment: Mapping[str, str], logs: Path) -> None:
        self._root, self._environment, self._logs = root, dict(environment), logs
        self._processes: list[ProjectProcess] = []
        self._is_over = False
        self._lock = Lock()

    @contextmanager
    def threads(self, count: int) -> Generator[ThreadPoolExecutor]:
        """Threads that work with its processes, and are waited for at the end of the block.

        Where the block ends by an error, or by a signal, the project is over: its processes are killed, and nobody
        starts another. Else the wait would last as long as what the threads wait for.
        """
        with ThreadPoolExecutor(count) as pool:
            try:
                yield pool
            except BaseException:
                self._end()
                raise

    def _end(self) -> None:
        with self._lock:
            self._is_over, living = True, [each for each in self._processes if each.exit_code is None]
        for process in living:
            process.kill()

    def printed(self, verb: str, name: str, arguments: Sequence[str] = ()) -> list[str]:
        """Give a command, wait for its end, and return the lines that it printed.

        Raises:
            StartFailed: it ended with an error.
        """
        process = self.start(verb, name, arguments)
        process.finish()
        return process.printed()

    def start(self, verb: str, name: str, arguments: Sequence[str] = ()) -> ProjectProcess:
        """Start a producer (`produce`), a pipeline's worker (`run`), or any other command of `penstock`.

        Raises:
            StartFailed: the project is over.
        """
        line = [verb, name, *arguments]
        told, log = (self._logs / f"{'_'.join(line)}.{kind}" for kind in ("out", "log"))
        with self._lock, told.open("wb") as out, log.open("ab") as errors:
            if self._is_over:
                raise StartFailed(f"`penstock {' '.join(line)}` is not started: the demo ends")
            process = subprocess.Popen(
                # -P: the script's folder is no place to import from, as it is none for the installed command.
                [sys.executable, "-P", str(_COMMAND), str(os.getpid()), *line],
                cwd=self._root,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
            )
            started = ProjectProcess(process, f"penstock {' '.join(line)}", told, log)
            self._processes = [*(each for each in self._processes if each.exit_code is None), started]
        return started


class ProjectProcess:
    """One of the project's commands at work.

    Args:
        process: that runs it.
        command: as it would be typed.
        told: what it prints on standard output.
        log: what it prints on standard error.
    """

    def __init__(self, process: subprocess.Popen[bytes], command: str, told: Path, log: Path) -> None:
        self._process, self.command, self._told, self._log = process, command, told, log

    @property
    def exit_code(self) -> int | None:
        """None while it lives."""
        return self._process.poll()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait until it has left in order; raises as `finish`.

        One that was started a moment ago ends of it at once, and has done nothing: before it hears signals, or after.
        SIGINT would not do: while Python starts, it is an error among others, with code 1.
        """
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait() not in (-signal.SIGTERM, _NOTHING_HAS_BEGUN):
            self.finish()

    def finish(self) -> None:
        """Wait until it is done.

        Raises:
            StartFailed: it ended with an error; the message has its last words.
        """
        if (code := self._process.wait()) != 0:
            raise StartFailed(f"`{self.command}` ended with code {code}:\n{self.last_words()}")

    def printed(self) -> list[str]:
        """The lines that it printed so far on standard output."""
        return self._told.read_text(errors="replace").strip().splitlines()

    def last_words(self) -> str:
        """The last lines that it printed."""
        return "\n".join([*self.printed(), *self._log.read_text(errors="replace").strip().splitlines()][-15:])


def environment(bootstrap_servers: str, registry_url: str, state: Path, airlines_url: str = "") -> dict[str, str]:
    """Variables for producers and workers on this cluster; nobody's own settings mix in.

    Args:
        bootstrap_servers: of Kafka.
        registry_url: of the schema registry.
        state: a folder for state and locks.
        airlines_url: of the directory of airlines; empty = nobody asks it.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")} | {
        "PENSTOCK_PROFILE": "dev",
        "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
        "PENSTOCK_REGISTRY__URL": registry_url,
        "PENSTOCK_STATE__DIRECTORY": str(state),
        airline_directory.URL: airlines_url,
        # A worker that is started again has its partitions back at once, instead of when the dead one's session ends.
        "PENSTOCK_PROCESSING__STATIC_MEMBERSHIP": "true",
        # And one that has left for good is missed soon.
        "PENSTOCK_PROCESSING__SESSION_TIMEOUT_MS": "6000",
    }

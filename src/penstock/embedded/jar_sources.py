"""Where jars come from, nearest first. No repository host is named here: mvn and jgo know theirs.

A source puts what it has into a folder and says in words why it did not have the rest. What it brought is checked by
`jar_cache.py`; a source is never trusted.
"""

from __future__ import annotations

import gc
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from penstock.embedded.jar_lock import JarLock, LockedJar
from penstock.embedded.maven import MavenFailed, copy_runtime_jars

DOWNLOAD_THREADS = 8

Arrived = Callable[[LockedJar], None]
"""Called once for each jar that was put in place; for the progress bar."""


class JarSource(Protocol):
    """One place that may have jars."""

    @property
    def name(self) -> str:
        """As the user knows it, for messages."""
        ...

    def supply(self, wanted: Sequence[LockedJar], folder: Path, arrived: Arrived) -> str:
        """Copy what is there of `wanted` into `folder`, by `file_name`, and return what there is to say about the rest.

        Raises:
            OSError: the folder cannot be written; a source that cannot be read says so in words instead.
        """
        ...


class Directory:
    """Jars side by side, as in Kafka's own distribution under `libs/`."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def supply(self, wanted: Sequence[LockedJar], folder: Path, arrived: Arrived) -> str:
        """Copy the files that bear the right name."""
        return _copy_all(wanted, lambda jar: self.path / jar.file_name, folder, arrived)


class LocalRepository:
    """The user's local Maven repository."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def supply(self, wanted: Sequence[LockedJar], folder: Path, arrived: Arrived) -> str:
        """Copy the files that lie under their coordinates."""
        return _copy_all(wanted, lambda jar: self.path / jar.repository_path, folder, arrived)


class MavenCommand:
    """`mvn` on PATH: one resolution of the lock's roots, with the user's own settings."""

    name = "mvn"

    def __init__(self, roots: Sequence[str]) -> None:
        self.roots = roots

    def supply(self, wanted: Sequence[LockedJar], folder: Path, arrived: Arrived) -> str:
        """Run mvn into a folder beside `folder`, and take what is wanted from it."""
        mvn = shutil.which("mvn")
        if mvn is None:
            return "not on PATH"
        scratch = folder / "mvn"
        try:
            copy_runtime_jars(mvn, self.roots, scratch)
        except MavenFailed as err:
            return f"failed: {err}"
        else:
            return _copy_all(wanted, lambda jar: scratch / jar.file_name, folder, arrived)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


class Jgo:
    """jgo from PyPI, a Maven client in pure Python; it only warns on a wrong checksum, hence our own lock."""

    name = "jgo"

    def supply(self, wanted: Sequence[LockedJar], folder: Path, arrived: Arrived) -> str:
        """Fetch exactly the locked coordinates, several at a time; stops at the first that fails."""
        try:
            from jgo.maven import MavenContext  # noqa: PLC0415 - an optional extra, and slow to import
        except ImportError:
            return "not installed: pip install 'penstock[embedded]'"
        scratch = folder / "jgo"
        context = MavenContext(repo_cache=scratch, local_repos=[])

        def fetch(jar: LockedJar) -> None:
            found = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
            Path(found).replace(folder / jar.file_name)
            arrived(jar)

        with _sockets_left_open():
            try:
                return _said_by(fetch, wanted)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)


def default_sources(
    lock: JarLock, directory: Path | None = None, environ: Mapping[str, str] = os.environ
) -> list[JarSource]:
    """The sources in their order: configured folder or `KAFKA_HOME/libs`, local repository, mvn, jgo."""
    sources: list[JarSource] = []
    if directory is not None:
        sources.append(Directory(directory, name=f"folder {directory}"))
    elif home := environ.get("KAFKA_HOME"):
        sources.append(Directory(Path(home, "libs"), name="KAFKA_HOME/libs"))
    repository = Path(environ.get("M2_REPO") or Path.home() / ".m2" / "repository")
    return [*sources, LocalRepository(repository), MavenCommand(lock.roots), Jgo()]


def _copy_all(wanted: Sequence[LockedJar], place: Callable[[LockedJar], Path], folder: Path, arrived: Arrived) -> str:
    missing, unreadable = 0, 0
    for jar in wanted:
        source = place(jar)
        if not source.is_file():
            missing += 1
        elif not os.access(source, os.R_OK):
            unreadable += 1
        else:
            shutil.copyfile(source, folder / jar.file_name)
            arrived(jar)
    said = [(missing, "not there"), (unreadable, "not readable")]
    return ", ".join(f"{count} of {len(wanted)} {what}" for count, what in said if count)


def _said_by(fetch: Callable[[LockedJar], None], wanted: Sequence[LockedJar]) -> str:
    """Fetch all; why that failed, empty when it did not."""
    try:
        _in_threads(fetch, wanted)
    except OSError as err:  # requests' errors are OSErrors too; only those of the disk carry a number here
        if err.errno is not None:
            raise
        return f"failed: {_first_line(err)}"
    except Exception as err:  # noqa: BLE001 - jgo raises RuntimeError and more; whatever it is, it is told
        return f"failed: {_first_line(err)}"
    return ""


def _in_threads(fetch: Callable[[LockedJar], None], wanted: Sequence[LockedJar]) -> None:
    """Fetch several at a time; the first failure ends it, or without a network each would wait for its time-out."""
    failed = threading.Event()

    def unless_failed(jar: LockedJar) -> None:
        if failed.is_set():
            return
        try:
            fetch(jar)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(DOWNLOAD_THREADS) as pool:
        tasks = [pool.submit(unless_failed, jar) for jar in wanted]
        try:
            for task in tasks:
                task.result()
        except BaseException:
            failed.set()  # a Ctrl-C, which no thread of the pool gets
            raise


@contextmanager
def _sockets_left_open() -> Generator[None, None, None]:
    """Jgo leaves its connections to the garbage collector; a test run with warnings as errors must not pay for that.

    What failed inside must be over by the end: an exception keeps the frames, and these the connections.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def _first_line(err: Exception) -> str:
    return (str(err).strip() or type(err).__name__).splitlines()[0][:300]

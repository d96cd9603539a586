"""The jars on disk: filled once from the sources, checked against the lock, offline from then on.

Two processes at once: the first to get the file lock fills, the second waits and finds the folder there. A process that
dies while it fills leaves a `.part` folder, which the next one clears.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from penstock.embedded.jar_lock import JarLock, LockedJar, sha512_of
from penstock.embedded.jar_sources import JarSource
from penstock.embedded.progress import ByteProgress, byte_progress
from penstock.errors import StartFailed


def default_cache() -> Path:
    """The platform's cache folder for us."""
    return platformdirs.user_cache_path("penstock") / "kafka"


def jar_folder(lock: JarLock, sources: Sequence[JarSource], cache: Path) -> Path:
    """The folder with exactly the locked jars, all verified; filled from `sources` if it is not there yet.

    Raises:
        StartFailed: no source has a jar (the message lists what each one said), a jar is not the locked one or not
            locked at all, or the folder cannot be written or the disk is full.
    """
    folder = cache / f"{lock.kafka_version}-{lock.digest}" / "jars"
    if not folder.is_dir():
        try:
            _fill(lock, sources, folder)
        except OSError as err:
            problem = "disk full" if err.errno == errno.ENOSPC else f"no place for Kafka's jars ({err.strerror})"
            raise StartFailed(
                f"{problem}: they need {lock.size / 1e6:.0f} MB in {cache}; make room there, or set XDG_CACHE_HOME to "
                "another folder"
            ) from err
    _verify(lock.jars, folder, came_from=str(folder))
    _refuse_others(lock.jars, folder)
    return folder


def _fill(lock: JarLock, sources: Sequence[JarSource], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(folder.with_name("lock")):
        if folder.is_dir():
            return  # another process filled it while we waited
        part = folder.with_name("jars.part")  # under the lock, so a part that is there was left by a dead process
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            with byte_progress(f"Kafka {lock.kafka_version}", lock.size) as progress:
                _collect(lock, sources, part, progress)
            # One rename: whoever looks sees either no folder or all of it.
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _collect(lock: JarLock, sources: Sequence[JarSource], part: Path, progress: ByteProgress) -> None:
    wanted, answers = list(lock.jars), list[str]()
    for source in sources:
        progress.describe(f"{len(wanted)} jars from {source.name}")
        said = source.supply(wanted, part, lambda jar: progress.advance(jar.size))
        brought = [jar for jar in wanted if (part / jar.file_name).exists()]
        _verify(brought, part, came_from=source.name)
        wanted = [jar for jar in wanted if jar not in brought]
        if not wanted:
            return
        answers.append(f"  {source.name}: {said}")
    raise StartFailed(
        f"{len(wanted)} of Kafka's {len(lock.jars)} jars found nowhere, the first is {wanted[0].file_name}:\n"
        + "\n".join(answers)
        + "\nWith a network, install Maven or 'penstock[embedded]'; without one, set KAFKA_HOME to an unpacked Kafka "
        f"{lock.kafka_version}, or copy the cache folder {part.parent.parent} from a machine that has it."
    )


def _verify(jars: Sequence[LockedJar], folder: Path, came_from: str) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets go of the interpreter lock
        found = list(pool.map(_sha512_or_absence, (folder / jar.file_name for jar in jars)))
    for jar, sha512 in zip(jars, found, strict=True):
        if sha512 != jar.sha512:
            raise StartFailed(
                f"{jar.file_name} from {came_from} is not the jar that was locked, so it will not be run:\n"
                f"  expected SHA-512 {jar.sha512}\n"
                f"  found    SHA-512 {sha512}\n"
                "Find out how it got there, delete it, and start again."
            )


def _refuse_others(jars: Sequence[LockedJar], folder: Path) -> None:
    """Whatever else lies there would be on the class path too."""
    locked = {jar.file_name for jar in jars}
    for path in sorted(folder.iterdir()):
        if path.name not in locked:
            raise StartFailed(f"{path} is none of the jars that were locked; delete it, and start again")


def _sha512_or_absence(path: Path) -> str:
    return sha512_of(path) if path.exists() else "(no such file)"


@contextmanager
def _exclusive(path: Path) -> Generator[None, None, None]:
    """Hold a lock between processes; the kernel lets go of it when the process dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

"""The jars of one Kafka version, each pinned by size and SHA-512; the file is made by `lock_jars.py`, never by hand."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import msgspec

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock.json")


class LockedJar(msgspec.Struct, frozen=True, kw_only=True):
    """One jar: its Maven coordinates, its size in bytes, its SHA-512 as hex."""

    group: str
    artifact: str
    version: str
    size: int
    sha512: str

    @property
    def file_name(self) -> str:
        """The name that Maven and Kafka's own distribution give it."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def repository_path(self) -> Path:
        """Its place in a Maven repository, relative to the root."""
        return Path(*self.group.split("."), self.artifact, self.version, self.file_name)


class JarLock(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What a broker's class path consists of.

    Attributes:
        kafka_version: for people.
        roots: `group:artifact:version` of what was asked for; the jars are these and all they need at run time.
        jars: sorted by file name, which is also the order of the class path.
    """

    kafka_version: str
    roots: tuple[str, ...]
    jars: tuple[LockedJar, ...]

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits that change with any jar; names the cache."""
        return hashlib.sha256(msgspec.json.encode(self.jars)).hexdigest()[:12]

    @property
    def size(self) -> int:
        """Bytes of all jars together."""
        return sum(jar.size for jar in self.jars)


def load_lock(path: Path = LOCK_FILE) -> JarLock:
    """Read the lock that is shipped with the package."""
    return msgspec.json.decode(path.read_bytes(), type=JarLock)


def sha512_of(path: Path) -> str:
    """SHA-512 of a file's content, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha512").hexdigest()

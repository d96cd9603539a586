"""Write the jar lock for a Kafka version: `python -m penstock.embedded.lock_jars 4.3.1`.

Maven's own client resolves, because its mediation of versions is the one that Kafka's POMs were written for.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

from penstock.embedded.jar_lock import LOCK_FILE, JarLock, LockedJar, sha512_of
from penstock.embedded.maven import copy_runtime_jars
from penstock.errors import UsageError

SCALA = "2.13"
SLF4J = "1.7.36"  # a logging backend; Kafka's own POM brings none, and the 1.7 line must match its slf4j-api


def lock(kafka_version: str) -> JarLock:
    """Resolve a Kafka version now.

    Raises:
        UsageError: `mvn` is not on PATH.
    """
    mvn = shutil.which("mvn")
    if mvn is None:
        raise UsageError("the jar lock is resolved by mvn, which is not on PATH: install Maven")
    roots = (f"org.apache.kafka:kafka_{SCALA}:{kafka_version}", f"org.slf4j:slf4j-simple:{SLF4J}")
    with tempfile.TemporaryDirectory(prefix="penstock-lock-") as scratch:
        folder = Path(scratch)
        copy_runtime_jars(mvn, roots, folder, as_repository=True)
        jars = sorted((_locked(folder, jar) for jar in folder.rglob("*.jar")), key=lambda jar: jar.file_name)
    return JarLock(kafka_version=kafka_version, roots=roots, jars=tuple(jars))


def _locked(repository: Path, jar: Path) -> LockedJar:
    *group, artifact, version, _ = jar.relative_to(repository).parts
    return LockedJar(
        group=".".join(group), artifact=artifact, version=version, size=jar.stat().st_size, sha512=sha512_of(jar)
    )


def main() -> None:
    """Resolve the version named on the command line and replace the lock file."""
    if len(sys.argv) != 2:
        raise UsageError("give the Kafka version: python -m penstock.embedded.lock_jars 4.3.1")
    locked = lock(sys.argv[1])
    LOCK_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(locked), indent=2) + b"\n")
    sys.stdout.write(f"{LOCK_FILE}: Kafka {locked.kafka_version}, {len(locked.jars)} jars, {locked.size} bytes\n")


if __name__ == "__main__":
    main()

"""The command line that runs a main class of Kafka's, with a class archive where there is one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock.embedded import class_archive
from penstock.embedded.jar_cache import default_cache, jar_folder
from penstock.embedded.jar_lock import load_lock
from penstock.embedded.jar_sources import default_sources
from penstock.embedded.java import Java, find_java

STORAGE_TOOL = "kafka.tools.StorageTool"
KAFKA = "kafka.Kafka"

_FLAGS = (
    "-Xms64m",
    "-XX:+UseSerialGC",
    "-Xss512k",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_SMALL = ("-Xmx256m", "-XX:TieredStopAtLevel=1")  # starts fast and stays near 150 MB
_FAST = ("-Xmx1g",)  # with the optimising compiler: what a benchmark measures
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}  # glibc's arenas per thread would add tens of MB


@dataclass(frozen=True, slots=True)
class Jvm:
    """A Java, the jars, and how it is run.

    Attributes:
        java: which one.
        jars: folder of the class path.
        benchmark: a large heap and the optimising compiler instead of a small and quick start.
    """

    java: Java
    jars: Path
    benchmark: bool = False

    def command(self, main_class: str, arguments: Sequence[str], *, write_archive_to: Path | None = None) -> list[str]:
        """The argument list for one run."""
        # Sorted and explicit: an archive is bound to the exact order of the class path, and a `*` leaves it to the JVM.
        class_path = os.pathsep.join(sorted(str(jar) for jar in self.jars.glob("*.jar")))
        flags = [*_FLAGS, *(_FAST if self.benchmark else _SMALL)]
        if write_archive_to is not None:
            flags.append(f"-XX:ArchiveClassesAtExit={write_archive_to}")
        elif archive := class_archive.find(self.jars.parent, self.java):
            flags.append(f"-XX:SharedArchiveFile={archive}")
        flags += ["-Xlog:disable", "-Xlog:all=error:stderr"]  # what the JVM says about archives helps nobody
        return [str(self.java.executable), *flags, "-cp", class_path, main_class, *arguments]

    def environment(self) -> dict[str, str]:
        """The process environment."""
        return {**os.environ, **_ENVIRONMENT}


def prepare_jvm(*, java: Path | None = None, jars: Path | None = None, benchmark: bool = False) -> Jvm:
    """Find a Java and have the jars on disk; fetches them the first time.

    Args:
        java: the executable to use; None looks for one.
        jars: a folder that has them, asked before all other sources.
        benchmark: see `Jvm`.

    Raises:
        ConfigurationError: `java` cannot be used.
        StartFailed: no Java, or no jars; the message says what was tried.
    """
    found = find_java(java)
    lock = load_lock()
    return Jvm(found, jar_folder(lock, default_sources(lock, jars), default_cache()), benchmark)

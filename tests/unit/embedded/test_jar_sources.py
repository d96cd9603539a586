"""Where jars come from, in which order, and what is said when they do not."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from penstock.embedded.jar_lock import LockedJar, load_lock
from penstock.embedded.jar_sources import (
    DOWNLOAD_THREADS,
    Directory,
    Jgo,
    LocalRepository,
    MavenCommand,
    default_sources,
)

JAR = LockedJar(group="org.x.y", artifact="thing", version="1.2", size=3, sha512="0" * 128)
OTHER = LockedJar(group="org.x.y", artifact="other", version="1.2", size=3, sha512="0" * 128)


class Count:
    """Counts what arrived."""

    def __init__(self) -> None:
        self.jars: list[LockedJar] = []

    def __call__(self, jar: LockedJar) -> None:
        self.jars.append(jar)


def test_the_nearest_source_comes_first(tmp_path: Path) -> None:
    environ = {"KAFKA_HOME": "/opt/kafka", "M2_REPO": "/m2"}

    assert [each.name for each in default_sources(load_lock(), tmp_path, environ)] == [
        f"folder {tmp_path}",
        "/m2",
        "mvn",
        "jgo",
    ]
    assert default_sources(load_lock(), None, environ)[0].name == "KAFKA_HOME/libs"
    assert default_sources(load_lock(), None, {})[0].name.endswith(".m2/repository")


def test_a_local_repository_is_read_by_coordinates(tmp_path: Path) -> None:
    place = tmp_path / "m2/org/x/y/thing/1.2/thing-1.2.jar"
    place.parent.mkdir(parents=True)
    place.write_text("jar")
    arrived = Count()

    said = LocalRepository(tmp_path / "m2").supply([JAR, OTHER], tmp_path, arrived)

    assert (tmp_path / "thing-1.2.jar").read_text() == "jar"
    assert arrived.jars == [JAR]
    assert said == "1 of 2 not there"


def test_a_jar_that_may_not_be_read_is_told_and_looked_for_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a Kafka that another user unpacked. Root, as whom tests often run, may read everything: hence the patch."""
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / JAR.file_name).touch()
    monkeypatch.setattr("os.access", lambda _path, _mode: False)

    said = Directory(tmp_path / "libs", name="libs").supply([JAR, OTHER], tmp_path, Count())

    assert said == "1 of 2 not there, 1 of 2 not readable"
    assert not (tmp_path / JAR.file_name).exists()


def fake_mvn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Put a command `mvn` on PATH, and nothing else that the test needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "mvn").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "mvn").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_mvn_is_run_once_with_the_roots_and_at_runtime_scope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mvn(
        tmp_path,
        monkeypatch,
        f'echo "$@" >> {tmp_path}/arguments; cp jars/mvn/pom.xml {tmp_path}/pom; echo jar > jars/mvn/thing-1.2.jar',
    )
    monkeypatch.chdir(tmp_path)
    Path("jars").mkdir()

    said = MavenCommand(["org.x.y:thing:1.2"]).supply([JAR, OTHER], Path("jars"), Count())

    arguments = (tmp_path / "arguments").read_text()
    assert arguments.count("dependency:copy-dependencies") == 1
    assert "-DincludeScope=runtime" in arguments
    assert "<artifactId>thing</artifactId><version>1.2</version>" in (tmp_path / "pom").read_text()
    assert [path.name for path in Path("jars").iterdir()] == ["thing-1.2.jar"]
    assert said == "1 of 2 not there"


def test_what_mvn_complains_about_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mvn(tmp_path, monkeypatch, "echo '[ERROR] Unknown host'; exit 1")

    assert MavenCommand(["g:a:1"]).supply([JAR], tmp_path, Count()) == "failed: [ERROR] Unknown host"


def test_no_mvn_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert MavenCommand(["g:a:1"]).supply([JAR], tmp_path, Count()) == "not on PATH"


class Repository:
    """A Maven repository, empty at first, and what was asked of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: set[str] = set()

    def asked_for(self, jars: Sequence[LockedJar]) -> list[LockedJar]:
        return [jar for jar in jars if any(f"/{jar.artifact}/" in path for path in self.asked)]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """A repository that jgo takes for the one on the network."""
    there = Repository(tmp_path / "remote")
    there.root.mkdir()

    class Noting(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code: object = "-", size: object = "-") -> None:
            del code, size
            there.asked.add(self.path)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
            pass

    handler = functools.partial(Noting, directory=str(there.root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        url = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setattr("jgo.maven._core.DEFAULT_REMOTE_REPOS", {"central": url})
        yield there
        server.shutdown()
        thread.join()


def test_jgo_fetches_the_locked_coordinates_and_leaves_nothing_else(tmp_path: Path, repository: Repository) -> None:
    place = repository.root / JAR.repository_path
    place.parent.mkdir(parents=True)
    place.write_text("jar")
    jars = tmp_path / "jars"
    jars.mkdir()
    arrived = Count()

    assert Jgo().supply([JAR], jars, arrived) == ""

    assert {path.name: path.read_text() for path in jars.iterdir()} == {"thing-1.2.jar": "jar"}
    assert arrived.jars == [JAR]


@pytest.mark.usefixtures("repository")
def test_what_jgo_does_not_find_is_told(tmp_path: Path) -> None:
    assert "org.x.y:thing:jar:1.2 not found" in Jgo().supply([JAR], tmp_path, Count())


def test_without_a_network_jgo_gives_up_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 9 refuses: the first of 46 failures ends it, the rest are not tried."""
    tried: list[str] = []
    monkeypatch.setattr("jgo.maven._core.DEFAULT_REMOTE_REPOS", {"central": "http://127.0.0.1:9"})
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    wanted = load_lock().jars

    said = Jgo().supply(wanted, tmp_path, lambda jar: tried.append(jar.file_name))

    assert said.startswith("failed: ")
    assert tried == []


def test_after_the_first_that_is_not_there_no_other_jar_is_asked_for(tmp_path: Path, repository: Repository) -> None:
    """Where nothing answers each one would wait for a time-out of its own; those under way come to their end."""
    wanted = load_lock().jars

    assert "not found" in Jgo().supply(wanted, tmp_path, Count())

    assert 1 <= len(repository.asked_for(wanted)) <= DOWNLOAD_THREADS < len(wanted)

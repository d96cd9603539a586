"""One writer at a time, whatever dies, hangs or wakes up: nothing acknowledged is lost, no id is given twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import httpx
import pytest

from penstock.embedded.registry import RegistryServer
from penstock.errors import DuplicateIdentity, ExitCode
from penstock.testing.pytest_plugin import KafkaUnderTest
from tests.broker.registry.raw_log import RawLog

pytestmark = pytest.mark.broker

NewRegistry = Callable[[], RegistryServer]


def text(name: str) -> str:
    return json.dumps({"type": "record", "name": name, "fields": [{"name": "a", "type": "int"}]})


class Registrar:
    """Registers one schema after the other, in a thread of its own, and notes what was acknowledged."""

    def __init__(self, url: str, name: str) -> None:
        self.acknowledged: dict[str, int] = {}
        self.refusals: list[str] = []
        self.attempts = 0
        self._url, self._name, self._over = url, name, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as http:
            while not self._over.is_set():
                self.attempts += 1
                subject = f"{self._name}{self.attempts}"
                try:
                    answer = http.post(f"/subjects/{subject}/versions", json={"schema": text(subject)})
                except httpx.TransportError:
                    self._over.wait(0.05)
                    continue
                if answer.status_code == 200:
                    self.acknowledged[subject] = answer.json()["id"]
                elif answer.status_code < 500:
                    self.refusals.append(answer.text)

    def wait_for(self, count: int) -> None:
        """Until that many more are acknowledged."""
        wanted, deadline = len(self.acknowledged) + count, time.monotonic() + 30
        while len(self.acknowledged) < wanted:
            assert not self.refusals
            assert time.monotonic() < deadline, "nothing is acknowledged any more"
            time.sleep(0.005)


def check(http: httpx.Client, log: RawLog, acknowledged: dict[str, int]) -> None:
    """Every acknowledged schema is there under its id; no id has stood for two schemas at any time."""
    assert acknowledged
    for subject, schema_id in acknowledged.items():
        found = http.get(f"/subjects/{subject}/versions/1").json()
        assert (found.get("id"), found.get("schema")) == (schema_id, text(subject))
    texts: dict[int, set[str]] = {}
    for schema in log.schemas():
        texts.setdefault(schema["id"], set()).add(schema["schema"])
    assert {i: t for i, t in texts.items() if len(t) > 1} == {}


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.full)])
def test_a_registry_killed_in_the_middle_of_registrations_loses_nothing(
    new_registry: NewRegistry, log: RawLog, kills: int
) -> None:
    registry = new_registry()
    with Registrar(registry.url, "one") as one, Registrar(registry.url, "two") as two:
        for _ in range(kills):
            one.wait_for(10)
            registry.kill()
            registry.start()
        two.wait_for(3)
    with httpx.Client(base_url=registry.url) as http:
        check(http, log, one.acknowledged | two.acknowledged)


def test_a_registry_that_hangs_is_superseded_and_leaves_when_it_wakes(new_registry: NewRegistry, log: RawLog) -> None:
    """Stopped with requests in its hands for longer than its session, and woken while the next one is at work."""
    old = new_registry()
    with Registrar(old.url, "old_a") as a, Registrar(old.url, "old_b") as b:
        a.wait_for(10)
        old.stop()
        new = new_registry()
        with Registrar(new.url, "new") as c:
            c.wait_for(10)
            old.cont()
            assert old.wait(20) == ExitCode.DUPLICATE_IDENTITY
            c.wait_for(3)
    assert "taken over" in old.last_log_lines()
    with httpx.Client(base_url=new.url) as http:
        check(http, log, a.acknowledged | b.acknowledged | c.acknowledged)


def test_a_second_registry_is_refused_and_told_who_is_there(
    new_registry: NewRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = new_registry()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(DuplicateIdentity, match=r"penstock-registry\.\S+@\S+:\d+ \(host [\d.]+\).*Use that one"):
        new_registry()
    assert list(tmp_path.iterdir()) == []
    assert httpx.get(f"{first.url}/subjects").json() == []


def test_a_registry_that_was_shut_down_lets_the_next_one_in_at_once(new_registry: NewRegistry) -> None:
    """It has left the group; a killed one keeps its place for the session time-out."""
    new_registry().shutdown()
    assert httpx.get(f"{new_registry().url}/subjects").json() == []


@pytest.mark.full  # the command's own session time-out is 6 s
def test_the_command_refuses_to_be_the_second_one(kafka: KafkaUnderTest, registry: RegistryServer) -> None:
    if kafka.cluster is None:
        pytest.skip("the session's registry keeps its schemas elsewhere than the command does")
    command = [str(Path(sys.executable).with_name("penstock")), "registry", "--port", "0"]
    second = subprocess.run(
        [*command, "--bootstrap-servers", kafka.bootstrap_servers],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == ExitCode.DUPLICATE_IDENTITY
    assert "only one process may write it" in second.stderr
    assert registry.is_alive


def test_a_late_record_of_a_superseded_writer_does_not_count_and_is_put_right(
    new_registry: NewRegistry, log: RawLog
) -> None:
    """It was in flight when its writer was superseded. Readers without claims (Karapace) end with our truth too."""
    first = new_registry()
    httpx.post(f"{first.url}/subjects/s/versions", json={"schema": text("S")}).raise_for_status()
    former = log.claims()[-1].writer
    first.kill()
    second = new_registry()
    late = {"subject": "s", "version": 1, "id": 77, "schema": text("Late"), "deleted": False}
    fresh = {"subject": "late", "version": 1, "id": 78, "schema": text("Late"), "deleted": False}
    log.write(
        (b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}', json.dumps(late).encode()),
        (b'{"keytype":"SCHEMA","subject":"late","version":1,"magic":1}', json.dumps(fresh).encode()),
        (b'{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}', b'{"subject":"s","version":1}'),
        (b'{"keytype":"CONFIG","subject":null,"magic":0}', b'{"subject":null,"compatibilityLevel":"NONE"}'),
        (b'{"keytype":"NOOP","magic":0}', json.dumps({"writer": former, "supersedes": None}).encode()),
        writer=former,
    )
    with httpx.Client(base_url=second.url) as http:
        # an answer to a write: everything before it in the log was read
        assert http.post("/subjects/next/versions", json={"schema": text("Next")}).json()["id"] == 79
        assert http.get("/subjects").json() == ["next", "s"]
        assert http.get("/subjects/s/versions/1").json()["schema"] == text("S")
        assert http.get("/config").json() == {"compatibilityLevel": "BACKWARD"}
    deadline = time.monotonic() + 20
    while (replayed := replay(log)) != {("s", 1): text("S"), ("next", 1): text("Next")}:
        assert time.monotonic() < deadline, replayed
        time.sleep(0.05)
    last = {r.key_bytes: r for r in log.read()}
    assert last[b'{"keytype":"CONFIG","subject":null,"magic":0}'].value is None
    assert last[b'{"keytype":"NOOP","magic":0}'].writer == log.claims()[-1].writer != former


def replay(log: RawLog) -> dict[tuple[str, int], str]:
    """What a reader that knows nothing of claims makes of the log: live versions and their texts."""
    live: dict[tuple[str, int], str] = {}
    for record in log.read():
        subject, version = str(record.key.get("subject")), int(record.key.get("version") or 0)
        match record.key["keytype"]:
            case "SCHEMA":
                live.pop((subject, version), None)
                if record.value and not record.json["deleted"]:
                    live[subject, version] = record.json["schema"]
            case "DELETE_SUBJECT" if record.value:
                up_to = record.json["version"]
                live = {(s, v): t for (s, v), t in live.items() if s != subject or v > up_to}
            case _:
                pass
    return live


OWNER = """
import os, sys
from penstock.embedded.registry import RegistryServer
server = RegistryServer(sys.argv[1], topic=sys.argv[2], session_timeout_s=2)
server.start()
print(server.url, flush=True)
sys.stdin.read()
"""


def test_a_registry_dies_with_the_process_that_started_it(kafka: KafkaUnderTest, schemas_topic: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, kafka.bootstrap_servers, schemas_topic],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    url = owner.stdout.readline().strip()
    assert re.match(r"http://127\.0\.0\.1:\d+$", url)
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            break
        assert time.monotonic() < deadline, "it still answers"
        time.sleep(0.02)

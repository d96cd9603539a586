import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from penstock.embedded.registry import RegistryServer
from penstock.kafka.registry import RegistryClient
from penstock.schemas.codegen import generate
from penstock.schemas.serdes import avro
from penstock.schemas.tree import load_tree, read_folder

pytestmark = pytest.mark.broker

EVENT = {
    "type": "record",
    "name": "Event",
    "namespace": "shop",
    "doc": "Something happened.",
    "penstock.key": None,
    "penstock.time": None,
    "fields": [
        {
            "name": "at",
            "type": {"type": "long", "logicalType": "timestamp-millis"},
            "doc": "When, \u00e0 peu pr\u00e8s.",
        },
        {"name": "place", "type": "shop.Place", "doc": "Where."},
    ],
}
MOMENT = dt.datetime(2013, 1, 1, 10, tzinfo=dt.UTC)
PLACE = {
    "type": "record",
    "name": "Place",
    "namespace": "shop",
    "doc": "Somewhere.",
    "fields": [{"name": "floor", "type": "int", "doc": "Storeys above the ground.", "default": 0}],
}
Penstock = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path, topic_prefix: str) -> Path:
    folder = tmp_path / "schemas" / "shop"
    folder.mkdir(parents=True)
    (folder / "Event.avsc").write_text(json.dumps(EVENT))
    (folder / "Place.avsc").write_text(json.dumps(PLACE))
    (tmp_path / "schemas" / "registry.toml").write_text(
        f'level = "FULL"\n[subjects."{topic_prefix}-value"]\nfile = "shop/Event.avsc"\n'
    )
    (tmp_path / "penstock.toml").write_text('[project]\nname = "test"\n')
    return tmp_path


@pytest.fixture
def penstock(project: Path, registry: RegistryServer) -> Penstock:
    environment = {**os.environ, "PENSTOCK_REGISTRY__URL": registry.url}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from penstock.cli.app import main; main()", "schemas", *arguments]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

    return run


def test_what_is_registered_is_what_the_codec_looks_up(
    project: Path, penstock: Penstock, registry: RegistryServer, topic_prefix: str
) -> None:
    """A producer that may not register finds its schema; a second run of the command changes nothing."""
    dry = penstock("register", "--dry-run", "--json")
    assert [each["action"] for each in json.loads(dry.stdout)] == ["new subject"]

    first, second = (json.loads(penstock("register", "--json").stdout) for _ in range(2))

    assert [each["action"] for each in first] == ["new subject"]
    assert [each["action"] for each in second] == ["unchanged"]
    assert first[0]["id"] == second[0]["id"]
    tree = load_tree(read_folder(project / "schemas"))
    assert "shop/__init__.py" in generate(tree, package="schemas")
    schema = tree.schema_text("shop.Event")
    with closing(RegistryClient(registry.url)) as client:
        codec = avro(schema=schema).bind(topic_prefix, "value", client, auto_register=False)
        [frame] = codec.encode([{"at": MOMENT, "place": {"floor": 3}}])
    assert int.from_bytes(frame[1:5], "big") == first[0]["id"]


def test_check_tells_what_the_registry_would_let_pass_and_what_it_would_refuse(
    project: Path, penstock: Penstock
) -> None:
    assert penstock("check", "--against", "registry").returncode == 0
    assert penstock("register").returncode == 0
    assert penstock("check", "--against", "registry").returncode == 0

    changed = json.loads(json.dumps(EVENT))
    changed["fields"][0]["type"]["logicalType"] = "timestamp-micros"
    changed["fields"].append({"name": "more", "type": "int", "doc": "x"})
    (project / "schemas" / "shop" / "Event.avsc").write_text(json.dumps(changed))
    told = penstock("check", "--against", "registry", "--format", "json")

    assert told.returncode == 1
    rules = {each["rule"] for each in json.loads(told.stdout)["findings"]}
    assert rules == {"LOGICAL_TYPE_SAME", "FIELD_WITHOUT_DEFAULT", "COMPATIBILITY"}


def test_a_registry_that_is_not_there_is_told_as_such(project: Path) -> None:
    environment = {**os.environ, "PENSTOCK_REGISTRY__URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", "from penstock.cli.app import main; main()", "schemas", "register"]

    told = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

    assert told.returncode == 4
    assert "127.0.0.1:9" in told.stderr

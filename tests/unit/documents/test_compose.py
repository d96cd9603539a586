"""docker-compose.yml: by `docker compose config` where that is there, by the published schema everywhere."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped] # only tests read YAML; not worth a package of stubs

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
SCHEMA = Path(__file__).parent / "compose-spec.schema.json"


@pytest.fixture
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return content


def valid(document: dict[str, Any]) -> bool:
    return jsonschema.Draft7Validator(json.loads(SCHEMA.read_text())).is_valid(document)


def test_the_published_schema_accepts_it(compose: dict[str, Any]) -> None:
    assert valid(compose)


def test_the_published_schema_would_refuse_a_misspelt_key(compose: dict[str, Any]) -> None:
    compose["services"]["kafka"]["healtcheck"] = compose["services"]["kafka"].pop("healthcheck")
    assert not valid(compose)


def has_docker_compose() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_docker_compose(), reason="no `docker compose` here; the published schema judges instead")
def test_docker_compose_accepts_it() -> None:
    done = subprocess.run(
        ["docker", "compose", "--file", FILE, "config", "--quiet"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_image_is_pinned(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    assert all(re.search(r":\d+\.\d+\.\d+$", image) for image in images), images


def test_every_port_is_bound_to_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_every_service_says_when_it_is_healthy(compose: dict[str, Any]) -> None:
    assert all("healthcheck" in service for service in compose["services"].values())


def test_volumes_are_named(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])
    ]
    assert mounted
    assert set(mounted) <= compose["volumes"].keys()


def test_kafka_is_the_version_that_is_embedded(compose: dict[str, Any]) -> None:
    lock = json.loads((ROOT / "src/penstock/embedded/kafka-jars.lock.json").read_text())
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{lock['kafka_version']}"

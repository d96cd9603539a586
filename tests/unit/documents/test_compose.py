"""docker-compose.yml: by `docker compose config` where that is there, by the published schema everywhere."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped] # only tests read YAML; not worth a package of stubs

from penstock.config import load
from penstock.dsl.discovery import pipelines
from penstock.supervisor.memory import MIB, memory_budget, require_memory

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
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images), images


def test_every_port_is_bound_to_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_every_service_says_when_it_is_healthy(compose: dict[str, Any]) -> None:
    """Those of our own image by the Dockerfile."""
    foreign = [service for service in compose["services"].values() if "build" not in service]
    assert len(foreign) == 5
    assert all("healthcheck" in service for service in foreign)


def workers(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if "workers" in service.get("profiles", [])}


def test_every_pipeline_has_its_workers(compose: dict[str, Any]) -> None:
    """Each under its own name, with a state directory that outlives the container and is nobody else's."""
    found = workers(compose)
    assert found.keys() == pipelines(ROOT).keys()
    for name, service in found.items():
        assert service["command"] == ["run", name]
        assert service["volumes"] == [f"{name}-state:/var/lib/penstock"]
        assert service["build"] == {"context": ".", "args": {"COMMIT": "${COMMIT:-}"}}
        assert service["image"].endswith(f":{version('penstock')}")


def test_what_workers_are_told_is_configuration(compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable is one of ours, and no more memory is needed than there is."""
    for name in [name for name in os.environ if name.upper().startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)
    for service in workers(compose).values():
        for name, value in service["environment"].items():
            monkeypatch.setenv(name, value)
        config = load(ROOT)
        assert config.kafka.bootstrap_servers == "kafka:29092"
        assert config.processing.instance == "compose"
        assert service["mem_limit"] == "1g"
        budget = memory_budget(config, config.processing.workers, "none")
        # This process is larger than a worker, which was measured with 78 MiB, and its supervisor with 47.
        parts = {**budget.parts, "Python and code": 80 * MIB}
        require_memory(replace(budget, parts=parts, supervisor=50 * MIB), 1 << 30)
        assert int(service["stop_grace_period"].removesuffix("s")) * 1000 > config.processing.shutdown_grace_ms


def test_volumes_are_named(compose: dict[str, Any]) -> None:
    mounted = [
        volume.split(":")[0] for service in compose["services"].values() for volume in service.get("volumes", [])
    ]
    folders = {name for name in mounted if name.startswith("./")}
    assert set(mounted) - folders == compose["volumes"].keys()
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_kafka_is_the_version_that_is_embedded(compose: dict[str, Any]) -> None:
    lock = json.loads((ROOT / "src/penstock/embedded/kafka-jars.lock.json").read_text())
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{lock['kafka_version']}"

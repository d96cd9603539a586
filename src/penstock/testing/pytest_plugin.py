"""Fixtures: a pipeline on a cluster in memory, and a real Kafka.

`driver` starts pipelines on a cluster in memory; see `driver.py`. The others are about a real one: one broker for the
whole session, names of its own for each test.

`kafka` starts a broker the first time a test asks for it, or uses the cluster of `--penstock-kafka=HOST:PORT`.
`registry` is a schema registry on it. `topic_prefix` keeps the tests on it apart. The project's root is put on
`sys.path`, as the command line does.
"""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from penstock.embedded import KafkaCluster
    from penstock.embedded.registry import RegistryServer
    from penstock.testing.driver import Driver

_OPTION = "--penstock-kafka"
_DRIVER = "--penstock-driver"
_PROJECT_FILE = "penstock.toml"
_NAME_PART = 40


@dataclass(frozen=True, slots=True)
class KafkaUnderTest:
    """Where the tests' Kafka is.

    Attributes:
        bootstrap_servers: `host:port`, comma-separated.
        cluster: the embedded one; None for a cluster that was there before.
    """

    bootstrap_servers: str
    cluster: KafkaCluster | None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer `--penstock-kafka` and `--penstock-driver`."""
    parser.getgroup("penstock").addoption(
        _OPTION,
        metavar="HOST:PORT",
        default=None,
        help="use this Kafka instead of starting one; the tests create topics in it and leave them there",
    )
    parser.getgroup("penstock").addoption(
        _DRIVER,
        choices=("memory", "kafka"),
        default="memory",
        help="where the fixture `driver` runs pipelines: on a cluster in memory, or on an embedded Kafka",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the project importable: its folder is the first with a `penstock.toml`, from pytest's root upwards."""
    for folder in (config.rootpath, *config.rootpath.parents):
        if (folder / _PROJECT_FILE).is_file():
            _make_importable(folder)
            return


@pytest.fixture
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    """Starts pipelines on a cluster in memory: `run = driver.start(pipeline)`.

    With `--penstock-driver=kafka` on an embedded Kafka; what that cannot be told to do skips the test.
    """
    from penstock.testing.driver import Driver  # noqa: PLC0415 - as below

    if request.config.getoption(_DRIVER) == "memory":
        driver = Driver(tmp_path)
    else:
        from penstock.testing.kafka_ground import KafkaGround  # noqa: PLC0415 - as below

        kafka: KafkaUnderTest = request.getfixturevalue("kafka")
        if kafka.cluster is None:
            pytest.fail(f"{_DRIVER}=kafka deletes topics, so it takes the embedded Kafka only, not {_OPTION}")
        driver = Driver(tmp_path, ground=lambda _: KafkaGround(kafka.bootstrap_servers, pytest.skip))
    with driver:
        yield driver


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[KafkaUnderTest]:
    """A Kafka for the whole session: one embedded broker, or the cluster of `--penstock-kafka`."""
    external = pytestconfig.getoption(_OPTION)
    if external is not None:
        yield KafkaUnderTest(str(external), cluster=None)
        return
    # Imported here: pytest loads this plugin also for projects that never ask for a broker.
    from penstock.config import load  # noqa: PLC0415
    from penstock.embedded import KafkaCluster  # noqa: PLC0415

    settings = load(pytestconfig.rootpath).embedded
    with KafkaCluster(java=settings.java, jars=settings.jars) as cluster:
        yield KafkaUnderTest(cluster.bootstrap_servers, cluster)


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix that no other test and no earlier run uses; fit for topics, groups and transactional ids.

    Ends in a letter or digit: write `f"{topic_prefix}-flights"`.
    """
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:_NAME_PART].rstrip("-")
    return f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="session")
def registry(kafka: KafkaUnderTest) -> Iterator[RegistryServer]:
    """A schema registry for the whole session, `.url` is where it answers. Keep tests apart by their subjects.

    On a cluster that was there before, its topic has a name of its own.
    """
    from penstock.embedded.registry import RegistryServer  # noqa: PLC0415 - as above

    topic = "_schemas" if kafka.cluster else f"_schemas-{uuid.uuid4().hex[:8]}"
    with RegistryServer(kafka.bootstrap_servers, topic=topic) as server:
        yield server


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

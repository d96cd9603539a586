"""What can be configured. The docstring under a key is its text in the reference and in the JSON schema."""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from penstock.config.environment import DELIMITER, PREFIX, EnvironmentSource
from penstock.config.options import ClientOptions, OptionValue
from penstock.errors import ConfigurationError

NAME = r"[a-z][a-z0-9-]{0,62}"
INSTANCE = r"[a-z0-9][a-z0-9-]{0,62}"
"""Of an instance's name; host names fit, and begin with a digit at times."""


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _plain(value: object) -> object:
    if not isinstance(value, str | int | bool):
        raise ValueError("should be a string, a whole number, true or false")  # noqa: TRY004 - as above
    return value


def _servers(value: str) -> str:
    for server in value.split(","):
        host, colon, port = server.strip().rpartition(":")
        if not (host and colon and port.isdecimal() and int(port) <= 65535):
            raise ValueError("should be HOST:PORT, or several of them separated by commas")
    return value


def _url(value: str) -> str:
    if not re.match(r"https?://[^/\s]", value):
        raise ValueError("should start with http:// or https://")
    if "@" in value.split("/")[2]:
        raise ValueError("must not carry credentials: set registry.username and registry.password")
    return value.rstrip("/")


def _instance(value: str) -> str:
    if not re.fullmatch(INSTANCE, value):
        raise ValueError("should be lower-case letters, digits and dashes, no dash first, 63 at most")
    return value


NotBool = BeforeValidator(_not_bool)
Count = Annotated[int, Field(ge=1), NotBool]
Options = Annotated[dict[str, Annotated[OptionValue, BeforeValidator(_plain)]], AfterValidator(ClientOptions)]


class Section(BaseModel):
    """A table of `penstock.toml`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True, validate_default=True
    )


class ProjectSettings(Section):
    """The project itself and where its parts are."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """Name of the project: lower-case letters, digits and dashes. It names the topic that holds producers' cursors."""
    prefix: Annotated[str, Field(pattern=f"^({NAME})?$")] = ""
    """Put before the name of every group, internal and dead-letter topic, so that projects can share a cluster."""
    producers: Path = Path("producers")
    """Folder of the producers, relative to `penstock.toml`."""
    processors: Path = Path("processors")
    """Folder of the pipelines, relative to `penstock.toml`."""
    schemas: Path = Path("schemas")
    """Folder of the `.avsc` files and the types generated from them, relative to `penstock.toml`."""

    def prefixed(self, name: str) -> str:
        """The name of one of our own groups or topics on the cluster."""
        return f"{self.prefix}.{name}" if self.prefix else name


class KafkaSettings(Section):
    """The Kafka cluster. librdkafka's options pass through verbatim, with quoted names."""

    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = "localhost:9092"
    """Brokers to start from, as `host:port,host:port`."""
    client: Options = {}
    """librdkafka options for every client, such as `"security.protocol"` or `"sasl.password"`."""
    producer: Options = {}
    """librdkafka options for producers, over those of `client`."""
    consumer: Options = {}
    """librdkafka options for consumers, over those of `client`."""
    admin: Options = {}
    """librdkafka options for admin clients, over those of `client`."""


class RegistrySettings(Section):
    """The schema registry."""

    url: Annotated[str, AfterValidator(_url)] = "http://localhost:8081"
    """Where the schema registry answers."""
    username: str | None = None
    """User for HTTP basic authentication."""
    password: SecretStr | None = None
    """Password for HTTP basic authentication; better set as `PENSTOCK_REGISTRY__PASSWORD`."""
    ca_file: Path | None = None
    """Certificates (PEM) to trust for an `https://` registry instead of the system's, relative to `penstock.toml`."""
    auto_register: bool = False
    """Register schemas at first use. True in the profile `dev`; elsewhere `penstock schemas register` does it."""


class PublishingSettings(Section):
    """How producers cut their records into transactions."""

    commit_interval_ms: Count = 250
    """A transaction is committed when it is this old: what readers wait for at most."""
    max_transaction_records: Count = 50_000
    """A transaction is committed at the latest when it holds this many records."""
    transaction_timeout_ms: Annotated[int, Field(ge=1_000, le=900_000), NotBool] = 60_000
    """After this time the broker aborts a transaction that its producer left open."""
    transaction_budget_ms: Annotated[int, Field(ge=500), NotBool] = 45_000
    """Time a transaction may take, retries included, before it is given up; below `transaction_timeout_ms`."""


class ProcessingSettings(Section):
    """How pipelines run, and how they cut their work into batches and transactions."""

    workers: Count | None = None
    """Worker processes of `penstock run`, started again when they die; none = one, in the command's own process."""
    instance: Annotated[str, AfterValidator(_instance)] | None = None
    """Tells the places apart where a pipeline runs, and stays over restarts: a pod's name, a machine's. None = drawn
    once and kept in the state directory."""
    max_deaths_per_minute: Count | None = None
    """Deaths of workers in a minute; one more is a crash loop, and ends the command. None = 4, and one for each."""
    shutdown_grace_ms: Count = 30_000
    """Time that workers have to commit and leave after a signal, before they are killed."""
    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """What readers of the outputs see. `at_least_once`, for pipelines without state: records are visible at once and
    not only with their transaction, and after a crash some of them a second time."""
    commit_interval_ms: Count = 100
    """A transaction is committed when it is this old: what readers wait for at most."""
    max_transaction_records: Count = 50_000
    """A transaction is committed at the latest when it holds this many input records; a safety bound."""
    max_transaction_bytes: Count = 67_108_864
    """A transaction is committed at the latest when outputs, dead letters and changed state come to this many bytes."""
    max_batch_records: Count = 1_000
    """Records that are processed together at most."""
    max_batch_ms: Count = 1_000
    """About how long a batch may take: slow code gets fewer records at once."""
    slow_batch_ms: Count = 10_000
    """A batch that takes longer is told in the log while it is at work, with the line of code it is in."""
    hung_after_ms: Annotated[int, Field(ge=0), NotBool] = 120_000
    """Code that takes longer for a batch does not come back: its process ends, and is started again. 0 = never."""
    transaction_timeout_ms: Annotated[int, Field(ge=1_000, le=900_000), NotBool] = 60_000
    """After this time the broker aborts a transaction that its worker left open."""
    transaction_budget_ms: Annotated[int, Field(ge=500), NotBool] = 45_000
    """Time a transaction may take, retries included, before it is discarded; below `transaction_timeout_ms`."""
    group_protocol: Literal["classic", "consumer"] = "classic"
    """How workers share partitions: `classic`, or `consumer` for KIP-848, where the brokers assign them."""
    session_timeout_ms: Annotated[int, Field(ge=1_000, le=1_800_000), NotBool] = 10_000
    """A worker that is silent this long is taken for dead, and its tasks go to others. Only with `classic`."""
    static_membership: bool = False
    """Whether a worker that restarts within the session time-out gets its partitions back and nobody else notices."""


class ParkingSettings(Section):
    """How many records of one input of a task wait for others of their key; what exceeds it is waited for in front."""

    max_keys: Count = 10_000
    """Keys that are parked at the same time."""
    max_records_per_key: Count = 10_000
    """Records of one key."""
    max_bytes_per_key: Count = 67_108_864
    """Values and headers of the records of one key."""
    max_bytes: Count = 268_435_456
    """The same of all keys together: they are part of the state, and so in memory."""


class StateSettings(Section):
    """What is kept on this machine."""

    directory: Path = Path(".penstock")
    """Folder for identities, locks and checkpoints, relative to `penstock.toml`; readable by its owner only."""
    checkpoint_interval_ms: Count = 30_000
    """State is written to disk this often, so that the next start reads only the rest from its changelog."""

    def create(self) -> Path:
        """Make the folder, private to its owner, and return it.

        Raises:
            ConfigurationError: it cannot be made, or is one that everybody writes to.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = self.directory.stat().st_mode
            if mode & stat.S_ISVTX:  # /tmp and its like, which must stay open
                raise ConfigurationError(
                    f"state.directory: {self.directory} is everybody's; name a folder of its own inside of it"
                )
            if mode & 0o077:
                with contextlib.suppress(PermissionError):  # a volume that another user owns; `doctor` tells it
                    self.directory.chmod(0o700)
        except OSError as err:
            raise ConfigurationError(
                f"state.directory: {self.directory} cannot be made: {err.strerror}; name another folder in "
                "penstock.toml or PENSTOCK_STATE__DIRECTORY"
            ) from err
        return self.directory


class MonitoringSettings(Section):
    """Metrics and health of workers over HTTP."""

    host: str = "127.0.0.1"
    """The address that workers and supervisors answer on; `0.0.0.0` in a container."""
    port: Annotated[int, Field(ge=0, le=65_535), NotBool] | None = None
    """The port of a worker, or of the supervisor of several, which take the ports behind it. 0 = free ones; where they
    are stands in the state directory. None = nothing is counted and nothing answers."""
    cluster: Annotated[str, Field(min_length=1)] = "kafka"
    """Name of the cluster in metrics: the same for workers and for the lag exporter."""
    commit: Annotated[str, Field(max_length=100)] = ""
    """The commit or release of the project that runs: a label of metrics; a new one is drawn as a deploy."""
    objective_time_lag_ms: Count | None = 60_000
    """A time lag above this hurts users: what the alerts on freshness measure against. None = no objective."""


class EmbeddedSettings(Section):
    """Kafka on this machine, for development, tests and the demo."""

    java: Path | None = None
    """The `java` command, or a JDK's home; else `JAVA_HOME`, `java` on PATH, or the one of `penstock[embedded]`."""
    jars: Path | None = None
    """A folder with Kafka's jars; else they are fetched once and kept."""


class LoggingSettings(Section):
    """Log records on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is shown."""
    format: Literal["text", "json"] = "text"
    """`text` for people, `json` for one object a line."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a configuration came from.

    Attributes:
        root: folder of `penstock.toml`; the current folder where there is none.
        file: the `penstock.toml`; None where there is none.
        profile: the profile in force.
        origins: {path: file and line, or variable} of what is not a default.
    """

    root: Path
    file: Path | None = None
    profile: str = "dev"
    origins: Mapping[tuple[str, ...], str] = field(default_factory=dict[tuple[str, ...], str])


class Config(BaseSettings):
    """The configuration of a project: checked, frozen, secrets starred in every repr."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        title="penstock.toml",
    )

    project: ProjectSettings
    kafka: KafkaSettings = KafkaSettings()
    registry: RegistrySettings = RegistrySettings()
    publishing: PublishingSettings = PublishingSettings()
    processing: ProcessingSettings = ProcessingSettings()
    parking: ParkingSettings = ParkingSettings()
    state: StateSettings = StateSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    logging: LoggingSettings = LoggingSettings()

    _source: Source = PrivateAttr(default_factory=lambda: Source(Path.cwd()))

    @property
    def root(self) -> Path:
        """Folder of `penstock.toml`; the current folder where there is none."""
        return self._source.root

    @property
    def file(self) -> Path | None:
        """The `penstock.toml` that was read; None where there is none."""
        return self._source.file

    @property
    def profile(self) -> str:
        """The profile in force."""
        return self._source.profile

    @property
    def is_production(self) -> bool:
        """Whether what may lose data is an error instead of a warning: in every profile but `dev`."""
        return self._source.profile != "dev"

    def origin(self, path: tuple[str, ...]) -> str:
        """Where a value came from: a file and line, a variable, or `default`."""
        return self._source.origins.get(path, "default")

    def placed(self, source: Source) -> Config:
        """The same values with their origins, relative folders made absolute from the root."""
        root = source.root
        sections = {
            name: section.model_copy(
                update={key: root / path.expanduser() for key, path in section if isinstance(path, Path)}
            )
            for name, section in self
        }
        placed = self.model_copy(update=sections)
        placed._source = source  # noqa: SLF001 - another instance of this very class
        return placed

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings passes all of them
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, then what `load` merged from the file: neither `.env` nor secret folders are read."""
        return EnvironmentSource(settings_cls), init_settings


def sections() -> dict[str, type[Section]]:
    """{name: model} of the tables of `penstock.toml`, in their order."""
    return {name: cast("type[Section]", info.annotation) for name, info in Config.model_fields.items()}

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.config import Config, load
from penstock.config.environment import variable
from penstock.config.model import sections
from penstock.errors import ConfigurationError, ExitCode

WriteToml = Callable[[str], Path]

VALID: dict[tuple[str, str], str] = {
    ("project", "name"): "river",
    ("project", "prefix"): "team",
    ("project", "producers"): "p",
    ("project", "processors"): "q",
    ("project", "schemas"): "s",
    ("kafka", "bootstrap_servers"): "kafka-1:9092,kafka-2:9092",
    ("kafka", "client"): '{"security.protocol": "SSL"}',
    ("kafka", "producer"): '{"linger.ms": 5}',
    ("kafka", "consumer"): '{"fetch.min.bytes": 1}',
    ("kafka", "admin"): "{}",
    ("registry", "url"): "https://registry:8081",
    ("registry", "username"): "ada",
    ("registry", "password"): "secret",
    ("registry", "ca_file"): "registry-ca.pem",
    ("registry", "auto_register"): "false",
    ("publishing", "commit_interval_ms"): "100",
    ("publishing", "max_transaction_records"): "10",
    ("publishing", "transaction_timeout_ms"): "30000",
    ("publishing", "transaction_budget_ms"): "20000",
    ("processing", "workers"): "4",
    ("processing", "instance"): "7f3a-worker-0",
    ("processing", "max_deaths_per_minute"): "12",
    ("processing", "guarantee"): "at_least_once",
    ("processing", "commit_interval_ms"): "50",
    ("processing", "max_transaction_records"): "9",
    ("processing", "max_transaction_bytes"): "100",
    ("processing", "shutdown_grace_ms"): "14",
    ("processing", "max_batch_ms"): "12",
    ("processing", "slow_batch_ms"): "13",
    ("processing", "hung_after_ms"): "15",
    ("processing", "max_batch_records"): "3",
    ("processing", "transaction_timeout_ms"): "30000",
    ("processing", "transaction_budget_ms"): "20000",
    ("processing", "group_protocol"): "classic",
    ("processing", "session_timeout_ms"): "6000",
    ("processing", "static_membership"): "true",
    ("parking", "max_keys"): "16",
    ("parking", "max_records_per_key"): "17",
    ("parking", "max_bytes_per_key"): "18",
    ("parking", "max_bytes"): "19",
    ("state", "directory"): "state",
    ("state", "checkpoint_interval_ms"): "5000",
    ("monitoring", "host"): "192.0.2.1",
    ("monitoring", "port"): "9460",
    ("monitoring", "cluster"): "rivers",
    ("monitoring", "commit"): "c0ffee",
    ("monitoring", "objective_time_lag_ms"): "5000",
    ("embedded", "java"): "/opt/java",
    ("embedded", "jars"): "/opt/kafka/libs",
    ("logging", "level"): "debug",
    ("logging", "format"): "json",
}


def problems(profile: str | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(profile=profile)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    _, *lines = str(caught.value).splitlines()
    return [line.strip() for line in lines]


def test_without_a_file_the_defaults_apply(folder: Path) -> None:
    config = load()
    assert config.file is None
    assert config.root == folder
    assert config.kafka.bootstrap_servers == "localhost:9092"
    assert config.state.directory == folder / ".penstock"
    assert config.registry.auto_register
    assert config.origin(("project", "name")) == "default"


def test_the_file_is_found_from_a_folder_below_it(write_toml: WriteToml, folder: Path) -> None:
    file = write_toml('[project]\nname = "river"')
    below = folder / "producers" / "deep"
    below.mkdir(parents=True)
    config = load(below)
    assert (config.file, config.root) == (file, folder)
    assert config.project.producers == folder / "producers"


def test_environment_wins_over_profile_over_file_over_default(
    write_toml: WriteToml, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_toml("""
        [project]
        name = "river"
        [publishing]
        commit_interval_ms = 2
        max_transaction_records = 2
        transaction_budget_ms = 20_000
        [profiles.dev.publishing]
        commit_interval_ms = 3
        max_transaction_records = 3
    """)
    monkeypatch.setenv("PENSTOCK_PUBLISHING__COMMIT_INTERVAL_MS", "4")
    config = load()
    publishing = config.publishing
    assert publishing.commit_interval_ms == 4
    assert publishing.max_transaction_records == 3
    assert publishing.transaction_budget_ms == 20_000
    assert publishing.transaction_timeout_ms == 60_000
    assert config.origin(("publishing", "commit_interval_ms")) == "environment PENSTOCK_PUBLISHING__COMMIT_INTERVAL_MS"
    assert config.origin(("publishing", "max_transaction_records")) == "penstock.toml:10"
    assert config.origin(("publishing", "transaction_budget_ms")) == "penstock.toml:7"
    assert config.origin(("publishing", "transaction_timeout_ms")) == "default"


def test_the_profile_comes_from_the_argument_then_the_environment(
    write_toml: WriteToml, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_toml('[project]\nname = "river"\n[profiles.staging.logging]\nlevel = "error"')
    monkeypatch.setenv("PENSTOCK_PROFILE", "staging")
    assert load().logging.level == "error"
    assert load(profile="prod").logging.level == "info"


def test_schemas_register_themselves_in_dev_only(write_toml: WriteToml) -> None:
    write_toml('[project]\nname = "river"\n[profiles.staging]')
    registers = {profile: load(profile=profile).registry.auto_register for profile in ("dev", "prod", "staging")}
    assert registers == {"dev": True, "prod": False, "staging": False}
    strict = {profile: load(profile=profile).is_production for profile in ("dev", "prod", "staging")}
    assert strict == {"dev": False, "prod": True, "staging": True}


def test_the_file_can_switch_registration_off_in_dev(write_toml: WriteToml) -> None:
    write_toml('[project]\nname = "river"\n[registry]\nauto_register = false')
    assert not load().registry.auto_register


def test_all_problems_come_at_once_with_their_places(write_toml: WriteToml, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml("""
[project]
name = "River"
[kafka]
bootstrap_server = "localhost:9092"
[kafka.client]
"sasl.mechanism" = 1.5
[publishing]
commit_interval_ms = 0
max_transaction_records = true
[profiles.prod.registri]
url = "http://localhost"
[profiles.dev]
commit_interval_ms = 3
""")
    monkeypatch.setenv("PENSTOCK_LOGGING__LEVEL", "loud")
    monkeypatch.setenv("PENSTOCK_KAFKA__BOOTSTRAP_SERVER", "x:1")
    assert problems() == [
        "penstock.toml:5: kafka.bootstrap_server: unknown key; did you mean bootstrap_servers?",
        "penstock.toml:11: profiles.prod.registri: unknown key; did you mean registry?",
        "penstock.toml:14: profiles.dev.commit_interval_ms: unknown key; did you mean publishing.commit_interval_ms?",
        (
            "environment PENSTOCK_KAFKA__BOOTSTRAP_SERVER: unknown variable; "
            "did you mean PENSTOCK_KAFKA__BOOTSTRAP_SERVERS?"
        ),
        (
            "penstock.toml:3: project.name: should be lower-case letters, digits and dashes, a letter first, "
            "63 at most, got 'River'"
        ),
        'penstock.toml:7: kafka.client."sasl.mechanism": should be a string, a whole number, true or false',
        "penstock.toml:9: publishing.commit_interval_ms: should be greater than or equal to 1, got 0",
        "penstock.toml:10: publishing.max_transaction_records: should be a number, not true or false, got True",
        (
            "environment PENSTOCK_LOGGING__LEVEL: logging.level: should be 'debug', 'info', 'warning' or 'error', "
            "got 'loud'"
        ),
    ]


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[kafka]", "penstock.toml: project.name: is missing"),
        ("[project]\nname = 'a'\n[zzz]", "penstock.toml:3: zzz: unknown key; known are project, kafka"),
        ("[project]\nname = 'a'\n[profiles]\ndev = 1", "penstock.toml:4: profiles.dev: should be a table"),
        ("profiles = 1\n[project]\nname = 'a'", "penstock.toml:1: profiles: should be a table"),
        ("kafka = 3\n[project]\nname = 'a'", "penstock.toml:1: kafka: should be a table"),
        ("[project]\nname = 'a'\n[kafka]\nbootstrap_servers = 'kafka'", "should be HOST:PORT"),
        ("[project]\nname = 'a'\n[kafka]\nbootstrap_servers = 'kafka:70000'", "should be HOST:PORT"),
        ("[project]\nname = 'a'\n[registry]\nurl = 'localhost:8081'", "should start with http"),
        ("[project]\nname = 'a'\n[registry]\nurl = 'http://me:pw@localhost'", "must not carry credentials"),
        (
            "[project]\nname = 'a'\n[processing]\ninstance = 'Pod.7'",
            "penstock.toml:4: processing.instance: should be lower-case letters, digits and dashes, no dash first",
        ),
        (
            "[project]\nname = 'a'\n[publishing]\ntransaction_timeout_ms = 30000",
            (
                "penstock.toml:4: publishing.transaction_budget_ms: 45000 must be less than "
                "publishing.transaction_timeout_ms (30000)"
            ),
        ),
        (
            "[project]\nname = 'a'\n[processing]\ntransaction_budget_ms = 70_000",
            (
                "penstock.toml:4: processing.transaction_budget_ms: 70000 must be less than "
                "processing.transaction_timeout_ms (60000)"
            ),
        ),
        (
            "[project]\nname = 'a'\n[processing]\ngroup_protocol = 'consumer'\nsession_timeout_ms = 6_000",
            (
                'penstock.toml:5: processing.session_timeout_ms: holds for group_protocol "classic" only; with '
                '"consumer" it is group.consumer.session.timeout.ms on the brokers'
            ),
        ),
    ],
)
def test_a_problem_names_its_place_and_what_to_do(write_toml: WriteToml, toml: str, problem: str) -> None:
    write_toml(toml)
    (found,) = problems()
    assert problem in found


def test_a_profile_that_is_nowhere_is_refused_with_the_nearest(write_toml: WriteToml) -> None:
    write_toml('[project]\nname = "river"\n[profiles.staging]')
    assert problems("stagin") == ["profile 'stagin' does not exist; did you mean staging?"]


def test_a_file_that_is_no_toml_is_named(write_toml: WriteToml) -> None:
    file = write_toml("[project\n")
    with pytest.raises(ConfigurationError, match=r"penstock\.toml: not valid TOML: .*line 1") as caught:
        load()
    assert str(file) in str(caught.value)


def test_a_file_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "penstock.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load()


def test_every_key_has_a_variable_that_sets_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table names every key of the model, and each variable arrives under its own name."""
    assert {(section, key) for section, model in sections().items() for key in model.model_fields} == VALID.keys()
    for path, value in VALID.items():
        monkeypatch.setenv(variable(path), value)
    config = load()
    assert {path: config.origin(path) for path in VALID if path[0] != "kafka"} == {
        path: f"environment {variable(path)}" for path in VALID if path[0] != "kafka"
    }
    assert config.kafka.client == {"security.protocol": "SSL"}
    assert config.registry.password is not None
    assert config.registry.password.get_secret_value() == "secret"
    assert config.state.directory == folder / "state"
    assert config.project.prefixed("dlq.flights") == "team.dlq.flights"


def test_a_librdkafka_option_can_be_a_variable(write_toml: WriteToml, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dots become underscores, and the option of the file is replaced, not doubled."""
    write_toml('[project]\nname = "river"\n[kafka.client]\n"sasl.username" = "file"\n"client.rack" = "a"')
    monkeypatch.setenv("PENSTOCK_KAFKA__CLIENT__SASL_USERNAME", "environment")
    config = load()
    assert config.kafka.client == {"sasl.username": "environment", "client.rack": "a"}
    assert config.origin(("kafka", "client", "sasl.username")) == "environment PENSTOCK_KAFKA__CLIENT__SASL_USERNAME"


def test_a_variable_that_is_no_json_is_one_problem_among_others(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.exists()
    monkeypatch.setenv("PENSTOCK_KAFKA__CLIENT", "{nonsense")
    monkeypatch.setenv("PENSTOCK_LOGGING__FORMAT", "xml")
    assert problems() == [
        "environment PENSTOCK_KAFKA__CLIENT: kafka.client: should be a table",
        "environment PENSTOCK_LOGGING__FORMAT: logging.format: should be 'text' or 'json', got 'xml'",
    ]


def test_what_was_loaded_cannot_be_changed(folder: Path) -> None:
    assert folder.exists()
    config = load()
    with pytest.raises(ValueError, match="frozen"):
        config.kafka.bootstrap_servers = "other:1"


def test_the_state_folder_is_made_private(folder: Path) -> None:
    (folder / ".penstock").mkdir(mode=0o755)
    directory = load().state.create()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_folder_that_everybody_writes_to_is_not_taken_for_state(write_toml: WriteToml, folder: Path) -> None:
    """Made private, /tmp would be of no use to anybody else."""
    (folder / "open").mkdir()
    (folder / "open").chmod(0o1777)
    write_toml('[project]\nname = "river"\n[state]\ndirectory = "open"')
    with pytest.raises(ConfigurationError, match=r"state\.directory: .*open is everybody's"):
        load().state.create()
    assert stat.S_IMODE((folder / "open").stat().st_mode) == 0o1777


def test_a_state_folder_that_cannot_be_made_is_a_matter_of_configuration(write_toml: WriteToml, folder: Path) -> None:
    (folder / "file").touch()
    write_toml('[project]\nname = "river"\n[state]\ndirectory = "file/state"')
    with pytest.raises(ConfigurationError, match=r"state\.directory: .*file/state cannot be made: Not a directory"):
        load().state.create()


def test_a_config_made_by_hand_has_no_file() -> None:
    config = Config.model_validate({"project": {"name": "river"}})
    assert config.file is None
    assert config.profile == "dev"

from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.config import ClientOptions, load
from penstock.config.options import is_secret, refusals
from penstock.errors import ConfigurationError

WriteToml = Callable[[str], Path]


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("enable.auto.commit", True, "inside the transaction"),
        ("enable.auto.offset.store", True, "inside the transaction"),
        ("isolation.level", "read_uncommitted", "aborted transactions"),
        ("enable.idempotence", False, "duplicates"),
        ("acks", "1", "duplicates"),
        ("request.required.acks", 1, "duplicates"),
        ("transactional.id", "mine", "derived from the name"),
        ("group.id", "mine", "lineage of state"),
        ("auto.offset.reset", "earliest", "must stop the task"),
        ("allow.auto.create.topics", True, "misspelt topic"),
        ("max.in.flight", 6, "at most 5, got 6"),
        ("max.in.flight.requests.per.connection", "6", "at most 5, got 6"),
        ("transaction.timeout.ms", 1000, "publishing.transaction_timeout_ms"),
        ("bootstrap.servers", "x:1", "kafka.bootstrap_servers"),
        ("partitioner", "random", "murmur2"),
        ("retry.backoff.ms", 100, "sent twice"),
        ("group.protocol", "consumer", "processing.group_protocol"),
        ("group.instance.id", "mine", "processing.static_membership"),
        ("session.timeout.ms", 6000, "processing.session_timeout_ms"),
        ("heartbeat.interval.ms", 600, "processing.session_timeout_ms"),
        ("partition.assignment.strategy", "range", "follows from the pipeline"),
        ("group.remote.assignor", "uniform", "follows from the pipeline"),
    ],
)
def test_an_option_that_breaks_the_guarantee_is_refused_with_the_reason(
    write_toml: WriteToml, option: str, value: object, reason: str
) -> None:
    written = str(value).lower() if isinstance(value, bool) else repr(value)
    write_toml(f'[project]\nname = "river"\n[kafka.client]\n"{option}" = {written}')
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert f'penstock.toml:4: kafka.client."{option}": ' in str(caught.value) or "." not in option
    assert reason in str(caught.value)


@pytest.mark.parametrize("table", ["client", "producer"])
@pytest.mark.parametrize("option", ["message.timeout.ms", "delivery.timeout.ms", "socket.timeout.ms"])
def test_a_client_time_out_above_the_transactions_names_both(write_toml: WriteToml, table: str, option: str) -> None:
    write_toml(f'[project]\nname = "river"\n[kafka.{table}]\n"{option}" = 60001')
    with pytest.raises(ConfigurationError, match=rf'"{option}": 60001 is more than .*transaction_timeout_ms \(60000\)'):
        load()
    write_toml(f'[project]\nname = "river"\n[kafka.{table}]\n"{option}" = 60000')
    load()


def test_a_client_that_produces_nothing_may_wait_longer(write_toml: WriteToml) -> None:
    write_toml('[project]\nname = "river"\n[kafka.consumer]\n"socket.timeout.ms" = 300000')
    assert load().kafka.consumer == {"socket.timeout.ms": 300_000}


def test_other_options_pass_verbatim(write_toml: WriteToml) -> None:
    write_toml("""
        [project]
        name = "river"
        [kafka.client]
        "security.protocol" = "SASL_SSL"
        "socket.keepalive.enable" = true
        "max.in.flight" = 5
    """)
    assert load().kafka.client == {
        "security.protocol": "SASL_SSL",
        "socket.keepalive.enable": True,
        "max.in.flight": 5,
    }


def test_a_number_that_is_none_is_left_to_librdkafka() -> None:
    assert list(refusals({"max.in.flight": "many"}, {"publishing": 60_000})) == []


@pytest.mark.parametrize(
    "option",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "basic.auth.user.info",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.jaas.config",
        "SASL.PASSWORD",
    ],
)
def test_a_secret_option_is_starred(option: str) -> None:
    assert is_secret(option)
    assert "hunter2" not in repr(ClientOptions({option: "hunter2"}))
    assert "hunter2" not in f"{ClientOptions({option: 'hunter2'})}"


@pytest.mark.parametrize(
    "option", ["sasl.username", "ssl.ca.location", "sasl.oauthbearer.token.endpoint.url", "ssl.certificate.pem"]
)
def test_what_is_no_secret_is_shown(option: str) -> None:
    assert "hunter2" in repr(ClientOptions({option: "hunter2"}))


def test_credentials_in_a_url_are_starred() -> None:
    shown = repr(ClientOptions({"sasl.oauthbearer.token.endpoint.url": "https://me:hunter2@idp/token"}))
    assert "hunter2" not in shown
    assert "idp/token" in shown

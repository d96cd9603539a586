from collections.abc import Callable
from typing import Any

import pytest

from penstock.config import ClientOptions
from penstock.errors import ConfigurationError
from penstock.kafka.admin import Admin
from penstock.kafka.client import Connection
from penstock.kafka.reader import Reader
from penstock.kafka.transactional_producer import KafkaTransactionalProducer

CLIENTS: list[Callable[[Connection], Any]] = [
    Admin,
    Reader,
    lambda connection: KafkaTransactionalProducer(connection, "levels", 60_000, 1_000_000),
]


@pytest.mark.parametrize("make", CLIENTS)
def test_an_option_that_librdkafka_does_not_know_is_a_configuration_error(make: Callable[[Connection], Any]) -> None:
    connection = Connection("127.0.0.1:1", client=ClientOptions({"sasl.passphrase": "hunter2"}))
    with pytest.raises(ConfigurationError, match=r'No such configuration property: "sasl\.passphrase"') as caught:
        make(connection)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(connection)

"""The registry where production has it: behind TLS with a private CA, a password, and a proxy that may be down."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, create_connection, socket
from time import monotonic, sleep

import pytest

from penstock.embedded.registry import RegistryServer
from penstock.errors import ConfigurationError, PenstockError, RegistryUnavailable
from penstock.kafka.registry import RegistryClient

pytestmark = pytest.mark.servers

SCHEMA = '{"type":"record","name":"Behind","namespace":"nginx","fields":[{"name":"n","type":"int"}]}'
SELF_SIGNED = (
    "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
)
USER, SECRET = "penstock", "the-registry-password"


@dataclass(frozen=True)
class Proxy:
    url: str
    ca_file: Path
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with closing(socket(AF_INET, SOCK_STREAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def proxy(program: Callable[[str], str], registry: RegistryServer, tmp_path: Path) -> Iterator[Proxy]:
    """Nginx in front of the session's registry, with a certificate of its own and one user."""
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    subprocess.run(
        [program("openssl"), *SELF_SIGNED.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    hashed = subprocess.run(
        [program("openssl"), "passwd", "-apr1", SECRET], check=True, capture_output=True, text=True
    ).stdout.strip()
    users = tmp_path / "users"
    users.write_text(f"penstock:{hashed}\n")
    users.chmod(0o644)
    tmp_path.chmod(0o755)
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"""
        daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log; worker_processes 1; user root;
        events {{ worker_connections 64; }}
        http {{
          access_log off;
          client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
          fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
          server {{
            listen 127.0.0.1:{port} ssl;
            ssl_certificate {certificate}; ssl_certificate_key {key};
            auth_basic "registry"; auth_basic_user_file {users};
            location / {{ proxy_pass {registry.url}; }}
          }}
        }}
        """
    )
    process = subprocess.Popen([program("nginx"), "-c", str(config), "-p", str(tmp_path)])
    deadline = monotonic() + 20
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert monotonic() < deadline, (tmp_path / "error.log").read_text()
            sleep(0.05)
    yield Proxy(f"https://localhost:{port}", certificate, process)
    process.terminate()
    process.wait(timeout=10)


@contextmanager
def client(proxy: Proxy, *, password: str = SECRET, trusting: bool = True) -> Generator[RegistryClient]:
    made = RegistryClient(proxy.url, username=USER, password=password, ca_file=proxy.ca_file if trusting else None)
    with closing(made):
        yield made


def test_a_registry_behind_tls_and_a_password_is_used_like_any_other(proxy: Proxy, topic_prefix: str) -> None:
    with client(proxy) as registry:
        registered = registry.register(f"{topic_prefix}-value", SCHEMA)
        assert registry.by_id(registered.id) is not None
        assert registry.versions(f"{topic_prefix}-value") == [1]


def test_a_wrong_password_is_a_configuration_error_that_does_not_tell_it(proxy: Proxy, topic_prefix: str) -> None:
    with client(proxy, password=SECRET[::-1]) as registry, pytest.raises(ConfigurationError) as caught:
        registry.register(f"{topic_prefix}-value", SCHEMA)
    assert SECRET[::-1] not in str(caught.value)


def test_a_certificate_that_is_not_trusted_is_never_a_missing_schema(proxy: Proxy) -> None:
    with client(proxy, trusting=False) as registry, pytest.raises(PenstockError):
        registry.by_id(1)


def test_a_proxy_that_goes_away_is_an_outage_and_no_bad_record(proxy: Proxy) -> None:
    with client(proxy) as registry:
        proxy.process.terminate()
        proxy.process.wait(timeout=10)
        with pytest.raises(RegistryUnavailable):
            registry.by_id(1)

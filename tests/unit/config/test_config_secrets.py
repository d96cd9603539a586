"""A secret stands in every place that can hold one, and must not come out anywhere."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.config import Config, load
from penstock.config.show import settings

WriteToml = Callable[[str], Path]

SECRET = "hunter2@do-not-show"  # noqa: S105 - the point of the test

GOOD = f"""
[project]
name = "river"
[registry]
password = "{SECRET}"
[kafka.client]
"sasl.password" = "{SECRET}"
"ssl.key.password" = "{SECRET}"
"ssl.key.pem" = "{SECRET}"
"basic.auth.user.info" = "me:{SECRET}"
"sasl.oauthbearer.client.secret" = "{SECRET}"
"sasl.oauthbearer.token.endpoint.url" = "https://me:{SECRET}@idp/token"
[kafka.producer]
"sasl.password" = "{SECRET}"
[kafka.consumer]
"sasl.password" = "{SECRET}"
[kafka.admin]
"sasl.password" = "{SECRET}"
"""

BAD = f"""
password = "{SECRET}"
[project]
name = "river"
[registry]
url = "http://me:{SECRET}@localhost"
passwrd = "{SECRET}"
password = ["{SECRET}"]
username = ["{SECRET}"]
[kafka]
producer = "{SECRET}"
[kafka.client]
"sasl.password" = ["{SECRET}"]
"ssl.key.password" = {{ inner = "{SECRET}" }}
"group.id" = "{SECRET}"
[profiles.prod.registry]
passwort = "{SECRET}"
"""


def gives_away(text: str) -> bool:
    """Whether a part of the secret stands in it: in a URL, an @ ends what is easily taken for all of it."""
    return any(part in text for part in SECRET.split("@"))


def penstock(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from penstock.cli.app import main; main()", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_no_secret_is_in_a_repr(write_toml: WriteToml) -> None:
    write_toml(GOOD)
    config = load()
    assert not gives_away(f"{config} {config!r} {config.kafka} {config.registry!r} {list(settings(config))}")
    assert config.kafka.client["sasl.password"] == SECRET


@pytest.mark.parametrize("arguments", [["config", "show"], ["config", "show", "--json"]])
def test_no_secret_is_shown(write_toml: WriteToml, folder: Path, arguments: list[str]) -> None:
    write_toml(GOOD)
    code, output = penstock(folder, "--debug", *arguments)
    assert code == 0
    assert not gives_away(output)
    assert output.count("**********") == 10


def test_no_secret_is_in_an_error_or_its_traceback(write_toml: WriteToml, folder: Path) -> None:
    write_toml(BAD)
    code, output = penstock(
        folder,
        "--debug",
        "config",
        "show",
        PENSTOCK_REGISTRY__PASSWRD=SECRET,
        PENSTOCK_KAFKA__CLIENT=f'{{"sasl.password": "{SECRET}',
        PENSTOCK_KAFKA__ADMIN=SECRET,
        PENSTOCK_KAFKA__CONSUMER__GROUP_ID=SECRET,
    )
    assert code == 3
    assert "Traceback" in output
    assert "11 problems" in output
    assert not gives_away(output)


def test_no_secret_is_in_the_error_of_a_config_made_by_hand() -> None:
    values = {"project": {"name": "river"}, "registry": {"password": [SECRET]}, "kafka": SECRET}
    with pytest.raises(ValueError, match="2 validation errors") as caught:
        Config.model_validate(values)
    assert not gives_away(str(caught.value))


def test_no_secret_is_in_the_error_of_a_broken_file(write_toml: WriteToml, folder: Path) -> None:
    write_toml(f'[registry]\npassword = "{SECRET}\n')
    code, output = penstock(folder, "--debug", "config", "show")
    assert code == 3
    assert "not valid TOML" in output
    assert not gives_away(output)

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from penstock.config.schema import json_schema

ROOT = Path(__file__).parents[3]


def check(toml: str) -> None:
    document: dict[str, Any] = tomllib.loads(toml)
    jsonschema.validate(document, json_schema(), cls=jsonschema.Draft202012Validator)


def test_the_schema_is_a_valid_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_the_schema_accepts_the_projects_own_file() -> None:
    check((ROOT / "penstock.toml").read_text())


@pytest.mark.parametrize(
    "toml",
    [
        '[project]\nname = "River"',
        '[project]\nname = "river"\n[kafka]\nbootstrap_server = "x:1"',
        '[project]\nname = "river"\n[profiles.prod.kafka]\nbootstrap_server = "x:1"',
        '[project]\nname = "river"\n[publishing]\ncommit_interval_ms = 0',
        "[kafka]",
    ],
)
def test_the_schema_refuses_what_loading_refuses(toml: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        check(toml)


def test_a_profile_needs_to_repeat_nothing() -> None:
    check('[project]\nname = "river"\n[profiles.prod.project]\nprefix = "live"')

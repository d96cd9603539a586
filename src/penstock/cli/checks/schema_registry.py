"""The schema registry: does it answer, does it take new schemas."""

from __future__ import annotations

from penstock.cli.checks.finding import Finding, bad, good, warning
from penstock.config import Config
from penstock.errors import PenstockError, RegistryUnavailable
from penstock.kafka.registry import RegistryClient

START = "start one (`penstock kafka up --registry`), or mend registry.url; topics without Avro need none"


def registry(config: Config) -> Finding:
    """The registry as a whole."""
    client = RegistryClient.of(config.registry)
    try:
        found = client.about()
    except RegistryUnavailable as err:
        return bad("schema registry", str(err), START)
    except PenstockError as err:
        return bad("schema registry", str(err), "mend [registry] in penstock.toml")
    finally:
        client.close()
    subjects = "1 subject" if found.subjects == 1 else f"{found.subjects} subjects"
    told = f"{found.url}, {subjects}, compatibility {found.level}, mode {found.mode}"
    if found.mode != "READWRITE":
        return warning("schema registry", told, "no schema can be registered until its mode is READWRITE")
    if found.level == "NONE":
        return warning("schema registry", told, "nothing keeps a schema from breaking its readers; set a level")
    return good("schema registry", told)

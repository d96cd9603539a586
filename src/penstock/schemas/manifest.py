"""`schemas/registry.toml`: which schema stands under which subject, and how far its versions may differ."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from penstock.errors import ConfigurationError
from penstock.schemas.compatibility import Level
from penstock.schemas.report import Finding

MANIFEST: Final = "registry.toml"
EXAMPLE: Final = '[subjects."orders-value"]\nfile = "orders/Order.avsc"'


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One subject.

    Attributes:
        file: its schema, relative to the folder of the schemas.
        level: how far versions may differ; None for the manifest's own.
        owner: who answers for it; for people only.
    """

    file: str
    level: Level | None = None
    owner: str = ""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All subjects.

    Attributes:
        level: for subjects that do not say.
        subjects: {subject: what is under it}.
    """

    level: Level = Level.BACKWARD
    subjects: dict[str, Subject] = {}

    def level_of(self, subject: str) -> Level:
        """How far versions of a subject may differ."""
        return self.subjects[subject].level or self.level

    def level_of_file(self, file: str) -> Level:
        """The same for a file: its first subject's, and the manifest's own for a file without one."""
        levels = (self.level_of(name) for name, subject in self.subjects.items() if subject.file == file)
        return next(levels, self.level)

    def require_subjects(self) -> Manifest:
        """This manifest, for those who need subjects.

        Raises:
            ConfigurationError: it names none.
        """
        if not self.subjects:
            raise ConfigurationError(f"no subjects: name them in {MANIFEST} beside the schemas, for example\n{EXAMPLE}")
        return self

    def missing_files(self, known: set[str]) -> list[Finding]:
        """Subjects whose file is not there."""
        return [
            Finding(
                file=MANIFEST, path=f"subjects.{name}", rule="SUBJECT_FILE", message=f"{subject.file}: no such file"
            )
            for name, subject in sorted(self.subjects.items())
            if subject.file not in known
        ]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder of schemas; an empty one where there is none.

    Raises:
        ConfigurationError: not TOML, or a key or level that does not exist.
    """
    path = folder / MANIFEST
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Manifest)
    except FileNotFoundError:
        return Manifest()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as err:
        raise ConfigurationError(f"{path}: {err}") from err

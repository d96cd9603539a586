"""Findings of `penstock schemas lint` and `check`, and the four ways to print them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final
from xml.etree import ElementTree as ET


class Severity(StrEnum):
    """How bad a finding is. Both kinds make a command fail; a warning is what a schema may keep on purpose."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Finding:
    """One rule broken at one place.

    Attributes:
        file: the file or subject, as a person would open it.
        line: 1-based.
        path: JSON path in the file, `$` for the file as a whole.
        rule: the rule's code.
        severity: how bad it is.
        message: what is wrong and what to do about it.
    """

    file: str
    line: int = 1
    path: str = "$"
    rule: str
    severity: Severity = Severity.ERROR
    message: str


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    JUNIT = "junit"


def render(findings: Sequence[Finding], checked: Sequence[str], form: Format, *, suite: str) -> str:
    """The report on `checked` files, ordered by file and line; no newline at the end, empty where there is nothing.

    Args:
        findings: what was found.
        checked: every file or subject that was looked at, the clean ones included.
        form: text for people, JSON for scripts, workflow commands for GitHub, JUnit XML for CI servers.
        suite: name of the run, for JUnit.
    """
    return _RENDERERS[form](sorted(findings), checked, suite)


def _text(findings: Sequence[Finding], checked: Sequence[str], _suite: str) -> str:
    lines = [f"{f.file}:{f.line}: {f.severity}: {f.message} [{f.rule}] at {f.path}" for f in findings]
    return "\n".join([*lines, f"{_count(findings, 'finding')} in {_count(checked, 'schema')}"])


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things) or 'no'} {noun}{'' if len(things) == 1 else 's'}"


def _json(findings: Sequence[Finding], checked: Sequence[str], _suite: str) -> str:
    return json.dumps({"checked": sorted(checked), "findings": [asdict(f) for f in findings]}, indent=2)


def _github(findings: Sequence[Finding], _checked: Sequence[str], _suite: str) -> str:
    return "\n".join(
        f"::{f.severity} file={_property(f.file)},line={f.line},title={_property(f.rule)}"
        f"::{_escape(f'{f.message} (at {f.path})')}"
        for f in findings
    )


def _escape(text: str) -> str:
    # The runner's own encoding of workflow commands: actions/toolkit, packages/core/src/command.ts.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _junit(findings: Sequence[Finding], checked: Sequence[str], suite: str) -> str:
    by_file: dict[str, list[Finding]] = {name: [] for name in sorted(checked)}
    for finding in findings:
        by_file.setdefault(finding.file, []).append(finding)
    counts = {"tests": str(len(by_file)), "failures": str(sum(map(bool, by_file.values()))), "errors": "0"}
    root = ET.Element("testsuites", counts)
    inner = ET.SubElement(root, "testsuite", {"name": suite, **counts})
    for name, found in by_file.items():
        case = ET.SubElement(inner, "testcase", {"classname": suite, "name": _xml(name), "file": _xml(name)})
        if found:
            # One failure per case: readers of this format, Jenkins among them, drop a second.
            told = "\n".join(f"{_xml(name)}:{f.line}: {_xml(f.message)} [{f.rule}] at {_xml(f.path)}" for f in found)
            head = {"type": found[0].rule, "message": _xml(found[0].message)}
            ET.SubElement(case, "failure", head).text = told
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


_NOT_XML: Final = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def _xml(text: str) -> str:
    """The text without what XML 1.0 cannot hold at all, not even escaped."""
    return _NOT_XML.sub("\ufffd", text)


_RENDERERS: Final[dict[Format, Callable[[Sequence[Finding], Sequence[str], str], str]]] = {
    Format.TEXT: _text,
    Format.JSON: _json,
    Format.GITHUB: _github,
    Format.JUNIT: _junit,
}

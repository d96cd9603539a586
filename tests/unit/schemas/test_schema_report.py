import json
import xml.etree.ElementTree as ET

import pytest

from penstock.schemas.places import line_index, line_of
from penstock.schemas.report import Finding, Format, Severity, render

FILES = ["schemas/a/A.avsc", "schemas/b/B.avsc", "schemas/c/C.avsc"]
FINDINGS = [
    Finding(file=FILES[1], line=7, path="$.fields[2]", rule="FIELD_DOC", message="no doc & <none>\nreally"),
    Finding(file=FILES[1], line=3, rule="RECURSIVE_TYPE", severity=Severity.WARNING, message="100 %, see: there"),
    Finding(file=FILES[0], line=9, rule="NAME", message="\x00\ud800 is no name"),
]


def test_text_is_one_line_per_finding_that_editors_can_open_and_a_count() -> None:
    lines = render(FINDINGS[1:2], FILES, Format.TEXT, suite="lint").splitlines()

    assert lines == [
        "schemas/b/B.avsc:3: warning: 100 %, see: there [RECURSIVE_TYPE] at $",
        "1 finding in 3 schemas",
    ]
    assert render([], FILES[:1], Format.TEXT, suite="lint") == "no findings in 1 schema"


def test_json_holds_every_attribute_in_the_order_of_files_and_lines() -> None:
    told = json.loads(render(FINDINGS, FILES, Format.JSON, suite="lint"))

    assert told["checked"] == FILES
    assert [(each["file"], each["line"]) for each in told["findings"]] == [(FILES[0], 9), (FILES[1], 3), (FILES[1], 7)]
    assert told["findings"][1] == {
        "file": "schemas/b/B.avsc",
        "line": 3,
        "path": "$",
        "rule": "RECURSIVE_TYPE",
        "severity": "warning",
        "message": "100 %, see: there",
    }


def test_github_gets_workflow_commands_with_its_own_escapes() -> None:
    """A newline or a percent sign in a message would otherwise end the command or change it."""
    lines = render(FINDINGS, FILES, Format.GITHUB, suite="lint").split("\n")

    assert lines[1:] == [
        "::warning file=schemas/b/B.avsc,line=3,title=RECURSIVE_TYPE::100 %25, see: there (at $)",
        "::error file=schemas/b/B.avsc,line=7,title=FIELD_DOC::no doc & <none>%0Areally (at $.fields[2])",
    ]
    odd = Finding(file="a,b:c%.avsc", rule="NAME", message="x")
    assert render([odd], FILES, Format.GITHUB, suite="lint").startswith("::error file=a%2Cb%3Ac%25.avsc,line=1,")
    assert render([], FILES, Format.GITHUB, suite="lint") == ""


def junit() -> ET.Element:
    text = render(FINDINGS, FILES, Format.JUNIT, suite="penstock schemas lint")
    return ET.fromstring(text.encode())  # noqa: S314 - our own output


def test_junit_is_xml_with_a_case_per_file_and_a_failure_per_case_with_findings() -> None:
    root = junit()

    [suite] = root.findall("testsuite")
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors")} == {
        "name": "penstock schemas lint",
        "tests": "3",
        "failures": "2",
        "errors": "0",
    }
    assert [case.get("name") for case in suite.findall("testcase")] == FILES
    assert [len(case.findall("failure")) for case in suite.findall("testcase")] == [1, 1, 0]
    failure = suite.findall("testcase")[1].find("failure")
    assert failure is not None
    assert failure.text is not None
    assert "schemas/b/B.avsc:7: no doc & <none>\nreally [FIELD_DOC] at $.fields[2]" in failure.text


def test_junit_survives_characters_that_xml_cannot_hold() -> None:
    root = junit()

    assert "\ufffd\ufffd is no name" in (root.findtext(".//failure") or "")


TEXT = """{
  "a": [1, {"b": "x, {y}: \\"z\\" ["},

    [],
    null],
  "odd key.": {
    "c": true}
}"""


@pytest.mark.parametrize(
    ("path", "line"),
    [("$", 1), ("$.a", 2), ("$.a[0]", 2), ("$.a[1].b", 2), ("$.a[2]", 4), ("$.a[3]", 5), ('$["odd key."].c', 7)],
)
def test_every_value_of_a_json_text_has_its_line(path: str, line: int) -> None:
    assert line_index(TEXT)[path] == line


@pytest.mark.parametrize(("path", "line"), [("$.a[3].deep.er[7]", 5), ("$.nowhere", 1), ("nonsense", 1)])
def test_a_path_that_is_not_there_has_the_line_of_what_is_around_it(path: str, line: int) -> None:
    assert line_of(line_index(TEXT), path) == line

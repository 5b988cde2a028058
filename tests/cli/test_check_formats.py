"""The formats of ``check``: text, JSON, annotations of GitHub Actions, and SARIF."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from support.commands import EXAMPLES, fits_terminal, run_here
from support.sarif import locate, validate

from spanforge.model_registry._cli.check_findings import CheckFinding
from spanforge.model_registry._cli.lint_rules import ALL_RULES
from spanforge.model_registry._cli.sarif import make_sarif

KEYS = ["rule", "severity", "file", "line", "column", "entry", "model_id", "field", "message", "fix"]


def check(capsys: pytest.CaptureFixture[str], form: str) -> str:
    """Return the output of ``check`` for the example with faults."""
    printed = run_here(capsys, "check", "broken.yaml", "--format", form)
    assert (printed.code, printed.err) == (1, "")
    return printed.out


@pytest.fixture(autouse=True)
def _in_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)


def test_json_has_all_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the keys of each finding, all files, and the counts; the text shows the same facts."""
    result = json.loads(check(capsys, "json"))
    assert list(result) == ["files", "findings", "summary"]
    assert result["files"] == [{"file": "broken.yaml", "entries": 3}]
    assert list(result["summary"]) == ["error", "warning", "note"]
    assert sum(result["summary"].values()) == len(result["findings"]) > 5
    text = check(capsys, "text")
    joined = " ".join(text.split())
    for finding in result["findings"]:
        assert list(finding) == KEYS
        place = f"broken.yaml:{finding['line']}:{finding['column']}"
        assert f"{place}: {finding['severity']} {finding['rule']} in model '{finding['model_id']}'" in joined
        assert f"{finding['message']} fix: {finding['fix']}" in joined
    assert fits_terminal(text)
    assert text.splitlines()[-1] == "1 file, 3 entries: 3 errors, 4 warnings, 2 notes"


def test_annotations_for_github(capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding is one workflow command."""
    *lines, last = check(capsys, "github").splitlines()
    assert len(lines) == len(json.loads(check(capsys, "json"))["findings"])
    pattern = r"::(error|warning|notice) file=broken\.yaml,line=\d+,col=\d+,title=[a-z-]+ in broken\.yaml::model 'A?.*"
    assert all(re.fullmatch(pattern, line) for line in lines)
    assert lines[0].endswith("::model 'acme-chat-1': purpose is missing%0Afix: Add purpose.")
    assert last.startswith("1 file, 3 entries: ")


def test_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    """The log is valid, has all rules, and each result has its rule, place and fingerprint."""
    log = json.loads(check(capsys, "sarif"))
    validate(log)
    (run,) = log["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [rule.name for rule in ALL_RULES]
    assert [locate(result) for result in run["results"]] == [
        ("broken.yaml", finding["line"], finding["column"]) for finding in json.loads(check(capsys, "json"))["findings"]
    ]


def test_code_quality_of_gitlab(capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding is an issue with the members that GitLab reads."""
    issues = json.loads(check(capsys, "gitlab"))
    findings = json.loads(check(capsys, "json"))["findings"]
    assert [
        (issue["check_name"], issue["location"]["path"], issue["location"]["lines"]["begin"]) for issue in issues
    ] == [(finding["rule"], "broken.yaml", finding["line"]) for finding in findings]
    assert list(issues[0]) == ["description", "check_name", "fingerprint", "severity", "location"]
    assert {issue["severity"] for issue in issues} == {"major", "minor", "info"}
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)


def test_fingerprints_do_not_depend_on_lines() -> None:
    """A finding has the same fingerprint after lines were added before it; two equal ones have two."""
    one = CheckFinding(ALL_RULES[3], "a.yaml", 1, 1, 0, "m", "owner", "message.", "fix")
    prints = [
        [result["partialFingerprints"] for result in make_sarif(findings)["runs"][0]["results"]]
        for findings in ([one, one], [one._replace(line=9, number=4, message="other")] * 2)
    ]
    assert prints[0] == prints[1]
    assert prints[0][0] != prints[0][1]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("a b/ü%.yaml", "a%20b/%C3%BC%25.yaml"),
        (str(EXAMPLES / "x.yaml"), "x.yaml"),
        ("./x.yaml", "x.yaml"),
        ("sub/../x:y.yaml", "x%3Ay.yaml"),
    ],
)
def test_addresses_of_files(path: str, uri: str) -> None:
    """The address of a file below the current folder is relative to it."""
    log = make_sarif([CheckFinding(ALL_RULES[0], path, 1, 1, None, None, None, "m.", "f")])
    assert locate(log["runs"][0]["results"][0])[0] == uri


def test_address_of_a_file_elsewhere() -> None:
    """The address of any other file is absolute."""
    log = make_sarif([CheckFinding(ALL_RULES[0], "../x y.yaml", None, None, None, None, None, "m.", "f")])
    uri = urlsplit(locate(log["runs"][0]["results"][0])[0])
    assert (uri.scheme, Path(url2pathname(uri.path))) == ("file", EXAMPLES.parent / "x y.yaml")

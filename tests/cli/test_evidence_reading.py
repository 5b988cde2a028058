"""``evidence verify``, ``evidence show`` and ``evidence frameworks``: verdicts, reports, and hostile packages."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from support.commands import EXAMPLES, Printed, copy_examples, fits_terminal, run_here
from support.packages import SignedCase

from spanforge.model_registry._cli import package_reading
from spanforge.model_registry._cli.app import run
from spanforge.model_registry._cli.evidence_verify import find_hint
from spanforge.model_registry.compliance import load_framework, verify_package
from spanforge.model_registry.compliance._frameworks.fields import SHIPPED_IDS
from spanforge.model_registry.compliance._frameworks.shipped import list_shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ``october.zip``, its folder ``october``, and the key pairs ``signer`` and ``other``."""
    folder = copy_examples(tmp_path_factory.mktemp("evidence"))
    paths = [
        str(folder / name) for name in ("models.yaml", "media.yaml", "telemetry.jsonl", "signer.pem", "october.zip")
    ]
    models, media, telemetry, key, package = paths
    with contextlib.redirect_stdout(io.StringIO()):
        for name in ("signer", "other"):
            assert run(["evidence", "keygen", "--output", str(folder / name)]) == 0
        options = ["--month", "2026-10", "--framework", "soc2", "--file", models, "--file", media]
        options += ["--telemetry", telemetry, "--key", key, "--output", package, "--source-revision", "4f2a9c1"]
        assert run(["evidence", "make", *options]) == 1
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder / "october")
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of this folder, as the current folder."""
    folder = shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_a_verified_package(capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict comes first, and then the result, the key, the period, the findings, and what is not proved."""
    printed = run_here(capsys, "evidence", "verify", "october.zip", "--key", "other.pub.pem", "--key", "signer.pub.pem")
    report = verify_package("october.zip", ["signer.pub.pem"])
    assert (printed.code, printed.err) == (0, "")
    assert fits_terminal(printed.out)
    for text in (
        "VERIFIED: october.zip is what this key signed.\n  result      findings\n  signed by   signer.pub.pem\n",
        f"key id      {report.keyid}",
        "framework   SOC 2: AICPA",
        "period      from 2026-10-01 00:00:00 UTC until 2026-11-01 00:00:00 UTC",
        "nobody else confirms this time",
        "commit      4f2a9c1",
        f"zip sha256  {report.archive_sha256}",
        "- no_calls_after_retirement: 2 of 52 calls of registered models break the",
        "CC6.1   findings  Logical access",
        "- Spans that a sampler drops in the application",
        "Verification does not prove\n  - that the telemetry",
    ):
        assert text in printed.out


@pytest.mark.usefixtures("folder")
def test_the_verdict_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON is a list: for each package the verdict, and the report with the attestation or the reason."""
    printed = run_here(
        capsys, "evidence", "verify", "october.zip", "models.yaml", "--key", "signer.pub.pem", "--format", "json"
    )
    verified, refused = json.loads(printed.out)
    report = verify_package("october.zip", ["signer.pub.pem"])
    assert printed.code == 1
    assert sorted(verified) == ["attestation", "not_proved", "package", "report", "verified"]
    assert verified["verified"] is True
    assert verified["report"]["keyid"] == report.keyid
    assert verified["report"]["digests"] == dict(report.digests)
    assert verified["attestation"]["overall_status"] == "findings"
    reason = "is neither a folder nor a zip"
    assert refused == {"package": "models.yaml", "verified": False, "reason": reason, "hint": None}


@pytest.mark.parametrize(
    ("options", "code", "problem"),
    [
        (("--require-supported",), 1, "result      findings"),
        (("--expect", "period=2026-10", "--expect", "framework=soc2", "--expect", "model=all"), 0, "VERIFIED: "),
        (("--expect", "period=2026-10-01..2026-11-01", "--expect", "after=2026-10-01"), 0, "VERIFIED: "),
        (("--expect", "period=2026-Q4"), 1, "fault  is not the expected package: the period is"),
        (("--expect", "framework=nist_ai_rmf"), 1, "the framework is 'soc2' instead of"),
        (("--expect", "model=acme-chat-2"), 1, "the model is null instead of 'acme-chat-2'"),
        (("--expect", "after=2100-01-01"), 1, "NOT VERIFIED: october.zip"),
        (("--expect", "month=2026-10"), 2, "--expect must be FACT=VALUE, and a fact is one of period, framework"),
        (("--expect", "period"), 2, "--expect must be FACT=VALUE"),
        (("--expect", "period=x"), 2, "--expect period must be a month (2026-10), a quarter"),
        (("--expect", "after=x"), 2, "--expect after must be an RFC 3339 date"),
        (("--key", "none.pem"), 2, "none.pem: cannot be read: No such file or directory"),
        (("--key", "signer.pem"), 2, "signer.pem: is a private key; pass the public key"),
        (("none.zip",), 2, "none.zip: no such file or folder"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_expectations_and_wrong_usage(
    options: tuple[str, ...], code: int, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package without the expected facts ends with 1, and wrong usage with 2 and without a verdict."""
    printed = run_here(capsys, "evidence", "verify", "october.zip", "--key", "signer.pub.pem", *options)
    assert printed.code == code
    assert problem in (printed.err if code == 2 else printed.out)
    assert (printed.out == "") == (code == 2)


def change_file(folder: Path) -> None:
    (folder / "evidence.csv").write_text("model_id\n")


def drop_signature(folder: Path) -> None:
    (folder / "signature.dsse.json").unlink()


def drop_file(folder: Path) -> None:
    (folder / "registry.json").unlink()


def add_file(folder: Path) -> None:
    (folder / "report.pdf").write_text("")


@pytest.mark.parametrize(
    ("change", "fault", "hint"),
    [
        (change_file, "evidence.csv is not the file that was signed", "The file was changed after the package was"),
        (drop_signature, "is unsigned", "Nothing shows who made it."),
        (drop_file, "registry.json is missing", "The package is not complete."),
        (add_file, "unexpected file 'report.pdf'", "Unpack the original package into an empty folder"),
    ],
)
def test_a_package_that_is_not_verified(
    change: Callable[[Path], None], fault: str, hint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict has the first fault and a hint, the exit code is 1, and no content is shown."""
    change(folder / "october")
    printed = run_here(capsys, "evidence", "verify", "october", "--key", "signer.pub.pem")
    assert printed.code == 1
    assert printed.out.startswith(f"NOT VERIFIED: october\n  fault  {fault}")
    assert f"\n  hint   {hint}" in printed.out
    assert "findings" not in printed.out


@pytest.mark.usefixtures("folder")
def test_an_untrusted_key(capsys: pytest.CaptureFixture[str]) -> None:
    """A package of another signer is not verified; without a key, no verdict is possible."""
    printed = run_here(capsys, "evidence", "verify", "october.zip", "--key", "other.pub.pem")
    assert printed.code == 1
    assert "fault  is signed by an untrusted key" in printed.out
    assert "hint   Pass the organisation's public key with --key." in printed.out
    assert run_here(capsys, "evidence", "verify", "october.zip").code == 2


def test_innocent_changes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with files of file managers, and a zip of it by another program, are verified, with notes."""
    (folder / "october" / ".DS_Store").write_bytes(b"\0")
    with zipfile.ZipFile("again.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((folder / "october").iterdir()):
            archive.write(path, f"october/{path.name}")
    printed = run_here(capsys, "evidence", "verify", "october", "again.zip", "--key", "signer.pub.pem")
    assert printed.code == 0
    assert printed.out.count("VERIFIED: ") == 2
    assert printed.out.count("ignored files that file managers add") == 2
    assert "another program made this zip" in printed.out


def test_a_verified_attestation_of_another_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A package with an unknown attestation can be verified; the facts of its report are shown, and the reason."""
    case = SignedCase(tmp_path, Ed25519PrivateKey.generate())
    printed = run_here(capsys, "evidence", "verify", case.zip, "--key", case.public)
    assert printed.code == 0
    assert "result      supported" in printed.out
    assert "attestation.json is not of the format that this version reads" in printed.out
    shown = run_here(capsys, "evidence", "show", case.zip, "--key", case.public)
    assert (shown.code, shown.out) == (2, "")
    assert "attestation.json is not of the format that this version reads" in shown.err


def test_what_show_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a key, the first line says that nothing was verified. Then come clauses, checks, examples and lists."""
    printed = run_here(capsys, "evidence", "show", "october.zip")
    assert (printed.code, printed.err) == (0, "")
    assert fits_terminal(printed.out)
    assert printed.out.startswith("NOT VERIFIED: october.zip is shown as it is; pass --key to verify it.\n")
    shown = " ".join(printed.out.split())
    for text in (
        "commit 4f2a9c1",
        "no_calls_past_provider_shutdown not_applicable",
        "2026-10-22 14:00:00 UTC 99c3d606141ff83531fa51b346b596e0 7d8c7c4ad44b4bda",
        "CC6.1: who may call a model, with which credentials",
        f"{hashlib.sha256((folder / 'models.yaml').read_bytes()).hexdigest()} models.yaml",
        "2026-10-20 acme-image-1 retired in time",
        "openai/acme-draft-3 1",
        "acme-chat-1-2025-05-01 acme-chat-1 glob 3",
        "acme-plan-1 (not registered) support-bot 1",
        "acme-image-2 active medium media-team 0",
    ):
        assert text in shown


@pytest.mark.usefixtures("folder")
def test_show_with_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    """With a key, a verified package is shown as such, and no part of any other one."""
    verified = run_here(capsys, "evidence", "show", "october.zip", "--key", "signer.pub.pem")
    assert verified.out.startswith("VERIFIED: october.zip is what this key signed.\n")
    refused = run_here(capsys, "evidence", "show", "october.zip", "--key", "other.pub.pem")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("NOT VERIFIED: october.zip: is signed by an untrusted key")


@pytest.mark.usefixtures("folder")
def test_show_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    """``--check`` shows the rule, the figures and the examples of one check; an unknown one is an error."""
    printed = run_here(capsys, "evidence", "show", "october.zip", "--check", "no_calls_after_retirement")
    assert "\nno_calls_after_retirement\n  result      findings\n  rule        No model was called" in printed.out
    finding = "- 2: model acme-image-1, service website (unknown sender), owner media-team, called while it was retired"
    assert finding in " ".join(printed.out.split())
    assert printed.out.count(" UTC  ") == 2
    assert "calls_registered" not in printed.out
    unknown = run_here(capsys, "evidence", "show", "october.zip", "--check", "x")
    assert (unknown.code, unknown.out) == (2, "")
    assert "--check x: no such check; the package has calls_registered, " in unknown.err


def test_show_as_json_and_markdown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has the attestation, the rows of the CSV and the digests. Markdown has all that the text has."""
    shown = json.loads(run_here(capsys, "evidence", "show", "october", "--format", "json").out)
    assert sorted(shown) == ["attestation", "files", "inventory", "package", "verification"]
    assert shown["verification"] is None
    assert shown["attestation"] == json.loads((folder / "october" / "attestation.json").read_bytes())
    assert [row["calls"] for row in shown["inventory"]] == ["31", "8", "5", "5", "0", "3", "2", "1"]
    assert shown["files"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((folder / "october").iterdir())
    }
    arguments = ("evidence", "show", "october", "--key", "signer.pub.pem", "--check", "accountable", "--format", "json")
    check = json.loads(run_here(capsys, *arguments).out)
    assert sorted(check) == ["check", "findings", "package", "verification"]
    assert sum(each["occurrences"] for each in check["findings"]) == check["check"]["exceptions"]
    assert (check["check"]["exceptions"], check["verification"]["key"]) == (2, "signer.pub.pem")
    markdown = run_here(capsys, "evidence", "show", "october", "--format", "markdown").out
    assert markdown.startswith("NOT VERIFIED: october is shown as it is; pass --key to verify it.\n\n|")
    assert "\n## Models\n\n| model | status | tier | owner | calls | sender |\n| --- |" in markdown


def test_a_file_that_is_no_package(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no package, and one that cannot be found, are one line, and the exit code is 2."""
    (folder / "empty").mkdir()
    for path, problem in (
        ("models.yaml", "is neither a folder nor a zip"),
        ("empty", "is not an evidence package: it has no attestation.json"),
        ("none", "no such file or folder"),
    ):
        assert run_here(capsys, "evidence", "show", path) == (2, "", f"spanforge-models: {path}: {problem}\n")


def test_large_packages(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A table shows its first rows, called models before others. An attestation beyond the limit is refused."""
    monkeypatch.setattr(package_reading, "MAX_INVENTORY", 2_000)
    header, *_ = (folder / "october" / "evidence.csv").read_text().splitlines()
    rows = [f"model-{number},,,,,,,{number // 2_998}" for number in range(3_000)]
    (folder / "october" / "evidence.csv").write_text("\n".join([header, "last,,,,,,,7", *rows]))
    printed = run_here(capsys, "evidence", "show", "october").out.splitlines()
    assert printed[-501].split() == ["last", "7"]
    assert printed[-1] == "  and 1,500 more, which --format json lists"
    assert (
        len(json.loads(run_here(capsys, "evidence", "show", "october", "--format", "json").out)["inventory"]) == 2_000
    )
    monkeypatch.setattr(package_reading, "MAX_ATTESTATION", 100)
    line = "spanforge-models: october: attestation.json is larger than 100 bytes\n"
    assert run_here(capsys, "evidence", "show", "october") == (2, "", line)


def test_frameworks(capsys: pytest.CaptureFixture[str]) -> None:
    """Each framework has its name and its clauses."""
    printed = run_here(capsys, "evidence", "frameworks")
    listed = json.loads(run_here(capsys, "evidence", "frameworks", "--format", "json").out)
    assert fits_terminal(printed.out)
    assert [*listed] == [*list_shipped()]
    for framework in list_shipped().values():
        assert all(f"  {clause.id}" in printed.out for clause in framework.clauses)


@pytest.mark.parametrize("name", [*SHIPPED_IDS, "house_rules.yaml"])
def test_a_framework_is_explained(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each clause has its checks, what is not covered, and its days with sources; the JSON is a framework file."""
    given = EXAMPLES.parent / "frameworks" / name if name.endswith(".yaml") else name
    printed = run_here(capsys, "evidence", "frameworks", given)
    assert (printed.code, fits_terminal(printed.out)) == (0, True)
    fields = json.loads(run_here(capsys, "evidence", "frameworks", given, "--format", "json").out)
    words = printed.out.split()
    for clause in fields["clauses"]:
        texts = [clause["id"], clause["title"], clause["text"], *clause["not_covered"]]
        texts += [date["date"] for date in clause.get("applies_from", [])]
        assert set(" ".join(texts).split()) <= {*words, *(word.rstrip(",:") for word in words)}
        assert (clause.get("checks") is None) == (clause["id"] in {"Art. 50", "4"})
    path = tmp_path / "own.json"
    path.write_text(json.dumps(fields | {"id": "own"}))
    assert load_framework(path).to_dict() == fields | {"id": "own"}


def test_faults_of_a_framework_have_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command checks a file, and prints each fault on a line of its own."""
    path = tmp_path / "own.yaml"
    path.write_text("id: own\ntitle: Own\nedition: 1\nsource: a\nclauses: []\n")
    printed = run_here(capsys, "evidence", "frameworks", path)
    assert printed == Printed(
        2,
        "",
        f"spanforge-models: {path}, line 1, column 1: has no checked; add it: official if it was read in the "
        "publisher's own text, secondary if in a text by others\n"
        f"spanforge-models: {path}, line 5, column 10, field 'clauses': must have at least one clause\n",
    )


def test_hints_are_about_faults() -> None:
    """A fault without advice has no hint."""
    assert find_hint("is larger than 268435456 bytes") is None


def list_leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the container and the key of each text and number in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        if isinstance(item, (dict, list)):
            yield from list_leaves(item)
        elif isinstance(item, (str, int)):
            yield value, key


HOSTILE = st.text(max_size=50) | st.sampled_from(["\x1b]0;title\x07", "\u202e", "a\nb", "x" * 3000, 10**30])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_hostile_packages(made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """No text and no number in a package that nobody signed controls the terminal, or ends with a traceback."""
    folder = shutil.copytree(made / "october", tmp_path_factory.mktemp("hostile") / "package")
    attestation = json.loads((folder / "attestation.json").read_bytes())
    leaves = list(list_leaves(attestation))
    for container, key in data.draw(st.lists(st.sampled_from(leaves), max_size=5, unique_by=id)):
        container[key] = data.draw(HOSTILE)
    (folder / "attestation.json").write_text(json.dumps(attestation))
    (folder / "evidence.csv").write_bytes(data.draw(st.binary(max_size=100)))
    out, err = io.StringIO(), io.StringIO()
    output = data.draw(st.sampled_from(["text", "markdown"]))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["evidence", "show", str(folder), "--format", output])
    assert code in {0, 2}
    assert (out.getvalue() == "") == (code == 2)
    assert all(line.isprintable() for line in (out.getvalue() + err.getvalue()).split("\n"))
    assert output == "markdown" or fits_terminal(out.getvalue())

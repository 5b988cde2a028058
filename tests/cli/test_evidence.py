"""``evidence keygen`` and ``evidence make``: keys, packages, what they print, and what they refuse."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.commands import Printed, enter_examples_with_keys, fits_terminal, run_here
from support.frameworks import make_fields
from support.permissions import without_privileges

from spanforge.model_registry.compliance import verify_package
from spanforge.model_registry.compliance._packages.keys import load_trusted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Printed]

OCTOBER = ("--month", "2026-10")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a copy of the examples with the key pair ``signer``, outside of git, as the current folder."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    return enter_examples_with_keys(tmp_path, monkeypatch, capsys)


@pytest.fixture
def make(folder: Path, capsys: pytest.CaptureFixture[str]) -> Make:
    """Return a function that runs ``evidence make`` with further options."""

    def make(*options: object, signed: bool = True) -> Printed:
        files = ("--file", folder / "models.yaml", "--file", "media.yaml", "--telemetry", "telemetry.jsonl")
        key = ("--key", "signer.pem") if signed else ()
        framework = () if "--framework" in options else ("--framework", "soc2")
        return run_here(capsys, "evidence", "make", *framework, *files, *key, *options)

    return make


def test_a_key_pair(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """OpenSSL reads both keys, only the owner can read the private one, and the output names files and key id."""
    printed = run_here(capsys, "evidence", "keygen", "--output", "new")
    (keyid,) = load_trusted(["new.pub.pem"])
    assert printed.out.splitlines()[1:4] == [
        "  private key  new.pem",
        "  public key   new.pub.pem",
        f"  key id       {keyid}",
    ]
    assert fits_terminal(printed.out)
    assert stat.S_IMODE((folder / "new.pem").stat().st_mode) == 0o600
    public = subprocess.run(["openssl", "pkey", "-in", "new.pem", "-pubout"], capture_output=True, check=True).stdout
    assert public == (folder / "new.pub.pem").read_bytes()


@pytest.mark.slow
def test_an_encrypted_key_pair(folder: Path, capsys: pytest.CaptureFixture[str], make: Make) -> None:
    """Signing with an encrypted key needs its passphrase, the first line of a file."""
    (folder / "pass").write_text("open sesame\nnot this\n")
    printed = run_here(
        capsys, "evidence", "keygen", "--output", "safe", "--passphrase-file", "pass", "--format", "json"
    )
    pair = json.loads(printed.out)
    assert pair == {
        "private_key": "safe.pem",
        "public_key": "safe.pub.pem",
        "keyid": next(iter(load_trusted(["safe.pub.pem"]))),
        "encrypted": True,
    }
    subprocess.run(
        ["openssl", "pkey", "-in", "safe.pem", "-passin", "file:pass", "-noout"], capture_output=True, check=True
    )
    options = (*OCTOBER, "--output", "october.zip", "--key", "safe.pem")
    assert make(*options, signed=False) == (
        2,
        "",
        "spanforge-models: safe.pem: is encrypted; pass --passphrase-file FILE\n",
    )
    assert make(*options, "--passphrase-file", "pass", signed=False).code == 1
    assert verify_package("october.zip", ["safe.pub.pem"]).keyid == pair["keyid"]
    (folder / "pass").write_text("wrong\n")
    assert "passphrase is wrong" in make(*options, "--force", "--passphrase-file", "pass", signed=False).err


@pytest.mark.parametrize("kept", ["new.pem", "new.pub.pem"])
def test_keys_are_never_overwritten(kept: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If one of the files exists, no file is written or changed."""
    (folder / kept).write_text("precious")
    before = sorted(os.listdir(folder))
    printed = run_here(capsys, "evidence", "keygen", "--output", "new")
    line = f"spanforge-models: {kept}: exists already, and is never overwritten; choose another name\n"
    assert printed == (2, "", line)
    assert sorted(os.listdir(folder)) == before
    assert (folder / kept).read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--output", "none/new"), "none/new.pem: cannot be written: No such file or directory"),
        (("--output", "a\0"), "cannot be written: embedded null byte"),
        (("--output", "new", "--passphrase-file", "none"), "none: cannot be read: No such file or directory"),
        (("--output", "new", "--passphrase-file", "empty"), "empty: the first line must have the passphrase"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_keys_that_cannot_be_written(
    options: tuple[str, ...], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line has the file and the reason, and no file is left."""
    (tmp_path / "examples" / "empty").write_text("\nsecond line\n")
    printed = run_here(capsys, "evidence", "keygen", *options)
    assert (printed.code, printed.out) == (2, "")
    assert problem in printed.err
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.rglob("new*"))


def test_what_make_prints(make: Make) -> None:
    """The summary has the question, the answers, the findings in numbers, the commit, the key and the digest."""
    printed = make(*OCTOBER, "--output", "october.zip", "--source-revision", "4f2a9c1")
    report = verify_package("october.zip", ["signer.pub.pem"])
    assert printed.code == 1
    assert fits_terminal(printed.out)
    for text in (
        "october.zip is written.\n  result      findings\n",
        "about       all models of the registry: 6",
        "period      from 2026-10-01 00:00:00 UTC until 2026-11-01 00:00:00 UTC",
        "by the clock of the maker's machine",
        "telemetry   calls: 55, models called: 7, spans: 57, inputs: 1",
        "coverage    complete",
        "commit      4f2a9c1, as given",
        "signed by   signer.pem",
        f"key id      {report.keyid}",
        f"zip sha256  {report.archive_sha256}",
        "- calls_registered: 3 of 55 calls break the rule: Every model that was called",
        "CC8.1   findings  Changes to systems",
        "Limits: 1",
        "spanforge-models evidence show october.zip",
    ):
        assert text in printed.out
    assert printed.err == ""


def test_what_make_prints_as_json(folder: Path, make: Make) -> None:
    """The JSON has the path, the digest, the key id, the revision with its origin, and the attestation."""
    printed = make(*OCTOBER, "--output", "october", "--format", "json")
    made = json.loads(printed.out)
    report = verify_package("october", ["signer.pub.pem"])
    attestation = json.loads((folder / "october" / "attestation.json").read_bytes())
    assert made == {
        "package": "october",
        "sha256": report.digests["SHA256SUMS"],
        "keyid": report.keyid,
        "timestamp": None,
        "source_revision": {"commit": None, "origin": "git knows no commit of the registry files"},
        "attestation": attestation,
    }


@pytest.mark.parametrize(
    ("options", "code", "result"),
    [
        ((*OCTOBER, "--model", "acme-chat-2"), 0, "supported"),
        (OCTOBER, 1, "findings"),
        (("--quarter", "2020-Q1"), 1, "no_evidence"),
        ((*OCTOBER, "--model", "acme-chat-2", "--generated-at", "2026-10-20"), 1, "incomplete"),
    ],
)
def test_the_exit_code_of_make(options: tuple[str, ...], code: int, result: str, make: Make) -> None:
    """Only evidence that is supported ends with 0. A period that has not ended is a warning."""
    printed = make(*options, "--output", "package.zip")
    assert printed.code == code
    assert f"result      {result}\n" in printed.out
    assert ("no evidence is not a pass" in printed.out) == (result == "no_evidence")
    assert ("the period has not ended" in printed.err) == (result == "incomplete")


def test_make_passes_its_options_on(folder: Path, make: Make) -> None:
    """The attestation states the arguments that were given as options."""
    (folder / "calendar.yaml").write_text("[]\n")
    (folder / "events.json").write_text("[]")
    (folder / "archive").mkdir()
    shutil.copy("telemetry.jsonl", "archive/more.jsonl")
    options = (
        "--telemetry",
        "archive",
        "--match",
        "exact",
        "--model-attribute",
        "my.model",
        "--delay",
        "1h",
        "--max-gap",
        "2d",
    )
    options += ("--calendar", "calendar.yaml", "--audit-events", "events.json", "--generated-at", "2026-11-02")
    (folder / "house.json").write_text(json.dumps(make_fields()))
    options += ("--framework", "house.json", "--retention-days", "40")
    printed = make("--from", "2026-10-01", "--to", "2026-10-08", *options, "--output", "x.zip", "--format", "json")
    attestation = json.loads(printed.out)["attestation"]
    framework = attestation["arguments"].pop("framework")
    assert (framework["name"], framework["file"]) == ("house.json", "framework-house.json")
    assert framework["sha256"] == hashlib.sha256((folder / "house.json").read_bytes()).hexdigest()
    assert attestation["arguments"] | {"calendar": None} == {
        "calendar": None,
        "retention_days": 40,
        "delay_seconds": 3_600,
        "generated_at": "given",
        "match": "exact",
        "max_gap_seconds": 172_800,
        "model_attributes": ["my.model"],
        "model_id": None,
    }
    assert attestation["arguments"]["calendar"]["name"] == "calendar.yaml"
    assert [each["name"] for each in attestation["inputs"]] == ["telemetry.jsonl", "more.jsonl", "audit_events"]
    assert attestation["period"]["to_date"] == "2026-10-08T00:00:00.000000Z"


@pytest.mark.slow
def test_make_never_overwrites(folder: Path, make: Make) -> None:
    """Only ``--force`` replaces a zip, and nothing replaces another file or a folder with files."""
    (folder / "october.zip").write_text("precious")
    (folder / "empty").mkdir()
    zip_line = "spanforge-models: october.zip: exists already; pass --force to replace it\n"
    assert make(*OCTOBER, "--output", "october.zip") == (2, "", zip_line)
    assert (folder / "october.zip").read_text() == "precious"
    assert make(*OCTOBER, "--output", "october.zip", "--force").code == 1
    assert make(*OCTOBER, "--output", "empty").code == 1
    for path in ("empty", "models.yaml"):
        line = f"spanforge-models: {path}: exists already; pass a new or an empty folder\n"
        assert make(*OCTOBER, "--output", path, "--force") == (2, "", line)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "the period must be --month, or --quarter, or --from with --to; got none"),
        ((*OCTOBER, "--unsigned"), "pass either --key KEY or --unsigned; got both"),
        ((*OCTOBER, "--key", "signer.pub.pem"), "signer.pub.pem: is a public key and cannot sign"),
        ((*OCTOBER, "--key", "models.yaml"), "models.yaml: is not a private key"),
        ((*OCTOBER, "--key", "none.pem"), "none.pem: cannot be read: No such file or directory"),
        ((*OCTOBER, "--public-key", "other.pub.pem"), "signer.pem: does not belong to the public key"),
        ((*OCTOBER, "--file", "none.yaml"), "none.yaml: no such file"),
        ((*OCTOBER, "--telemetry", "none.jsonl"), "none.jsonl: no such file"),
        ((*OCTOBER, "--telemetry", "models.yaml"), "it seems to be a registry file"),
        ((*OCTOBER, "--calendar", "none.yaml"), "none.yaml: no such file"),
        ((*OCTOBER, "--audit-events", "models.yaml"), "models.yaml: is not a JSON array of objects"),
        ((*OCTOBER, "--audit-events", "none.json"), "none.json: cannot be read: No such file or directory"),
        ((*OCTOBER, "--max-gap", "1s"), "--max-gap must be a whole number with s, m, h or d"),
        ((*OCTOBER, "--model", "acme-chat-3"), "the nearest names are 'acme-chat-2', 'acme-chat-1'"),
        ((*OCTOBER, "--framework", "SOC2"), "there is no framework SOC2; pass soc2, nist_ai_rmf, "),
        ((*OCTOBER, "--framework", "none.yaml"), "none.yaml: no such file"),
        (
            (*OCTOBER, "--framework", "soc2", "--framework", "iso_42001"),
            "--framework is given 2 times; a package has one",
        ),
        (
            (*OCTOBER, "--retention-days", "9"),
            "retention_days must be left out: the framework soc2 has no check retention",
        ),
        ((*OCTOBER, "--generated-at", "now"), "--generated-at must be an RFC 3339 date"),
    ],
)
def test_what_make_refuses(
    options: tuple[str, ...], problem: str, make: Make, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option is one line with the remedy, the exit code is 2, and there is no package."""
    run_here(capsys, "evidence", "keygen", "--output", "other")
    printed = make(*options, "--output", "new.zip")
    assert (printed.code, printed.out) == (2, "")
    assert problem in printed.err.splitlines()[-1]
    assert not (folder / "new.zip").exists()


@pytest.mark.slow
def test_an_unsigned_package(make: Make) -> None:
    """Without a key, ``--unsigned`` is required, and the summary says that nobody can verify the package."""
    refused = make(*OCTOBER, "--output", "x.zip", signed=False)
    assert (refused.code, refused.out) == (2, "")
    assert "pass either --key KEY or --unsigned; got none" in refused.err
    assert (
        "signed by   nobody: it cannot be verified\n"
        in make(*OCTOBER, "--output", "x.zip", "--unsigned", signed=False).out
    )


def test_no_permission(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that the user must not read, and a folder that the user must not write, are one line each."""
    with without_privileges():
        read = make(*OCTOBER, "--output", "october.zip")
        written = run_here(capsys, "evidence", "keygen", "--output", "new")
    assert (read.code, read.out) == (2, "")
    assert read.err.startswith("spanforge-models: signer.pem: cannot be read: Permission denied; a signing key is")
    assert written == (2, "", "spanforge-models: new.pem: cannot be written: Permission denied\n")


def test_a_key_that_others_can_read(folder: Path, make: Make) -> None:
    """A private key that other users can read is a warning."""
    (folder / "signer.pem").chmod(0o640)
    assert make(*OCTOBER, "--output", "october.zip").err == (
        "warning: other users can read the private key signer.pem: run chmod 600\n"
    )


@pytest.mark.parametrize("module", ["jinja2", "svg"])
def test_make_names_a_missing_extra_before_it_reads_telemetry(module: str, make: Make, folder: Path) -> None:
    """Without a module of the report, no telemetry is read, and one line says what to install."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module, None)
        printed = make("--month", "2026-10", "--telemetry", "missing.jsonl", "--output", "new.zip")
    assert (printed.code, printed.out) == (2, "")
    advice = "pip install '.[compliance]' in a clone, or 'spanforge-model-registry[compliance]' for a released version"
    line = f"evidence packages need the extra compliance: {advice}"
    assert printed.err == f"spanforge-models: {line}\n"
    assert not (folder / "new.zip").exists()

"""Time stamps on the command line: ``evidence timestamp``, and the options of ``evidence make`` and ``verify``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.authorities import Authority
from support.commands import enter_examples_with_keys, fits_terminal, run_here

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAKE = ("evidence", "make", "--month", "2026-10", "--framework", "soc2", "--telemetry", "telemetry.jsonl")
FILES = ("--file", "models.yaml", "--file", "media.yaml", "--source-revision", "r1")
SIGNED = ("--key", "signer.pem", "--output", "october.zip")
VERIFY = ("evidence", "verify", "october.zip", "--key", "signer.pub.pem")
TIME = "time stamp"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    """Return the address of the authority."""
    with authority.serve() as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a copy of the examples with the key pair ``signer``, as the current folder."""
    return enter_examples_with_keys(tmp_path, monkeypatch, capsys)


def read_fact(text: str, name: str) -> str:
    (line,) = (line for line in text.splitlines() if line.startswith(f"  {name}"))
    return line.removeprefix(f"  {name}").strip()


@pytest.mark.slow
def test_make_and_verify_with_a_time_stamp(
    folder: Path, authority: Authority, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """``make`` adds the stamp of an authority, and ``verify`` shows its time, its authority, and its limits."""
    made = run_here(capsys, *MAKE, *FILES, *SIGNED, "--timestamp-url", url, "--timestamp-cert", authority.root)
    assert made.code == 1, made.err
    assert fits_terminal(made.out)
    verified = run_here(capsys, *VERIFY, "--timestamp-cert", authority.root)
    assert verified.code == 0
    stated = read_fact(verified.out, TIME)
    assert stated.endswith("UTC ± 1.5001 s, by CN=Example Time")
    assert read_fact(made.out, TIME) == stated
    assert read_fact(made.out, "zip sha256") == read_fact(verified.out, "zip sha256")
    assert "the signature existed at this time" in " ".join(verified.out.split())
    assert "when the package was made: a time stamp shows only" in verified.out
    without = run_here(capsys, *VERIFY)
    assert "the package has a time stamp that was not verified" in " ".join(without.out.split())
    assert "a time stamp shows only" not in without.out
    opened = run_here(capsys, "evidence", "show", "october.zip")
    assert read_fact(opened.out, TIME) == "timestamp.tsr in the package, not verified; verify it with"
    (shown,) = json.loads(run_here(capsys, *VERIFY, "--timestamp-cert", authority.root, "--format", "json").out)
    assert shown["report"]["timestamp"]["accuracy_seconds"] == 1.5001
    assert (folder / "october.zip").exists()


@pytest.mark.slow
def test_a_time_stamp_is_added_later(
    folder: Path, authority: Authority, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the authority fails, ``make`` keeps the package, and ``timestamp`` adds the stamp without the private key."""
    authority.reply, usual = (lambda _: (503, "text/plain", b"")), authority.reply
    made = run_here(capsys, *MAKE, *FILES, *SIGNED, "--timestamp-url", url)
    authority.reply = usual
    assert (made.code, made.out) == (2, "")
    assert made.err == (
        f"spanforge-models: {url}: responded with HTTP 503: Service Unavailable; october.zip is written without a time "
        "stamp; add it later: spanforge-models evidence timestamp october.zip --url URL\n"
    )
    refused = run_here(capsys, *VERIFY, "--timestamp-cert", authority.root)
    assert refused.code == 1
    assert "Add one with 'evidence timestamp'" in refused.out
    (folder / "signer.pem").unlink()
    stamp = ("evidence", "timestamp", "october.zip", "--url", url)
    added = run_here(capsys, *stamp, "--timeout", "9s")
    assert added.code == 0, added.err
    assert fits_terminal(added.out)
    assert "Its signature is not verified" in added.out
    again = run_here(capsys, *stamp)
    assert (again.code, again.out) == (2, "")
    assert again.err.startswith("spanforge-models: october.zip: has a time stamp already; ")
    replaced = run_here(capsys, *stamp, "--force", "--timestamp-cert", authority.root, "--format", "json")
    assert json.loads(replaced.out)["verified"] is True
    assert run_here(capsys, *VERIFY, "--timestamp-cert", authority.root).code == 0


def test_a_time_stamp_needs_a_signature(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is an error before the telemetry is read."""
    url = ("--timestamp-url", "http://127.0.0.1:9")
    unsigned = run_here(capsys, *MAKE, "--unsigned", "--output", "october.zip", *url)
    assert unsigned.err == "spanforge-models: --timestamp-url needs --key: a time stamp is about the signature\n"
    wrong = run_here(capsys, *MAKE, *FILES, *SIGNED, "--timestamp-url", "tsa.example")
    assert wrong.err.startswith("spanforge-models: the address of the time stamp authority: must have http:// or")
    lonely = run_here(capsys, *MAKE, *FILES, *SIGNED, "--timestamp-cert", "tsa.pem")
    assert lonely.err == "spanforge-models: --timestamp-cert needs --timestamp-url\n"
    absent = run_here(
        capsys, *MAKE, *FILES, *SIGNED, "--timestamp-url", "http://127.0.0.1:9", "--timestamp-cert", "no.pem"
    )
    assert absent.err.startswith("spanforge-models: no.pem: cannot be read: No such file or directory")
    assert {unsigned.code, wrong.code, lonely.code, absent.code} == {2}
    assert not (folder / "october.zip").exists()

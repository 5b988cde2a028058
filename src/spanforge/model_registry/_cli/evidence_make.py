"""``evidence make``: a signed evidence package about a period, from a registry and telemetry."""

from __future__ import annotations

import hashlib
import os
import shlex
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
import typer

from spanforge.model_registry._cli import evidence_report as report
from spanforge.model_registry._cli.blocks import FactList, Heading, ItemList, Paragraph, print_blocks
from spanforge.model_registry._cli.calendar_option import CalendarOption
from spanforge.model_registry._cli.commands import PROGRAM, examples
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.framework_option import FrameworkOption, read_only_framework
from spanforge.model_registry._cli.key_files import PassphraseOption, PublicKeyOption, load_signing_key
from spanforge.model_registry._cli.package_reading import TimestampCertOption
from spanforge.model_registry._cli.periods import choose_period, parse_duration
from spanforge.model_registry._cli.progress import show_reading
from spanforge.model_registry._cli.registries import FilesOption, UsageError, load_registry
from spanforge.model_registry._cli.revisions import RegistryRevision, find_revision
from spanforge.model_registry._cli.telemetry_option import TelemetryOption, list_telemetry
from spanforge.model_registry._cli.terminal import Styled, print_json, print_line
from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.errors import PackageError, shorten
from spanforge.model_registry._core.names import MatchMode
from spanforge.model_registry._core.settings import MATCH
from spanforge.model_registry._core.state import list_sources
from spanforge.model_registry.compliance import ComplianceMappingEngine, timestamp_package
from spanforge.model_registry.compliance._arguments import parse_moment
from spanforge.model_registry.compliance._engine import MIN_GAP
from spanforge.model_registry.compliance._packages.authority import parse_authority
from spanforge.model_registry.compliance._packages.derived_files import DERIVED_FILES
from spanforge.model_registry.compliance._packages.files import SUMS
from spanforge.model_registry.compliance._packages.optional_keys import rfc3161
from spanforge.model_registry.compliance._page.render import require_page_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry import ModelRegistry
    from spanforge.model_registry._cli.blocks import Block
    from spanforge.model_registry._cli.periods import EvidencePeriod
    from spanforge.model_registry.compliance import Attestation, EvidencePackage, TimeStamp
    from spanforge.model_registry.compliance._packages.keys import SigningKey

_events_decoder: Final = msgspec.json.Decoder(list[dict[str, Any]])


@examples(
    "evidence make --month 2026-10 --framework soc2 --file models.yaml --file media.yaml --telemetry telemetry.jsonl "
    "--key signer.pem --output october.zip  # ends with 1: findings",
)
def make_package(  # noqa: PLR0913 - a parameter for each option
    *,
    framework: FrameworkOption = None,
    telemetry: TelemetryOption,
    path: Annotated[str, typer.Option("--output", "-o", metavar="PATH", help="The new .zip, or else the new folder.")],
    month: Annotated[str | None, typer.Option(metavar="YYYY-MM", help="The period: a month in UTC.")] = None,
    quarter: Annotated[str | None, typer.Option(metavar="YYYY-QN", help="The period: a quarter in UTC.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="TIME", help="The period's first instant.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="The first instant after the period.")] = None,
    files: FilesOption = None,
    model: Annotated[str | None, typer.Option(metavar="ID", help="Only this model. Default: all models.")] = None,
    key: Annotated[
        str | None, typer.Option("--key", "-k", metavar="KEY", help="Private key in PEM, or URI of a KMS key.")
    ] = None,
    public_key: PublicKeyOption = None,
    passphrase_file: PassphraseOption = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Make a package that nobody can verify.")] = False,
    timestamp_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Add a time stamp of this authority (RFC 3161).")
    ] = None,
    certificates: TimestampCertOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing zip.")] = False,
    calendar: CalendarOption = None,
    source_revision: Annotated[
        str | None,
        typer.Option(metavar="REV", help="State this revision of the registry. Default: from git or a CI variable."),
    ] = None,
    max_gap: Annotated[
        str, typer.Option(metavar="TIME", help="A longer time without spans and without calls in log records is a gap.")
    ] = "24h",
    delay: Annotated[
        str, typer.Option(metavar="TIME", help="Time until registry changes are in force everywhere.")
    ] = "5m",
    model_attribute: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Another attribute that names the model.")
    ] = None,
    match: Annotated[
        MatchMode | None, typer.Option(help=f"How model names match. Default: {MATCH.variable}, or forms.")
    ] = None,
    audit_events: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON array of lifecycle events of other systems.")
    ] = None,
    generated_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="State this time of generation, to reproduce a package.")
    ] = None,
    retention_days: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Require more days of telemetry than the framework's file.")
    ] = None,
    output: FormatOption = "text",
) -> None:
    """Make a signed evidence package from a registry and telemetry.

    Ends with 0 if the result is 'supported', and with 1 if it is findings, no_evidence or incomplete. A month, and a
    time without an offset, are in UTC. Durations are numbers with s, m, h or d.
    """
    period = choose_period(month, quarter, start, end)
    chosen = read_only_framework(framework)
    check_output(path, force=force)
    require_page_modules()
    signer = _choose_signer(key, public_key, passphrase_file, unsigned=unsigned)
    _check_authority(timestamp_url, certificates, signer)
    registry = load_registry(files)
    revision = _choose_revision(registry, source_revision)
    engine = ComplianceMappingEngine(
        registry,
        max_gap=parse_duration(max_gap, "--max-gap", MIN_GAP),
        delay=parse_duration(delay, "--delay", timedelta()),
        model_attributes=model_attribute or (),
        match=match,
        calendar=calendar,
    )
    events = None if audit_events is None else _read_event_file(audit_events)
    _warn_of_future(period, generated_at)
    with show_reading() as progress:
        package = engine.generate_evidence_package(
            model,
            chosen,
            *period,
            telemetry=list_telemetry(telemetry),
            audit_events=events,
            generated_at=generated_at,
            source_revision=revision.commit,
            retention_days=retention_days,
            progress=progress,
        )
    check_output(path, force=force)
    _write(package, path, signer)
    stamp = None if timestamp_url is None else _stamp(path, timestamp_url, certificates)
    made = MadePackage(path, _hash_package(path), signer, revision, package.attestation, stamp)
    if output == "json":
        print_json(made.encode())
    else:
        print_blocks(made.describe())
    if package.attestation.overall_status != "supported":
        raise typer.Exit(1)


class MadePackage(NamedTuple):
    """A package that was written.

    Attributes:
        path: Its path.
        digest: The SHA-256 of the zip, or of the file SHA256SUMS in the folder, in hexadecimal.
        signer: The key that signed it; ``None`` if it is unsigned.
        revision: The revision of the registry, with its origin.
        attestation: Its attestation.
        stamp: Its time stamp; ``None`` if it has none.
    """

    path: str
    digest: str
    signer: SigningKey | None
    revision: RegistryRevision
    attestation: Attestation
    stamp: TimeStamp | None = None

    def describe(self) -> Iterator[Block]:
        """Yield the report on the package."""
        commit, origin = self.revision
        signed = "nobody: it cannot be verified" if self.signer is None else self.signer.name
        keyid = [] if self.signer is None else [("key id", self.signer.keyid)]
        stamped = [] if self.stamp is None else [("time stamp", report.describe_time_stamp(self.stamp))]
        digest = "zip sha256" if is_zip(self.path) else SUMS
        facts = dict(report.show_facts(self.attestation))
        facts["commit"] = f"not stated: {origin}" if commit is None else f"{commit}, {origin}"
        yield Paragraph(Styled(f"{self.path} is written.", "name"))
        page = report.show_report_file(DERIVED_FILES)
        yield FactList([*facts.items(), ("signed by", signed), *keyid, *stamped, (digest, self.digest), *page])
        yield from report.show_findings(self.attestation)
        yield from report.show_clauses(self.attestation)
        number = len(self.attestation.limits)
        yield Heading(f"Limits: {number}")
        yield ItemList([f"To read them: {PROGRAM} evidence show {shlex.quote(self.path)}"])

    def encode(self) -> dict[str, Any]:
        """Return the report on the package as JSON."""
        return {
            "package": self.path,
            "sha256": self.digest,
            "keyid": None if self.signer is None else self.signer.keyid,
            "timestamp": msgspec.to_builtins(self.stamp),
            "source_revision": self.revision._asdict(),
            "attestation": msgspec.to_builtins(self.attestation),
        }


def is_zip(path: str) -> bool:
    """Check whether a package at this path is a zip; otherwise it is a folder."""
    return path.lower().endswith(".zip")


def check_output(path: str, *, force: bool) -> None:
    """Check that writing a package to a path overwrites nothing that it must not.

    Raises:
        UsageError: It would.
    """
    is_empty_folder = os.path.isdir(path) and not os.listdir(path) and not is_zip(path)
    if not os.path.lexists(path) or is_empty_folder or (force and is_zip(path)):
        return
    remedy = "pass --force to replace it" if is_zip(path) else "pass a new or an empty folder"
    msg = f"{path}: exists already; {remedy}"
    raise UsageError(msg)


def _choose_signer(
    key: str | None, public_key: str | None, passphrase_file: str | None, *, unsigned: bool
) -> SigningKey | None:
    if (key is None) != unsigned:
        got = "none" if key is None else "both"
        msg = f"pass either --key KEY or --unsigned; got {got} ({PROGRAM} evidence keygen makes a key)"
        raise UsageError(msg)
    return None if key is None else load_signing_key(key, public_key, passphrase_file)


def _choose_revision(registry: ModelRegistry, given: str | None) -> RegistryRevision:
    return find_revision(list_sources(registry)) if given is None else RegistryRevision(given, "as given")


def _warn_of_future(period: EvidencePeriod, generated_at: str | None) -> None:
    now = datetime.now(timezone.utc) if generated_at is None else parse_moment(generated_at, "--generated-at")
    if now < period.end:
        text = "warning: the period has not ended, so its coverage is incomplete"
        print_line(text, "warning", stderr=True)


def _read_event_file(path: str) -> list[dict[str, Any]]:
    try:
        with open(path, "rb") as file:
            return _events_decoder.decode(file.read())
    except OSError as error:
        msg = f"{path}: cannot be read: {explain_os_error(error)}"
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        msg = f"{path}: is not a JSON array of objects: {shorten(str(error))}"
    raise UsageError(msg)


def _check_authority(url: str | None, certificates: list[str] | None, signer: SigningKey | None) -> None:
    """Check the options of the time stamp, before the telemetry is read."""
    if certificates is not None and url is None:
        msg = "--timestamp-cert needs --timestamp-url"
        raise UsageError(msg)
    if url is None:
        return
    if signer is None:
        msg = "--timestamp-url needs --key: a time stamp is about the signature"
        raise UsageError(msg)
    parse_authority(url)
    load = rfc3161.load_certificates  # reports a missing extra
    if certificates is not None:
        load(certificates)


def _write(package: EvidencePackage, path: str, signer: SigningKey | None) -> None:
    key = None if signer is None else signer.signer
    (package.to_zip if is_zip(path) else package.write)(path, key)


def _stamp(path: str, url: str, certificates: list[str] | None) -> TimeStamp:
    """Add a time stamp to a package that was written. If that fails, the package remains."""
    try:
        return timestamp_package(path, url, certificates=certificates)
    except PackageError as error:
        command = f"{PROGRAM} evidence timestamp {shlex.quote(path)} --url URL"
        reason = f"{error.reason}; {path} is written without a time stamp; add it later: {command}"
        raise PackageError(error.path, reason) from None


def _hash_package(path: str) -> str:
    """Return the SHA-256 of a zip, or of the list of digests in a folder."""
    with open(path if is_zip(path) else os.path.join(path, SUMS), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()

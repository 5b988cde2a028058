"""``evidence verify``: whether a package is exactly the one that the holder of a key signed, and its results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from spanforge.model_registry import InvalidValueError
from spanforge.model_registry._cli import evidence_report as report
from spanforge.model_registry._cli.blocks import FactList, Heading, ItemList, Paragraph, print_blocks
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.package_reading import TimestampCertOption, check_readable, verify_opened
from spanforge.model_registry._cli.periods import parse_period_text
from spanforge.model_registry._cli.terminal import Styled, print_json
from spanforge.model_registry.compliance import Expected, VerificationError
from spanforge.model_registry.compliance._arguments import parse_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spanforge.model_registry._cli.blocks import Block
    from spanforge.model_registry._cli.package_reading import OpenedPackage
    from spanforge.model_registry._cli.terminal import Cell

ALL_MODELS: Final = "all"
"""The value of ``--expect model=`` for the whole inventory."""
_EXPECTED_FACTS: Final = "period, framework, model, after"
_HINTS: Final = {
    "is unsigned": "Nothing shows who made it. Ask for a signed package.",
    "untrusted key": "Pass the organisation's public key with --key. While keys rotate, pass the old and the new one.",
    "its SHA-256 differs": "The file was changed after the package was signed. Ask for the original package.",
    "is missing": "The package is not complete. Ask for the original package.",
    "unexpected file": "Unpack the original package into an empty folder, and verify that folder.",
    "the signature is not valid": "The signature was changed, or belongs to another package. Ask for the original one.",
    "has no time stamp": "Add one with 'evidence timestamp'. It needs no private key.",
    "is not of a trusted authority": "Pass the certificates of the authority that made the time stamp, with its root.",
    "has a time stamp of other content": "The time stamp belongs to another package. Ask for the original one.",
    "is not the expected package": "The signer made it, but for another purpose. Ask for the right package.",
}
"""The advice for the faults whose text contains the key."""

KeysOption = Annotated[
    list[str],
    typer.Option("--key", "-k", metavar="KEY", help="A public key in PEM that you trust; repeat it for several."),
]


@examples(
    "evidence verify october.zip --key signer.pub.pem",
    "evidence verify october.zip --key signer.pub.pem --expect period=2026-10",
)
def verify_packages(  # noqa: PLR0913 - a parameter for each option
    packages: Annotated[list[str], typer.Argument(metavar="PACKAGE", help="Zips or folders.", show_default=False)],
    *,
    trusted: KeysOption,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACT=VALUE",
            help="Refuse a package without this fact: period=2026-10 (or 2026-Q4, or FROM..TO), framework=soc2, "
            f"model=ID (or {ALL_MODELS}), after=TIME (of the generation).",
        ),
    ] = None,
    certificates: TimestampCertOption = None,
    require_supported: Annotated[
        bool, typer.Option("--require-supported", help="End with 1 also if a result is not 'supported'.")
    ] = False,
    output: FormatOption = "text",
) -> None:
    """Check that evidence packages are what a trusted key signed, and show their results.

    Ends with 0 if all packages are verified, even if they have findings. Ends with 1 if one is not verified.
    """
    expected = parse_expectations(expect or [])
    for path in packages:
        check_readable(path)
    results = [_verify(path, trusted, expected, certificates) for path in packages]
    if output == "json":
        print_json([_encode_result(result) for result in results])
    else:
        for number, result in enumerate(results):
            print_blocks([*([Paragraph("")] if number else []), *_describe_result(result)])
    if not all(_passes(result, require_supported=require_supported) for result in results):
        raise typer.Exit(1)


def parse_expectations(texts: Iterable[str]) -> Expected | None:
    """Return the facts of ``--expect``; ``None`` if there are none.

    Raises:
        InvalidValueError: A fact is unknown, or its value is wrong.
    """
    expected = Expected()
    for text in texts:
        fact, equals, value = text.partition("=")
        match fact if equals else None:
            case "period":
                period = parse_period_text(value, "--expect period")
                expected["period"] = (period.start, period.end)
            case "framework":
                expected["framework"] = value
            case "model":
                expected["model_id"] = None if value == ALL_MODELS else value
            case "after":
                expected["generated_after"] = parse_moment(value, "--expect after")
            case _:
                rule = f"FACT=VALUE, and a fact is one of {_EXPECTED_FACTS}"
                raise InvalidValueError.must_be("--expect", text, rule)
    return expected or None


def _verify(
    path: str, trusted: list[str], expected: Expected | None, certificates: list[str] | None
) -> OpenedPackage | VerificationError:
    try:
        return verify_opened(path, trusted, expected, certificates)
    except VerificationError as error:
        return error


def _passes(result: OpenedPackage | VerificationError, *, require_supported: bool) -> bool:
    if isinstance(result, VerificationError) or result.report is None:
        return False
    return not require_supported or result.report.overall_status == "supported"


def find_hint(reason: str) -> str | None:
    """Return the advice for a fault, if there is one."""
    return next((hint for part, hint in _HINTS.items() if part in reason), None)


def _describe_result(result: OpenedPackage | VerificationError) -> Iterator[Block]:
    if isinstance(result, VerificationError):
        yield Paragraph(Styled(f"NOT VERIFIED: {result.path}", "error"))
        hint = find_hint(result.reason)
        yield FactList([("fault", result.reason), *([] if hint is None else [("hint", hint)])])
        return
    yield from describe_verified(result)
    attestation = result.attestation
    if attestation is None:
        yield Paragraph(Styled(f"  {result.fault}", "warning"))
    else:
        yield from report.show_findings(attestation)
        yield from report.show_clauses(attestation)
        yield from report.show_limits(attestation)
    yield Heading("Verification does not prove")
    yield ItemList(_list_not_proved(result))


def describe_verified(package: OpenedPackage) -> Iterator[Block]:
    """Yield the verdict on a verified package, its key, its facts and the notes on it."""
    verified = package.report
    if verified is None:
        return
    yield Paragraph(Styled(f"VERIFIED: {package.path} is what this key signed.", "good"))
    signed: list[tuple[str, Cell]] = [("signed by", verified.key), ("key id", verified.keyid)]
    if package.attestation is None:
        facts: list[tuple[str, Cell]] = [
            ("result", str(verified.overall_status)),
            ("period", " until ".join(map(str, verified.period))),
        ]
    else:
        facts = report.show_facts(package.attestation)
    stamp = verified.timestamp
    stamped = [] if stamp is None else [("time stamp", report.describe_time_stamp(stamp))]
    digest = [] if verified.archive_sha256 is None else [("zip sha256", verified.archive_sha256)]
    page = report.show_report_file(package.files)
    notes = [("note", note) for note in verified.notes]
    yield FactList([*facts[:1], *signed, *stamped, *facts[1:], *digest, *page, *notes])


def _encode_result(result: OpenedPackage | VerificationError) -> dict[str, Any]:
    if isinstance(result, VerificationError):
        hint = find_hint(result.reason)
        return {"package": result.path, "verified": False, "reason": result.reason, "hint": hint}
    attestation = None if result.attestation is None else msgspec.to_builtins(result.attestation)
    return {
        "package": result.path,
        "verified": True,
        "report": msgspec.to_builtins(result.report),
        "attestation": attestation,
        "not_proved": _list_not_proved(result),
    }


def _list_not_proved(package: OpenedPackage) -> list[str]:
    """Return the facts that the verification of a package does not prove."""
    stamp = None if package.report is None else package.report.timestamp
    return [*report.NOT_PROVED, *([] if stamp is None else [report.NOT_PROVED_BY_STAMP])]

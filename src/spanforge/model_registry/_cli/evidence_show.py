"""``evidence show``: the contents of a package for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from spanforge.model_registry._cli import evidence_report as report
from spanforge.model_registry._cli.blocks import FactList, Paragraph, print_blocks, render_markdown
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.evidence_verify import describe_verified
from spanforge.model_registry._cli.format_options import PageFormatOption
from spanforge.model_registry._cli.package_reading import open_unverified, require_attestation, verify_opened
from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import Styled, print_json, print_line
from spanforge.model_registry.compliance import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spanforge.model_registry._cli.blocks import Block
    from spanforge.model_registry._cli.package_reading import OpenedPackage
    from spanforge.model_registry.compliance import Attestation
    from spanforge.model_registry.compliance._attestation_parts import CheckResult


@examples(
    "evidence show october.zip",
    "evidence show october.zip --key signer.pub.pem --check calls_registered",
)
def show_package(
    path: Annotated[str, typer.Argument(metavar="PACKAGE", help="A zip or a folder.", show_default=False)],
    check: Annotated[str | None, typer.Option(metavar="NAME", help="Show only this check, with its examples.")] = None,
    trusted: Annotated[
        list[str] | None,
        typer.Option("--key", "-k", metavar="KEY", help="Verify the package with this public key in PEM first."),
    ] = None,
    output: PageFormatOption = "text",
) -> None:
    """Show the contents of an evidence package.

    Without --key the package is not verified. With --key, it is shown only if it is verified; otherwise
    the exit code is 1.
    """
    package = _open_package(path, trusted)
    attestation = require_attestation(package)
    blocks = _describe_package(package, attestation, check)
    if output == "markdown":
        sys.stdout.write(render_markdown(blocks))
    elif output == "text":
        print_blocks(blocks)
    else:
        print_json(_encode_package(package, attestation, check))


def _open_package(path: str, trusted: list[str] | None) -> OpenedPackage:
    if not trusted:
        return open_unverified(path)
    try:
        return verify_opened(path, trusted)
    except VerificationError as error:
        print_line(f"NOT VERIFIED: {error}", "error", stderr=True)
        raise typer.Exit(1) from None


def _describe_package(package: OpenedPackage, attestation: Attestation, check: str | None) -> Iterator[Block]:
    details = (
        report.show_details(attestation, package.list_inventory())
        if check is None
        else report.show_check(_find_check(attestation, check), attestation.findings)
    )
    if package.report is None:
        yield Paragraph(Styled(f"NOT VERIFIED: {package.path} is shown as it is; pass --key to verify it.", "warning"))
        files = [*report.show_report_file(package.files), *report.show_stamp_file(package.files)]
        yield FactList([*report.show_facts(attestation), *files])
    else:
        yield from describe_verified(package)
    yield from details


def _find_check(attestation: Attestation, name: str) -> CheckResult:
    """Return a check of an attestation.

    Raises:
        UsageError: There is none with this name.
    """
    for check in attestation.checks:
        if check.check == name:
            return check
    msg = f"--check {name}: no such check; the package has {', '.join(each.check for each in attestation.checks)}"
    raise UsageError(msg)


def _encode_package(package: OpenedPackage, attestation: Attestation, check: str | None) -> dict[str, Any]:
    verification = None if package.report is None else msgspec.to_builtins(package.report)
    shown = {"package": package.path, "verification": verification}
    if check is not None:
        result = _find_check(attestation, check)
        found = [each for each in attestation.findings if each.check == check]
        return {**shown, "check": msgspec.to_builtins(result), "findings": msgspec.to_builtins(found)}
    return {
        **shown,
        "attestation": msgspec.to_builtins(attestation),
        "inventory": package.list_inventory(),
        "files": package.list_digests(),
    }

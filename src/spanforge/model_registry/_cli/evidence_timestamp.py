"""``evidence timestamp``: a time stamp of an authority for a signed package."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from spanforge.model_registry._cli.blocks import FactList, ItemList, Paragraph, print_blocks
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.evidence_report import describe_time_stamp
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.package_reading import TimestampCertOption, check_readable
from spanforge.model_registry._cli.periods import parse_duration
from spanforge.model_registry._cli.terminal import Styled, print_json
from spanforge.model_registry.compliance import timestamp_package

if TYPE_CHECKING:
    from spanforge.model_registry.compliance import TimeStamp

_LEAST_TIMEOUT: Final = timedelta(seconds=1)


@examples(
    "evidence timestamp october.zip --url https://tsa.example  # ends with 2: use your authority's address",
)
def stamp_package(  # noqa: PLR0913 - a parameter for each option
    path: Annotated[str, typer.Argument(metavar="PACKAGE", help="A zip or a folder.", show_default=False)],
    *,
    url: Annotated[str, typer.Option(metavar="URL", help="The address of the authority, http or https.")],
    certificates: TimestampCertOption = None,
    timeout: Annotated[str, typer.Option(metavar="TIME", help="The limit for the authority's reply.")] = "30s",
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier time stamp.")] = False,
    output: FormatOption = "text",
) -> None:
    """Add a time stamp of an authority to a signed package (RFC 3161).

    The authority receives a digest of the signature and nothing else. The command needs no private key, so it
    can run on another machine than the signer's. If it fails, the package is unchanged.
    """
    check_readable(path)
    seconds = parse_duration(timeout, "--timeout", _LEAST_TIMEOUT).total_seconds()
    stamp = timestamp_package(path, url, timeout=seconds, certificates=certificates, replace=force)
    if output == "json":
        print_json({"package": path, "timestamp": msgspec.to_builtins(stamp), "verified": certificates is not None})
        return
    print_blocks(
        [
            Paragraph(Styled(f"{path} has a time stamp.", "good")),
            FactList([("time", describe_time_stamp(stamp)), ("certificate", stamp.certificate_sha256)]),
            ItemList([_advise_after_stamp(stamp, is_verified=certificates is not None)]),
        ]
    )


def _advise_after_stamp(stamp: TimeStamp, *, is_verified: bool) -> str:
    if is_verified:
        return "Give auditors the authority's certificates, or let them get these from the authority."
    return f"Its signature is not verified: pass the certificates of {stamp.authority} with --timestamp-cert."

"""``evidence keygen``: a key pair for signing evidence packages."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from spanforge.model_registry._cli.blocks import FactList, ItemList, Paragraph, print_blocks
from spanforge.model_registry._cli.commands import PROGRAM, examples
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.key_files import read_passphrase
from spanforge.model_registry._cli.output_files import NewFile, write_new_files
from spanforge.model_registry._cli.terminal import Styled, print_json
from spanforge.model_registry.compliance._packages.optional_keys import keys


@examples("evidence keygen --output signer")
def generate_keys(
    name: Annotated[
        str,
        typer.Option("--output", "-o", metavar="NAME", help="Write NAME.pem (private) and NAME.pub.pem (public)."),
    ],
    passphrase_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Encrypt the private key with the passphrase in the first line of FILE."),
    ] = None,
    output: FormatOption = "text",
) -> None:
    """Create a key pair that signs and verifies evidence packages.

    The keys are Ed25519 in PEM, as openssl writes them. Existing files are never overwritten.
    """
    passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
    pair = keys.make_key_pair(passphrase)
    private, public = f"{name}.pem", f"{name}.pub.pem"
    write_new_files(NewFile(private, pair.private, 0o600), NewFile(public, pair.public, 0o644))
    if output == "json":
        print_json({"private_key": private, "public_key": public, "keyid": pair.keyid, "encrypted": bool(passphrase)})
        return
    print_blocks(
        [
            Paragraph(Styled("A new key pair", "good")),
            FactList([("private key", private), ("public key", public), ("key id", pair.keyid)]),
            ItemList(
                [
                    "Keep the private key secret: anyone who has it can sign in your name.",
                    f"Sign with it: {PROGRAM} evidence make --key {shlex.quote(private)} …",
                    "Give the public key to auditors by a separate channel. Let them compare the key id.",
                ]
            ),
        ]
    )

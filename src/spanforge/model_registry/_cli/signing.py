"""``sign``: the signature of a registry file, for services that read the file from a server."""

from __future__ import annotations

import os
import time
from typing import Annotated

import msgspec
import typer

from spanforge.model_registry._cli.blocks import FactList, ItemList, Paragraph, print_blocks
from spanforge.model_registry._cli.commands import examples
from spanforge.model_registry._cli.format_options import FormatOption
from spanforge.model_registry._cli.key_files import PassphraseOption, PublicKeyOption, load_signing_key
from spanforge.model_registry._cli.output_files import replace_output
from spanforge.model_registry._cli.terminal import Styled, print_json
from spanforge.model_registry._core.in_toto import PAYLOAD_TYPE
from spanforge.model_registry._core.registry_addresses import SIGNATURE_ENDING
from spanforge.model_registry._core.registry_signatures import make_statement
from spanforge.model_registry._core.settings import TRUSTED_KEYS
from spanforge.model_registry._core.storage import parse_entries, read_registry_file
from spanforge.model_registry._core.timestamps import format_micros
from spanforge.model_registry.compliance._packages.optional_keys import keys


@examples("sign models.yaml --key signer.pem  # ends with 2: make the key with evidence keygen first")
def sign_registry_file(
    path: Annotated[str, typer.Argument(metavar="FILE", help="The registry file.", show_default=False)],
    *,
    key: Annotated[
        str, typer.Option("--key", "-k", metavar="KEY", help="Private key in PEM, or the URI of a key in a KMS.")
    ],
    public_key: PublicKeyOption = None,
    passphrase_file: PassphraseOption = None,
    output: FormatOption = "text",
) -> None:
    """Sign a registry file, for services that read it from a server.

    The signature is FILE.sig, beside the file. It states the time of signing: services never go back to a version that
    was signed earlier. An invalid file is not signed.
    """
    content = read_registry_file(path)[1] or b""
    entries = parse_entries(path, content)
    signing_key = load_signing_key(key, public_key, passphrase_file)
    signed_at = format_micros(time.time_ns() // 1_000)
    statement = make_statement(os.path.basename(path), content, signed_at)
    envelope = keys.sign(signing_key, statement, PAYLOAD_TYPE)
    replace_output(path + SIGNATURE_ENDING, msgspec.json.encode(envelope) + b"\n")
    facts = {"file": path, "signature": path + SIGNATURE_ENDING, "signed_at": signed_at, "keyid": signing_key.keyid}
    if output == "json":
        print_json({**facts, "models": len(entries)})
        return
    print_blocks(
        [
            Paragraph(Styled(f"{path} is signed.", "good")),
            FactList([(name.replace("_", " ").replace("keyid", "key id"), text) for name, text in facts.items()][1:]),
            ItemList(
                [
                    "Publish both files. If you change the file, sign it again.",
                    f"Services check the signature if {TRUSTED_KEYS.variable} names the public key.",
                ]
            ),
        ]
    )

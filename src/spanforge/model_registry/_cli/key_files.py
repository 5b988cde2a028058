"""Files of signing keys: their options, keys with a passphrase, and keys that others can read."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from spanforge.model_registry._cli.registries import UsageError
from spanforge.model_registry._cli.terminal import print_line
from spanforge.model_registry._core.atomic_files import explain_os_error
from spanforge.model_registry._core.file_access import KEY_WARNING, find_key_users
from spanforge.model_registry.compliance._packages.optional_keys import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from spanforge.model_registry.compliance._packages.keys import SigningKey

PublicKeyOption = Annotated[str | None, typer.Option(metavar="KEY", help="Public key in PEM, if --key is a URI.")]
PassphraseOption = Annotated[
    str | None, typer.Option(metavar="FILE", help="The first line of FILE is the passphrase of the private key.")
]
MAX_PASSPHRASE: Final = 1_024
"""The limit of a passphrase's bytes, which is that of OpenSSL."""


def load_signing_key(key: str, public_key: str | None, passphrase_file: str | None) -> SigningKey:
    """Return the key that signs; the passphrase of an encrypted one comes from a file, or from the terminal.

    Raises:
        PackageError: The key cannot be used.
        UsageError: The passphrase is required and cannot be read.
    """
    signer: SigningKey = keys.load_signer(key, public_key, _choose_passphrase(passphrase_file))
    access = find_key_users(key)
    if access is not None:
        print_line(f"warning: {KEY_WARNING % (access, key)}", "warning", stderr=True)
    return signer


def read_passphrase(path: str) -> bytes:
    """Return the first line of a file.

    Raises:
        UsageError: The file cannot be read, or has no passphrase.
    """
    try:
        with open(path, "rb") as file:
            passphrase = file.readline(MAX_PASSPHRASE + 2).rstrip(b"\r\n")
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read: {explain_os_error(error)}"
        raise UsageError(msg) from None
    if not 0 < len(passphrase) <= MAX_PASSPHRASE:
        msg = f"{path}: the first line must have the passphrase, of at most {MAX_PASSPHRASE:,} bytes"
        raise UsageError(msg)
    return passphrase


def _choose_passphrase(passphrase_file: str | None) -> Callable[[str], bytes]:
    """Return the function that returns the passphrase of a key at a path."""
    if passphrase_file is None:
        return _ask_passphrase
    return lambda _: read_passphrase(passphrase_file)


def _ask_passphrase(path: str) -> bytes:
    if not sys.stdin.isatty():
        msg = f"{path}: is encrypted; pass --passphrase-file FILE"
        raise UsageError(msg)
    return getpass.getpass(f"Passphrase of {path}: ").encode()

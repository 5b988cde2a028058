"""Files of keys and certificates in PEM."""

from __future__ import annotations

from spanforge.model_registry._core.errors import PackageError, shorten


def read_start(path: str, size: int, rule: str) -> bytes:
    """Return the first bytes of a file.

    Args:
        path: The path of the file.
        size: The limit of bytes to read.
        rule: The end of the sentence about a file that cannot be read: what to pass instead.

    Raises:
        PackageError: The file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or shorten(str(error))
        raise PackageError(path, f"cannot be read: {reason}; {rule}") from None

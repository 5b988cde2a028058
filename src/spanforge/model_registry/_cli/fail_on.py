"""The kinds of ``--fail-on``: what ends a command with exit code 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._cli.registries import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

NO_KIND: Final = "never"
"""The word with which no kind ends a command with exit code 1."""


def parse_kinds(given: Sequence[str], kinds: Collection[str]) -> set[str]:
    """Return the kinds in the values of ``--fail-on``, which may be repeated and have commas.

    Args:
        given: The values.
        kinds: The kinds that the command knows.

    Raises:
        UsageError: There is no such kind.
    """
    chosen = {kind.strip() for text in given for kind in text.split(",")}
    unknown = sorted(chosen.difference(kinds, (NO_KIND,)))
    if unknown:
        msg = f"--fail-on {unknown[0] or repr('')}: unknown kind; kinds are {', '.join(kinds)} and {NO_KIND}"
        raise UsageError(msg)
    return chosen - {NO_KIND}

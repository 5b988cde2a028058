"""Names of options that are none, and of environment variables that are nearly those of settings."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._core.errors import shorten, show_name
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.settings import FILE, OPTIONS, SETTINGS, VARIABLES
from spanforge.model_registry._core.similar_names import find_similar_names

if TYPE_CHECKING:
    from collections.abc import Mapping

LIKE_PREFIX: Final = 0.85
"""The similarity from which the start of a name counts as ``VARIABLES``. No other variable of OpenTelemetry has it."""
LIKE_NAME: Final = 0.75
"""The similarity from which the rest of a name counts as the name of a setting."""
MIN_PART: Final = 4
"""The length from which a part of the name of a setting counts as its name."""
OTHER_WORDS: Final = {"": FILE.name, "path": FILE.name, "paths": FILE.name, "models": FILE.name, "registry": FILE.name}
"""Other words for settings."""

_KNOWN: Final = {setting.variable: setting.name for setting in SETTINGS}
_lines: Final = WarnOnce(100)


def warn_about_unknown_variables() -> None:
    """Log a line about each environment variable that is meant to be a setting but is none."""
    for name, advice in list_unknown_variables():
        _lines.warn(name, "model registry: %s is unknown and ignored; %s", show_name(name), advice)


def list_unknown_variables() -> list[tuple[str, str]]:
    """Return the environment variables that are meant to be settings but are none, each with what to write instead."""
    return [(name, _suggest(name)) for name in list(os.environ) if name not in _KNOWN and _is_like_ours(name)]


def drop_unknown_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the instrumentor has, and log each other option once."""
    names = [setting.name for setting in OPTIONS]
    for name in options:
        if name not in names:
            text = f"option {shorten(name)} is unknown and ignored; options are {', '.join(names)}"
            _lines.warn(text, "model registry: %s", text)
    return {name: value for name, value in options.items() if name in names}


def _is_like_ours(name: str) -> bool:
    """Check whether a name begins nearly like ``VARIABLES``, or has the same words."""
    upper = name.upper()
    if not upper.startswith("OTEL"):
        return False
    if "MODELREGISTRY" in _keep_letters(upper):
        return True
    return difflib.SequenceMatcher(None, upper[: len(VARIABLES)], VARIABLES).ratio() >= LIKE_PREFIX


def _suggest(name: str) -> str:
    """Return the variable that is probably meant, or else all of them."""
    meant = _find_meant_variable(name)
    if meant is not None:
        return f"did you mean {meant}?"
    endings = ", ".join(variable.removeprefix(VARIABLES) for variable in _KNOWN)
    return f"the names are {VARIABLES} and one of {endings}"


def _find_meant_variable(name: str) -> str | None:
    """Return the variable whose name is most like a name; ``None`` if several are, or none."""
    upper = name.upper()
    has_word = "REGISTRY" in upper
    rest = (upper.rpartition("REGISTRY")[2] if has_word else upper[len(VARIABLES) :]).strip("_- ").lower()
    settings = list(_KNOWN.values())
    near = find_similar_names(rest, settings, likeness=LIKE_NAME)
    if rest in OTHER_WORDS:
        near = [OTHER_WORDS[rest]]
    elif not near and len(rest) >= MIN_PART:
        near = [each for each in settings if rest in each]
    return VARIABLES + near[0].upper() if len(near) == 1 else None


def _keep_letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))

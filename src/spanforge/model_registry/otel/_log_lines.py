"""Log lines about the models of spans. Each is logged once per process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.default import get_default_registry
from spanforge.model_registry._core.packed_metadata import read_reserved
from spanforge.model_registry._core.process import WarnOnce
from spanforge.model_registry._core.settings import FILE
from spanforge.model_registry._core.shutdowns import WARNING_STEPS
from spanforge.model_registry._core.warning_texts import format_entry_line, format_name_line
from spanforge.model_registry.otel._counters import unregistered_names
from spanforge.model_registry.watch import find_watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.resolution import ModelIndex
    from spanforge.model_registry._core.span_models import ModelMatch
    from spanforge.model_registry.otel._shutdowns import NearShutdown

MAX_ENTRY_LINES: Final = 10_000
"""The limit of lines about deprecated and retired entries, which bounds memory."""
MAX_NAME_LINES: Final = 100
"""The limit of lines about names that are not registered, and of those about other answers. The names come from the
network."""

# Each has its own limit: names from the network must not use up the lines about registered models.
_entry_lines: Final = WarnOnce(MAX_ENTRY_LINES)
_name_lines: Final = WarnOnce(MAX_NAME_LINES)
_entry_shutdown_lines: Final = WarnOnce(MAX_ENTRY_LINES * len(WARNING_STEPS))
_name_shutdown_lines: Final = WarnOnce(MAX_NAME_LINES * len(WARNING_STEPS))
_empty_registry_line: Final = WarnOnce(1)


def log_warnings(match: ModelMatch, registry: ModelRegistry, index: ModelIndex, *, ignores_unregistered: bool) -> None:
    """Log the warnings about a span's model: one line about its entry, or about its name.

    Args:
        match: The model that the span names.
        registry: The registry in which it was looked up.
        index: The registry's entries at that time.
        ignores_unregistered: Whether nothing is logged about models that are not registered.
    """
    resolution = match.resolution
    if resolution.entry is not None:
        _log_entry(resolution.entry, resolution.warnings, has_other_answer=match.served is not None)
        return
    unregistered_names.add(resolution.candidate)
    if not ignores_unregistered and not _name_lines.is_exhausted():
        _log_unregistered(resolution.warnings, registry, index)


def log_shutdown(entry: ModelRegistryEntry | None, shutdown: NearShutdown, *, ignores_unregistered: bool) -> None:
    """Log the warning about a provider's shutdown, once at each step for each entry, or for models without an entry.

    Args:
        entry: The entry of the model; ``None`` if it is not registered.
        shutdown: The shutdown of the model.
        ignores_unregistered: Whether nothing is logged about models that are not registered.
    """
    if entry is not None:
        subject = entry.model_id, shutdown.warning, shutdown.step
        line = format_entry_line([shutdown.warning], entry.owner, read_reserved(entry).get("contact"))
        _entry_shutdown_lines.warn(subject, "model registry: %s", line)
    elif not ignores_unregistered:
        line = format_name_line([shutdown.warning])
        _name_shutdown_lines.warn((shutdown.warning, shutdown.step), "model registry: %s", line)


def _log_entry(entry: ModelRegistryEntry, warnings: Sequence[str], *, has_other_answer: bool) -> None:
    """Log a line about the entry, and one about another answer, which the last warning is about."""
    if has_other_answer:
        *warnings, answer = warnings
        _name_lines.warn(answer, "model registry: %s", format_entry_line([answer], entry.owner))
    if warnings and _entry_lines.admit((entry.model_id, entry.status)):
        line = format_entry_line(warnings, entry.owner, read_reserved(entry).get("contact"))
        logs.warn("model registry: %s", line)


def _log_unregistered(warnings: tuple[str, ...], registry: ModelRegistry, index: ModelIndex) -> None:
    """Log a line about the name, or one line about all names if the registry has no models."""
    watcher = find_watcher(registry)
    if watcher is not None and watcher.lacks_files:
        return  # the line about the file says that its models show as unregistered
    if index.entries:
        if _name_lines.admit(warnings):
            logs.warn("model registry: %s", format_name_line(warnings))
        return
    if _empty_registry_line.admit(""):
        text = "model registry: no models are registered, so every model shows as unregistered; %s"
        logs.warn(text, _advise(registry, () if watcher is None else watcher.files))


def _advise(registry: ModelRegistry, files: tuple[str, ...]) -> str:
    """Return the advice about a registry without models."""
    if files:
        return f"add models to {', '.join(files)}"
    if registry is not get_default_registry():
        return "register or load models in the registry of the span processor"
    if FILE.read():
        return f"the files of {FILE.variable} are not in force here; in a test, load them with load_files"
    return f"set {FILE.variable}, or call register_model"

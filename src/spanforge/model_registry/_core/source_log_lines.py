"""Log lines about changes of followed registry files, and of the folders and globs that contain them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core import logs
from spanforge.model_registry._core.file_access import warn_about_writers
from spanforge.model_registry._core.near_misses import list_near_misses
from spanforge.model_registry._core.process import START_TIMEOUT, WarnOnce
from spanforge.model_registry._core.registry_addresses import is_registry_address
from spanforge.model_registry._core.watched_file import WatchedFile
from spanforge.model_registry._core.watched_sources import list_watched_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spanforge.model_registry._core.errors import RegistryFileError
    from spanforge.model_registry._core.watched_address import WatchedAddress
    from spanforge.model_registry._core.watched_sources import WatchedSource

_MAX_SHOWN_FILES: Final = 5
"""The limit of files that a line about a reload names. A folder may have 1,000."""
_warnings: Final = WarnOnce(100)


def log_source_changes(
    new: Sequence[WatchedSource | WatchedAddress], old: Sequence[WatchedSource | WatchedAddress]
) -> list[str]:
    """Log each change between two looks at the same sources, and return the paths that became invalid."""
    invalid = [
        after.source
        for after, before in zip(new, old, strict=True)
        if _log_change(after.source, after.error, before.error, is_in_force=bool(after.files))
    ]
    old_files = {file.path: file for file in list_watched_files(old)}
    for file in list_watched_files(new):
        if _log_file_change(file, old_files.pop(file.path, WatchedFile(file.path))):
            invalid += [file.path]
    for path in old_files:
        logs.warn("model registry: registry file %s was removed, and its models with it", path)
    return invalid


def log_late_start(new: WatchedAddress, old: WatchedAddress, seconds: float) -> None:
    """Log that the first answer of a server came after the start of the application."""
    if old.file is None and new.file is not None and new.file.error is None and seconds > START_TIMEOUT:
        text = "model registry: registry file %s came %.0f s after the start; until then its models were unregistered"
        logs.warn(text, new.source, seconds)


def log_loaded_files(files: Sequence[WatchedFile], known: Mapping[str, str], *, is_start: bool) -> dict[str, str]:
    """Log one line with the files whose new content is in force, and return the version of each path.

    Args:
        files: The files in force.
        known: The versions that the last call returned.
        is_start: ``True`` for the first look at the files, which is logged for debugging only.
    """
    versions = {file.path: file.version for file in files if file.version is not None}
    loaded = [file for file in files if file.path in versions and file.version != known.get(file.path)]
    texts = [f"{file.path} (version {file.version}, models: {len(file.entries)})" for file in loaded[:_MAX_SHOWN_FILES]]
    if loaded[_MAX_SHOWN_FILES:]:
        texts.append(f"{len(loaded) - _MAX_SHOWN_FILES:,} more")
    if texts:
        log = logs.debug if is_start else logs.info
        log("model registry: loaded %s", ", ".join(texts))
    return versions


def _log_file_change(new: WatchedFile, old: WatchedFile) -> bool:
    """Log the change of a file, and return ``True`` if it became invalid."""
    if new.entries and new.entries is not old.entries:
        if not is_registry_address(new.path):
            warn_about_writers(new.path)
        _log_near_misses(new)
    return _log_change(new.path, new.error, old.error, is_in_force=new.entries is not None)


def _log_near_misses(file: WatchedFile) -> None:
    """Log one line about the values of a file that probably do not mean what its author meant."""
    near_misses = [near_miss for entry in file.entries for near_miss in list_near_misses(entry)]
    if not near_misses:
        return
    more = f" (and {len(near_misses) - 1:,} more)" if near_misses[1:] else ""
    text = f"{file.path}: {near_misses[0]}{more}"
    _warnings.warn(text, "model registry: check registry file %s", text)


def _log_change(
    path: str, error: RegistryFileError | None, old_error: RegistryFileError | None, *, is_in_force: bool
) -> bool:
    """Log that a file, folder or glob became invalid, or valid again, and return ``True`` if it became invalid."""
    if error is None:
        if old_error is not None and _admits_recovery(path, old_error):
            logs.info("model registry: registry file %s is valid again", path)
        return False
    if error is old_error or (old_error is not None and error.args == old_error.args):
        return False
    effect = "its previous entries stay in force"
    if not is_in_force:
        end = "it can be loaded" if is_registry_address(path) else "the file is fixed"
        effect = f"its models show as unregistered until {end}"
    effect += _suggest_check(error)
    _warnings.warn(str(error), "model registry: cannot load registry file %s; %s", error, effect)
    return True


def _admits_recovery(path: str, error: RegistryFileError) -> bool:
    """Check whether the end of an error is logged. A server may fail again and again, so its line comes once."""
    return not is_registry_address(path) or _warnings.admit((path, str(error)))


def _suggest_check(error: RegistryFileError) -> str:
    """Return the end of the line about a fault in the content of a file: the file may have more faults."""
    return "" if error.line is None else "; spanforge-models check lists all faults"

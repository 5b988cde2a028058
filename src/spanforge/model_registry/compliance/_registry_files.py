"""The registry of an evidence package: its entries, and the files from which they were read."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from spanforge.model_registry._core.errors import RegistryFileError
from spanforge.model_registry._core.state import list_sources
from spanforge.model_registry._core.storage import encode_entries, parse_entries, read_registry_file
from spanforge.model_registry.compliance._attestation_request import AttestedRegistry, RegistryFile
from spanforge.model_registry.compliance._sources.files import as_unicode, shorten_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.registry import ModelRegistry
    from spanforge.model_registry._core.storage import SourceFile

MAX_COPY_NAME: Final = 100
"""The limit of characters of a file's name that the name of its copy has. The last ones are kept."""
_OTHER_CHARACTERS: Final = re.compile(r"[^A-Za-z0-9._-]")


class RegistryCopy(NamedTuple):
    """A copy of a registry for an evidence package.

    Attributes:
        attested: The description of the registry in the attestation.
        entries: Its entries in canonical form: the JSON file that ``ModelRegistry.save`` writes.
        files: The bytes of each file of ``attested.files``.
    """

    attested: AttestedRegistry
    entries: bytes
    files: tuple[bytes, ...]


def copy_registry(
    registry: ModelRegistry, entries: Sequence[ModelRegistryEntry], source_revision: str | None
) -> RegistryCopy:
    """Return a copy of a registry with these entries, and of its files if neither they nor the entries changed."""
    sources = list_sources(registry)
    contents = _read_unchanged(sources)
    if not sources or contents is None or _combine(sources, contents) != list(entries):
        sources, contents = [], []
    canonical = encode_entries(entries)
    names = shorten_paths([source.path for source in sources])
    files = [
        RegistryFile(name=name, file=_name_copy(number, source.path), size=len(content), sha256=source.sha256)
        for number, (name, source, content) in enumerate(zip(names, sources, contents, strict=True), 1)
    ]
    attested = AttestedRegistry(
        models=len(entries),
        sha256=hashlib.sha256(canonical).hexdigest(),
        files=tuple(files),
        source_revision=source_revision,
    )
    return RegistryCopy(attested, canonical, tuple(contents))


def _read_unchanged(sources: Sequence[SourceFile]) -> list[bytes] | None:
    """Return the bytes of each file; ``None`` if one cannot be read again, or has changed since it was read."""
    contents = []
    for source in sources:
        try:
            _, content = read_registry_file(source.path)
        except RegistryFileError:
            return None
        if content is None or hashlib.sha256(content).hexdigest() != source.sha256:
            return None
        contents.append(content)
    return contents


def _combine(sources: Sequence[SourceFile], contents: Sequence[bytes]) -> list[ModelRegistryEntry]:
    """Return the entries of all files. If two files have the same model, the first one takes precedence."""
    entries: dict[str, ModelRegistryEntry] = {}
    for source, content in zip(sources, contents, strict=True):
        for entry in parse_entries(source.path, content):
            entries.setdefault(entry.model_id, entry)
    return list(entries.values())


def _name_copy(number: int, path: str) -> str:
    return f"registry-{number}-{clean_copy_name(os.path.basename(path))}"


def clean_copy_name(name: str) -> str:
    """Return a file's name for the name of its copy, without characters that a package does not allow."""
    return _OTHER_CHARACTERS.sub("_", as_unicode(name))[-MAX_COPY_NAME:]

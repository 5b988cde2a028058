"""Framework files in JSON and YAML: the faults of a file are reported, each with its line and column."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from spanforge.model_registry._core import storage
from spanforge.model_registry._core.calendar_files import read_yaml
from spanforge.model_registry._core.errors import RegistryFileError
from spanforge.model_registry._core.json_places import find_json_member
from spanforge.model_registry._core.json_texts import decode_json_text, decode_json_value, list_duplicate_keys
from spanforge.model_registry.compliance._frameworks.faults import (
    FrameworkFault,
    list_framework_faults,
    list_id_clashes,
)
from spanforge.model_registry.compliance._frameworks.fields import (
    MAX_FRAMEWORK_FAULTS,
    MAX_FRAMEWORK_SIZE,
    PARAMETER_NAMES,
)
from spanforge.model_registry.compliance._frameworks.framework import FrameworkSource, build_framework

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spanforge.model_registry._core.file_texts import Place
    from spanforge.model_registry.compliance._frameworks.framework import Framework

    _FindPlace = Callable[[FrameworkFault], "Place | tuple[None, None]"]


class FrameworkFileError(RegistryFileError):
    """A framework file has faults. The facts of the error are those of the first one.

    Attributes:
        faults: All faults, or the first 50, each with its path, line, column, field and reason.
    """

    def __init__(self, faults: Iterable[RegistryFileError]) -> None:
        self.faults: tuple[RegistryFileError, ...] = tuple(faults)
        first = self.faults[0]
        super().__init__(first.path, first.reason, field=first.field, line=first.line, column=first.column)

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.faults,)


def load_framework(path: str | os.PathLike[str]) -> Framework:
    """Return the framework in a JSON or YAML file. YAML needs the extra ``yaml``.

    Args:
        path: The path of the file. docs/own-frameworks.md describes its fields.

    Raises:
        FrameworkFileError: The file has faults, or its id is that of a framework of the library. The error lists all
            faults, each with line, column and field (also a ``ValueError``).
        RegistryFileError: The file cannot be read, is too large, or is not JSON or YAML (also a ``ValueError``).
    """
    name = os.fsdecode(path)
    return parse_framework(name, storage.read_registry_file(name)[1] or b"")


def parse_framework(name: str, content: bytes, *, is_shipped: bool = False) -> Framework:
    """Return the framework in a file with this name and content.

    Raises:
        FrameworkFileError: The content has faults.
        RegistryFileError: The content is not JSON or YAML, or is too large.
    """
    if len(content) > MAX_FRAMEWORK_SIZE:
        raise RegistryFileError(name, f"is larger than {MAX_FRAMEWORK_SIZE:,} bytes, the limit of a framework")
    parse = _parse_yaml_framework if storage.is_yaml(name) else _parse_json_framework
    data, faults, find_place = parse(name, content)
    clashes = [] if is_shipped else list_id_clashes(data)
    found = list(islice((*faults, *clashes, *list_framework_faults(data)), MAX_FRAMEWORK_FAULTS))
    if found:
        raise FrameworkFileError(_locate_fault(name, fault, find_place) for fault in found)
    return build_framework(data, FrameworkSource(os.path.basename(name), content, is_shipped))


def _locate_fault(name: str, fault: FrameworkFault, find_place: _FindPlace) -> RegistryFileError:
    line, column = find_place(fault)
    return RegistryFileError(name, fault.problem, field=fault.path or None, line=line, column=column)


def _parse_json_framework(name: str, content: bytes) -> tuple[Any, list[FrameworkFault], _FindPlace]:
    text = decode_json_text(name, content)
    data = decode_json_value(name, text)
    repeated = [
        FrameworkFault(path.removesuffix(key).rstrip("."), f"has the key {key!a} twice; remove one", key)
        for path, key in list_duplicate_keys(data)
    ]

    def find_place(fault: FrameworkFault) -> Place | tuple[None, None]:
        with suppress(RecursionError):  # the text was read with more of the stack left
            return find_json_member(text, fault.path, fault.key)
        return None, None

    return data, repeated, find_place


def _parse_yaml_framework(name: str, content: bytes) -> tuple[Any, list[FrameworkFault], _FindPlace]:
    root, _ = read_yaml(name, content, "a YAML mapping with the fields of a framework")
    from spanforge.model_registry._core import yaml_entries  # noqa: PLC0415 - PyYAML is an extra, and is installed here

    def make_value(node: Any, key: str | None = None) -> Any:
        if isinstance(node.value, list):
            return [make_value(item) for item in node.value]
        if isinstance(node.value, dict):
            return {name: make_value(member.node, name) for name, member in node.value.items()}
        return yaml_entries.make_plain(node, as_text=key not in PARAMETER_NAMES)

    def find_place(fault: FrameworkFault) -> Place:
        _, node = yaml_entries.follow(root, f".{fault.path}" if fault.path else "")
        member = node.value.get(fault.key) if isinstance(node.value, dict) and fault.key is not None else None
        place: Place = node.place if member is None else member.key_place
        return place

    return make_value(root), [], find_place

"""Fuzz targets of files: registries in JSON and YAML, and provider calendars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from support.fuzz.limits import check_message, expect

from spanforge.model_registry import ModelRegistry, RegistryFileError
from spanforge.model_registry._cli.check_findings import has_failed
from spanforge.model_registry._cli.checked_files import CheckedFile
from spanforge.model_registry._cli.lint_rules import LINT_RULES
from spanforge.model_registry._cli.registry_check import check_registry
from spanforge.model_registry._core.globs import is_glob
from spanforge.model_registry.calendar import Calendar, read_feed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fuzz.limits import Target

    from spanforge.model_registry import ModelRegistryEntry
    from spanforge.model_registry.calendar import FeedFormat

TODAY = "2026-11-29"
FORMS: tuple[FeedFormat, ...] = ("litellm", "modeldeprecations", "deprecations.info", "bedrock")


def load(path: Path) -> list[ModelRegistryEntry] | str:
    """Return the entries of a registry file, or the error about it; the command ``check`` must agree."""
    registry = ModelRegistry(auto_emit=False)
    findings = check_registry([CheckedFile(str(path), path.read_bytes())], LINT_RULES, TODAY)
    try:
        registry.load(path)
    except RegistryFileError as error:
        expect(has_failed(findings, "error"), "the command check finds no fault in a file that cannot be loaded")
        return check_message(error)
    return registry.list_all()


def check_saved(entries: list[ModelRegistryEntry], path: Path) -> None:
    """Check that entries come back from a file as they were saved."""
    registry = ModelRegistry(auto_emit=False)
    path.unlink(missing_ok=True)
    source = path.with_name("saved-source.json")
    source.write_text(json.dumps([entry.to_dict() for entry in entries]), "utf-8")
    registry.load(source)
    registry.save(path)
    expect(load(path) == entries, "saved entries differ from those that were loaded")


def check_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object, in which no key may be twice."""
    expect(len(dict(pairs)) == len(pairs), "a file with a key twice was loaded")
    return dict(pairs)


def fuzz_json(folder: Path) -> Target:
    """Check registry files in JSON: the same entries in any layout, if read as YAML, and after they were saved."""
    path, other, as_yaml = folder / "models.json", folder / "other.json", folder / "models.yaml"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        entries = load(path)
        if isinstance(entries, str):
            return
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        value = json.loads(text, object_pairs_hook=check_keys)
        other.write_text(json.dumps(value, indent=1), "utf-8")
        expect(load(other) == entries, "the entries depend on the form of the JSON")
        as_yaml.write_text(text, "utf-8")
        in_yaml = load(as_yaml)
        expect(isinstance(in_yaml, str) or in_yaml == entries, "JSON has other entries if it is read as YAML")
        check_saved(entries, other)

    return run


def fuzz_yaml(folder: Path) -> Target:
    """Check registry files in YAML: an error, or entries that can be saved."""
    path, other = folder / "models.yaml", folder / "other.json"

    def run(data: bytes) -> None:
        path.write_bytes(data)
        entries = load(path)
        if not isinstance(entries, str):
            check_saved(entries, other)

    return run


def _load_calendar(read: Callable[..., Calendar], *arguments: Any) -> Calendar | None:
    try:
        return read(*arguments)
    except RegistryFileError as error:
        check_message(error)
        return None


def fuzz_calendar(folder: Path) -> Target:
    """Check calendars in JSON, YAML and the public formats; the first byte selects the format."""
    as_json, as_yaml, again = folder / "calendar.json", folder / "calendar.yaml", folder / "again.json"

    def read(kind: int, content: bytes) -> Calendar | None:
        path = as_yaml if kind % 2 else as_json
        path.write_bytes(content)
        if kind < 2:
            return _load_calendar(Calendar.load, path)
        return _load_calendar(lambda: read_feed(path, FORMS[kind // 2 - 1], checked_on=TODAY))

    def run(data: bytes) -> None:
        calendar = read(data[0] % (2 + 2 * len(FORMS)), data[1:]) if data else None
        if calendar is None:
            return
        calendar.save(again)
        expect(Calendar.load(again).announcements == calendar.announcements, "a saved calendar differs")
        for each in calendar.announcements:
            if is_glob(each.model):  # it need not match its own text
                continue
            expect(calendar.find(each.model, provider=each.provider), f"no model {each.model!r} at {each.provider!r}")

    return run

"""Fuzz target of model names: how they resolve, as ids, aliases and globs, and as suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.evidence import make_entry
from support.fuzz.limits import CONTROLS, check_message, decode, expect
from support.unfinished import fill_in

from spanforge.model_registry import InvalidValueError, ModelRegistry
from spanforge.model_registry._cli.finding_kinds import UNREGISTERED_KIND
from spanforge.model_registry._cli.findings import Finding
from spanforge.model_registry._cli.suggestions import suggest_entries
from spanforge.model_registry._core.globs import is_glob
from spanforge.model_registry._core.storage import parse_entries

if TYPE_CHECKING:
    from pathlib import Path

    from support.fuzz.limits import Target

    from spanforge.model_registry._core.entry import ModelRegistryEntry
    from spanforge.model_registry._core.names import MatchMode

MODES: tuple[MatchMode, ...] = ("forms", "exact")
ENTRIES = [
    make_entry("gpt-4o", metadata={"aliases": ["gpt-4o-20*"]}),
    make_entry("azure/gpt-4o", metadata={"provider": "azure"}),
    make_entry("claude-sonnet-4-5", metadata={"aliases": ["sonnet", "*sonnet*"], "provider": ["anthropic", "bedrock"]}),
    make_entry("gpt-4o-2024-05-13", metadata={"aliases": ["[a-c]x?", "ft:gpt-*"]}),
    make_entry("nova-v1"),
    make_entry("llama-3.3-70b-instruct", metadata={"aliases": ["meta-llama/Llama-3.3-70B-Instruct"]}),
]


def make_registry(*entries: ModelRegistryEntry) -> ModelRegistry:
    """Return a registry of these entries, registered one by one."""
    registry = ModelRegistry(auto_emit=False)
    for entry in entries:
        fields = {"model_id": entry.model_id, "name": "N", "version": "1", "risk_tier": "low"}
        registry.register(**fields, owner="o", purpose="p", metadata=entry.to_dict()["metadata"])
    return registry


def check_as_id(name: str) -> None:
    """Check that a name that can be an id is found by itself."""
    registry = ModelRegistry(auto_emit=False)
    try:
        registry.register(name, "N", "1", "low", "o", "p")
    except InvalidValueError as error:
        check_message(error)
        return
    for mode in MODES:
        resolution = registry.resolve(name, match=mode)
        expect(resolution.entry == registry.get(name), f"the id {name!r} is not found")
        expect(resolution.rule == "id", f"the id {name!r} is found as {resolution.rule}")


def check_as_alias(name: str, text: str) -> None:
    """Check that an alias, which may be a glob, is allowed or refused, and never ends a lookup."""
    registry = ModelRegistry(auto_emit=False)
    try:
        registry.register("model", "N", "1", "low", "o", "p", aliases=[name])
    except InvalidValueError as error:
        check_message(error)
        return
    entry = registry.resolve(name).entry
    expect(entry is not None or is_glob(name), f"the alias {name!r} is not found")
    registry.resolve(text * 20)


def check_suggestion(name: str) -> None:
    """Check that a suggested file has an entry that loads, and that has the name or says that no entry can match it."""
    finding = Finding(UNREGISTERED_KIND, None, name, names={name: 1})
    suggestions = suggest_entries([finding], [], "forms")
    text = suggestions.format()
    expect(text.count("model_id:") == len(suggestions.entries), f"{name!r} breaks the suggested file")
    if suggestions.entries:
        (entry,) = parse_entries("suggested.yaml", fill_in(text).encode())
        found = make_registry(entry).resolve(name).entry
        expect(found is not None or name in suggestions.lost, f"the suggested entry does not match {name!r}")


def fuzz_names(_folder: Path) -> Target:
    """Check any name; the text before the first line end is the provider."""
    registry, reversed_registry = make_registry(*ENTRIES), make_registry(*reversed(ENTRIES))

    def run(data: bytes) -> None:
        before, _, after = data.partition(b"\n")
        provider, name = decode(before) or None, decode(after)
        options: dict[str, Any] = {"provider": provider}
        for mode in MODES:
            resolution = registry.resolve(name, match=mode, **options)
            other = reversed_registry.resolve(name, match=mode, **options)
            id_of = resolution.entry and resolution.entry.model_id
            expect(id_of == (other.entry and other.entry.model_id), "the order of registration decides")
            expect((resolution.rule, resolution.warnings) == (other.rule, other.warnings), "likewise")
            expect(not CONTROLS.search("".join(resolution.warnings)), "a warning has control characters")
        check_as_id(name)
        check_as_alias(name, decode(before))
        check_suggestion(name)

    return run

"""The rules of ``check``: each finds what it is for, and nothing in a good registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.lint import CALENDAR, TODAY, entry, find_issues, named
from support.model_names import FAMILIES

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry._cli.lint_globs import find_all_matching_globs
from spanforge.model_registry._cli.lint_rules import ALL_RULES, EMPTY_REGISTRY, FILE_RULES, LINT_RULES
from spanforge.model_registry._cli.lint_types import SEVERITIES, Catalog

ROOT = Path(__file__).parents[2]


def without(key: str, **fields: Any) -> dict[str, Any]:
    """Return a deprecated entry without a key of the metadata."""
    made = entry("old", status="deprecated", **fields)
    del made["metadata"][key]
    return made


RECORD = {"at": "2026-01-01", "status": "active", "owner": "o", "risk_tier": "low"}
CASES: dict[str, list[tuple[list[dict[str, Any]], list[tuple[str, str]]]]] = {
    "same-name": [
        ([named("a", "x"), named("b", "x")], [("b", "metadata.aliases[0]")]),
        ([named("a"), named("b", "y", "a")], [("b", "metadata.aliases[1]")]),
        ([named("b", "a"), named("a")], [("a", "model_id")]),
        ([named("a", "x", provider="azure"), named("b", "x", provider=["openai", "az.ai.openai"])], [("b", "")]),
        ([named("a", "x", provider="azure"), named("b", "x", provider="openai"), named("c", "x")], []),
    ],
    "same-form": [
        ([named("gpt-4o"), named("GPT-4o")], [("GPT-4o", "model_id")]),
        ([named("llama-3.3-70b"), named("b", "Llama3-3-70b")], [("b", "metadata.aliases[0]")]),
        ([named("gpt-4o"), named("openai/gpt-4o")], [("openai/gpt-4o", "model_id")]),
        ([named("gpt-4o"), named("azure/gpt-4o")], []),
        ([named("gpt-4o", provider="azure"), named("GPT-4o", provider="openai")], []),
        ([named("gpt-4o", "GPT-4o", "openai/gpt-4o"), named("gpt-4o-mini")], []),
        ([named("gpt-4o"), named("gpt-4o-2024-05-13")], []),
    ],
    "same-glob": [
        ([named("a", "x-2*"), named("b", "x-2*")], [("b", "metadata.aliases[0]")]),
        ([named("a", "x-20??"), named("b", "x-20[0-9]?")], [("b", "metadata.aliases[0]")]),
        (
            [named("a", "x-[4-6]?"), named("b", "x-[5]?"), named("c", "[!0]-*"), named("d", "[!0]-*")],
            [("b", ""), ("d", "")],
        ),
        ([named("a", "x-2*"), named("b", "x-20*"), named("c", "y-[ab]"), named("d", "y-[cd]")], []),
        ([named("a", "x-2*", provider="azure"), named("b", "x-2*", provider="openai")], []),
    ],
    "glob-as-id": [
        ([named("gpt-4o-*"), named("a?")], [("gpt-4o-*", "model_id"), ("a?", "model_id")]),
        ([named("claude-opus-5[1m]")], []),
    ],
    "glob-matches-all": [
        ([named("a", "*"), named("b", "*-*"), named("c", "?", "[0-9]*")], [("a", ""), ("b", ""), ("c", "")]),
        ([named("a", "*/a", "a-2*")], []),
    ],
    "refused-route": [
        ([named("azure/gpt-4o", provider="openai")], [("azure/gpt-4o", "model_id")]),
        ([named("a", "bedrock/x", provider=["openai", "groq"])], [("a", "metadata.aliases[0]")]),
        ([named("azure/gpt-4o", "openai/gpt-4o", provider=["az.ai.openai", "openai"])], []),
    ],
    "not-a-provider": [
        ([named("a", provider="langchain")], [("a", "metadata.provider")]),
        ([named("a", provider=["openai", "unknown"])], [("a", "metadata.provider[1]")]),
        ([named("a", provider="house-vllm")], []),
    ],
    "provider-glob": [([named("a", provider="azure*")], [("a", "metadata.provider")])],
    "unknown-provider": [
        ([named("a", provider="azzure"), named("b", provider="anthropc")], [("a", ""), ("b", "metadata.provider")]),
        ([named("a", provider=["Azure OpenAI", "OpenAI API", "our gateway", "openai,azure"])], [("a", "")] * 4),
        ([named("a", provider=["house-vllm", "openai", "exa_ai", "Bedrock"])], []),
    ],
    "provider-spelling": [
        ([named("a", provider=["OpenAI", "azure"])], [("a", "metadata.provider[0]")]),
        ([named("a", provider=["house", "gcp.gemini", "vertex_ai", "mistral"])], []),
    ],
    "successor-cycle": [
        ([entry("m", {"successor": "m"}, status="deprecated")], [("m", "metadata.successor")]),
        (
            [entry(a, {"successor": b}, status="deprecated") for a, b in ("ab", "bc", "cb", "da")],
            [("b", "metadata.successor")],
        ),
        ([entry("a", {"successor": "m"}, status="deprecated"), entry("m")], []),
    ],
    "provider-shutdown": [
        ([named("gone-1", provider="openai"), named("going-1")], [("gone-1", "model_id")]),
        ([entry("gone-1", status="retired"), named("gone-1x"), named("gone-2", provider="azure")], []),
    ],
    "provider-shutdown-near": [
        ([named("gone-1"), named("going-1"), named("later-1")], [("going-1", "model_id")]),
    ],
    "wide-glob": [
        ([named("gpt-4o", "gpt-4o-*")], [("gpt-4o", "metadata.aliases[0]")]),
        ([named("gpt-4", "gpt-4*"), named("b", "*acme-chat*")], [("gpt-4", "metadata.aliases[0]"), ("b", "")]),
        ([named("a", "claude-opus-4-*", "acme-*")], [("a", "metadata.aliases[0]"), ("a", "metadata.aliases[1]")]),
        ([named("a", "gpt-4.1*", "x-1-0*", "x-2*")], [("a", "metadata.aliases[0]")]),
        ([named("a", "x-v*", "x-v2-20*"), named("x-video")], [("a", "metadata.aliases[0]")]),
        ([named("gpt-4o", "gpt-4o-20??-??-??", "gpt-4o-2*", "*/gpt-4o", "gpt-4o-2024-*"), named("gpt-4o-mini")], []),
        ([named("gpt-4o", "gpt-4o-20??-??-??"), named("gpt-4o-2024-05-13")], []),
        ([named("a", "x-2*", provider="azure"), named("x-2", provider="openai")], []),
    ],
    "foreign-sign": [
        (
            [named("a", "^gpt-4o", r"gpt-4o-\d+", "x-(mini|nano)", "x-{mini,nano}", "b,c", "(gpt-4o.*)")],
            [("a", f"metadata.aliases[{i}]") for i in range(6)],
        ),
        ([named("a", "claude-3.*", "ft:gpt-4o:acme::1", "x-[0-9]", "arn:aws:bedrock:eu-1:1:model/x.y-v1:0")], []),
    ],
    "address": [
        (
            [named("https://api.openai.com/v1"), named("a", "HTTP://x", "www.acme.example/m")],
            [("https://api.openai.com/v1", "model_id"), ("a", "metadata.aliases[0]"), ("a", "metadata.aliases[1]")],
        ),
        ([named("a", "file:///models/x", "//host/x", "wss://x")], [("a", f"metadata.aliases[{i}]") for i in range(3)]),
        (
            [
                named("hf.co/acme/x:Q4"),
                named("arn:aws:bedrock:eu-1::m/x"),
                named("a", "azureml://m/x", "*/https", "httpx"),
            ],
            [],
        ),
    ],
    "glob-case": [
        ([named("gpt-4o", "GPT-4o-20??-??-??", "*/Gpt-4O")], [("gpt-4o", f"metadata.aliases[{i}]") for i in (0, 1)]),
        ([named("Llama-3-8b", "*/Llama-3-8b", "llama-3-8b"), named("a", "B-2*"), named("x", "X", "X-2*")], []),
    ],
    "size-in-brackets": [
        ([named("a", "claude-opus-5[1m]")], [("a", "metadata.aliases[0]")]),
        ([named("a", "claude-opus-5[[]1m]", "x-[0-9]", "y-[1m]-2"), named("claude-opus-5[1m]")], []),
    ],
    "shadowed-name": [
        ([named("gpt-4o", provider="openai"), named("openai/gpt-4o")], [("gpt-4o", "model_id")]),
        ([named("a"), named("b", "a", provider="openai")], [("b", "metadata.aliases[0]")]),
        ([named("a", provider="azure"), named("b", "a", provider="openai")], []),
    ],
    "odd-character": [
        ([named("gpt\u20114o"), named("GPT 4o")], [("gpt\u20114o", "model_id"), ("GPT 4o", "model_id")]),
        ([named("a", "gpt-4\u043e", "x\u200b1", "y\u202e")], [("a", f"metadata.aliases[{i}]") for i in range(3)]),
        ([named("a", "mode\u0301le", "\uff47pt", "x\u3164")], [("a", f"metadata.aliases[{i}]") for i in range(3)]),
        ([named("\u0391-\u0392"), named("b", "🚀-1")], [("\u0391-\u0392", "model_id"), ("b", "metadata.aliases[0]")]),
        ([named("a", "日本語-モデル-1", "modèle-1", "ft:gpt-4o:acme::x_1@2[1m]", "модель-1", "हिन्दी-1")], []),
    ],
    "look-alike": [
        ([named("gpt-4o"), named("gpt-4\u043e")], [("gpt-4\u043e", "model_id")]),
        ([named("a", "gpt\u20114o"), named("GPT-4o")], [("GPT-4o", "model_id")]),
        ([named("modèle"), named("b", "mode\u0300le")], [("b", "metadata.aliases[0]")]),
        ([named("gpt-4o", "gpt\u20114o"), named("gpt-4-o", "GPT-40")], []),
    ],
    "placeholder-name": [([named("unknown"), named("a", "N/A")], [("unknown", "model_id"), ("a", "")])],
    "undated-status": [
        ([entry("a", status="retired", decommission_date=None)], [("a", "status")]),
        ([without("deprecation_date")], [("old", "status")]),
        ([entry("a", {"history": [{**RECORD, "status": "retired"}]}, status="retired", decommission_date=None)], []),
    ],
    "date-without-status": [
        ([entry("a", decommission_date="2027-01-01")], [("a", "decommission_date")]),
        ([entry("a", {"successor": "m", "sunset_date": None})], [("a", "metadata.successor")]),
        ([entry("a", status="deprecated", decommission_date="2026-03-01")], [("a", "decommission_date")]),
    ],
    "dates-out-of-order": [
        ([entry("a", status="retired", deployment_date="2026-03-01")], [("a", "decommission_date")]),
        ([entry("a", {"sunset_date": "2025-01-01"}, status="deprecated")], [("a", "metadata.sunset_date")]),
        ([entry("a", {"deprecation_date": "2026-01-01T01:00:00+02:00"}, deployment_date="2025-12-31T22:59:59Z")], []),
        ([entry("a", {"sunset_date": "2027-01-01", "deprecation_date": "2026-01-01"}, status="retired")], []),
    ],
    "status-too-early": [
        ([entry("a", status="retired", decommission_date="2026-11-30")], [("a", "decommission_date")]),
        ([entry("a", status="retired", decommission_date="2026-11-29")], []),
        ([entry("a", status="retired", decommission_date="2026-11-29T23:00:00-02:00")], [("a", "decommission_date")]),
    ],
    "past-sunset": [
        ([entry("a", {"sunset_date": "2026-11-29"}, status="deprecated")], [("a", "metadata.sunset_date")]),
        ([entry("a", {"sunset_date": "2026-11-30"}, status="deprecated")], []),
        ([entry("a", {"sunset_date": "2026-01-01"}, status="retired")], []),
    ],
    "history-differs": [
        ([entry("a", {"history": [RECORD]}, status="retired")], [("a", "status")]),
        ([entry("a", {"history": [RECORD]})], []),
    ],
    "unknown-successor": [
        ([entry("a", {"successor": "gpt-5"}, status="deprecated")], [("a", "metadata.successor")]),
        ([entry("a", {"successor": "openai/M-2024-05-13"}, status="deprecated"), entry("m")], []),
    ],
    "ended-successor": [
        ([entry("a", status="deprecated"), entry("m", status="retired")], [("a", "metadata.successor")]),
        ([entry("a", {"base_model": ["m"]}), entry("m", status="retired")], [("a", "metadata.base_model")]),
        ([entry("a", {"successor": "m"}, status="retired"), entry("m", status="retired")], []),
    ],
    "near-miss": [
        ([entry("a", {"alias": ["b"]}, owner="{{ x }}")], [("a", "metadata.alias"), ("a", "owner")]),
        ([entry("a", {"ticket": "GOV-1", "cost_center": 4, "region": "eu", "source": "x"})], []),
    ],
    "unfilled-field": [
        ([entry("a", purpose="TODO: ask"), entry("b", owner="<owner>")], [("a", "purpose"), ("b", "owner")]),
        ([entry("a", purpose="todo lists of users", version="1", name="X")], []),
    ],
    "owner-spelling": [
        ([entry("a", owner="ML Platform"), entry("b", owner="ml-platform")], [("b", "owner")]),
        ([entry("a", owner="ml-platform"), entry("b", owner="ml-platforms"), entry("c", owner="---")], []),
    ],
    "no-contact": [
        ([entry("a", {"contact": None}), entry("b", {"contact": None})], [("a", "owner")]),
        ([entry("a", {"contact": None}, status="retired"), entry("b")], []),
    ],
    "no-successor": [([without("successor"), entry("m")], [("old", "status")])],
    "unknown-base-model": [([entry("a", {"base_model": "gpt-5"})], [("a", "metadata.base_model")])],
    "repeated-alias": [
        ([named("a", "x", "x", "a")], [("a", "metadata.aliases[1]"), ("a", "metadata.aliases[2]")]),
    ],
}
ROWS = [(name, *case) for name, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("name", "entries", "expected"), ROWS, ids=[f"{row[0]}-{i}" for i, row in enumerate(ROWS)])
def test_a_rule(name: str, entries: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    """A rule finds each fault at its model and field, and nothing where there is none."""
    found = find_issues(entries, name)
    assert [model_id for _, model_id, _ in found] == [model_id for model_id, _ in expected]
    for (_, _, field), (_, expected_field) in zip(found, expected, strict=True):
        assert expected_field in ("", field)


def test_a_glob_without_fixed_text_can_miss_models() -> None:
    """The message about such a glob is true for one that does not match all names."""
    registry = Catalog([ModelRegistryEntry.from_dict(named("a", "*-*"))], TODAY, CALENDAR)
    (issue,) = find_all_matching_globs(registry)
    assert issue.message == "glob '*-*' has no letter or digit outside brackets, so it can match many models"


def test_the_table_of_rules() -> None:
    """Each rule has a test, a name of its own, whole sentences, and its place by severity."""
    assert {*CASES, EMPTY_REGISTRY.name} == {rule.name for rule in LINT_RULES}
    assert len({rule.name for rule in ALL_RULES}) == len(ALL_RULES)
    assert {rule.severity for rule in FILE_RULES} == {"error"}
    severities = [SEVERITIES.index(rule.severity) for rule in LINT_RULES]
    assert severities == sorted(severities)
    assert all(text.endswith(".") and text[0].isupper() for rule in ALL_RULES for text in (rule.sentence, rule.fix))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_registry_of_a_family_is_clean(family: str) -> None:
    """Nothing is found in a registry of a family, its snapshots and its siblings, written as litellm writes them."""
    siblings = {name: None for name in FAMILIES[family].siblings if "/" not in name}
    registry = ModelRegistry(auto_emit=False)
    for name in {family: None, **siblings}:
        if registry.resolve(name).entry is None:
            registry.register(name, "N", "1", "low", "team", "a test", metadata={"contact": "#team"})
    assert find_issues([each.to_dict() for each in registry]) == []


@pytest.mark.parametrize(
    "path",
    sorted(ROOT.glob("examples/**/models.yaml")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_examples_are_clean(path: Path) -> None:
    """The examples have neither errors nor warnings."""
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    severities = {rule.name: rule.severity for rule in LINT_RULES}
    assert [row for row in find_issues([each.to_dict() for each in registry]) if severities[row[0]] != "note"] == []


def test_messages_are_printable() -> None:
    """Names with control characters cannot get into a message."""
    hostile = "a\x1b[31m\nb\u202e"
    made = [
        ModelRegistryEntry.from_dict(
            entry(
                f"{hostile}{i}*",
                {
                    "aliases": [hostile, hostile, f"{hostile}*"],
                    "provider": f"{hostile}*",
                    "successor": f"{hostile}x",
                    "base_model": hostile,
                    f"sunset_date{hostile[-1]}": 1,
                },
                status="deprecated",
                owner=f"{hostile}{'' if i else ' '}",
            )
        )
        for i in range(2)
    ]
    catalog = Catalog(made, TODAY, CALENDAR)
    issues = [issue for rule in LINT_RULES if rule.find is not None for issue in rule.find(catalog)]
    assert len(issues) > 10
    assert json.dumps([issue.message for issue in issues if not issue.message.isprintable()]) == "[]"

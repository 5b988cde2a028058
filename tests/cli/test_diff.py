"""``diff``: the differences of two registries in words, in Markdown and as JSON, and the gates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from markdown_it import MarkdownIt
from support.commands import EXAMPLES, fits_terminal, run_here
from support.repositories import describe_model

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._cli.differences import DIFFERENCE_KINDS, compare_registries

if TYPE_CHECKING:
    from pathlib import Path

RETIRED = {"status": "retired", "decommission_date": "2026-11-01"}
OLD = [
    describe_model("kept"),
    describe_model("chat", metadata={"aliases": ["helper", "bot"], "contact": "#chat"}),
    describe_model("base", version="2"),
    describe_model("gone", status="deprecated"),
    describe_model("final", **RETIRED),
    describe_model("back", status="deprecated"),
    describe_model("late", status="deprecated", metadata={"sunset_date": "2026-12-01"}),
]
NEW = [
    describe_model("kept"),
    describe_model("chat", owner="ops", risk_tier="low", metadata={"aliases": ["bot", "chatty"], "team": {"a": [1]}}),
    describe_model("base", version="2", **RETIRED),
    describe_model("base-2026-05-01", metadata={"provider": "openai"}),
    describe_model("other", metadata={"aliases": ["helper"]}),
    describe_model("final"),
    describe_model("back"),
    describe_model("late", status="deprecated", metadata={"sunset_date": "2027-01-01"}),
]
TEXT = """\
old.json -> new.json: 2 changed, 1 now retired, 2 added, 2 now active, 1 removed
~ chat is changed
    risk_tier: high -> low
    owner: chat-team -> ops
    aliases: without helper, with chatty
    metadata.team: {"a": [1]}
    contact: #chat -> none
! base is now retired; it was active
    decommission_date: 2026-11-01
+ base-2026-05-01 is added: active, high risk, owner chat-team
    name: Acme
    version: 1
    purpose: chat
    provider: openai
+ other is added: active, high risk, owner chat-team
    name: Acme
    version: 1
    purpose: chat
    aliases: helper
! final is now active; it was retired
    decommission_date: 2026-11-01 -> none
! back is now active; it was deprecated
~ late is changed
    sunset_date: 2026-12-01 -> 2027-01-01
- gone is removed; it was deprecated
Names that find another entry than before:
  helper: chat -> other
  chatty: no entry -> chat
  base-2026-05-01: base -> base-2026-05-01
  base-2026-05-01 (provider openai): base -> base-2026-05-01
Findings:
  lifecycle: final: no operation leads from retired to active
  lifecycle: back: no operation leads from deprecated to active
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the working folder with the two registries."""
    monkeypatch.chdir(tmp_path)
    for name, entries in {"old.json": OLD, "new.json": NEW, "same.json": OLD[::-1]}.items():
        (tmp_path / name).write_text(json.dumps(entries), "utf-8")
    return tmp_path


@pytest.mark.usefixtures("files")
def test_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Each model that differs has its fields; names that find another entry follow; then findings, with exit code 1."""
    printed = run_here(capsys, "diff", "old.json", "new.json")
    assert printed.out.splitlines() == TEXT.splitlines()
    assert (printed.code, printed.err) == (1, "")
    assert fits_terminal(printed.out)


@pytest.mark.usefixtures("files")
def test_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has everything that the words have, and the operations whose events ``emit`` sends."""
    printed = run_here(capsys, "diff", "old.json", "new.json", "--format", "json")
    value = json.loads(printed.out)
    assert list(value) == ["old", "new", "models", "names", "findings"]
    models = {model.pop("model_id"): model for model in value["models"]}
    assert {model_id: model["kinds"] for model_id, model in models.items()} == {
        "chat": ["tier-lowered", "owner", "contact", "names", "metadata"],
        "base": ["retired", "retired-without-successor", "dates"],
        "base-2026-05-01": ["added"],
        "other": ["added"],
        "final": ["lifecycle", "dates"],
        "back": ["lifecycle"],
        "late": ["sunset-later", "deprecation"],
        "gone": ["removed"],
    }
    assert {model_id: model["events"] for model_id, model in models.items() if model["events"]} == {
        "chat": ["register"],
        "base": ["retire"],
        "base-2026-05-01": ["register"],
        "other": ["register"],
        "late": ["deprecate"],
    }
    assert models["chat"]["fields"][0] == {"field": "risk_tier", "before": "high", "after": "low"}
    assert value["names"][0] == {"name": "helper", "provider": None, "before": "chat", "after": "other"}
    assert value["findings"] == [{"kind": "lifecycle", "subject": name} for name in ("final", "back")]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["same.json", "old.json", "--exit-code", "--fail-on", ",".join(DIFFERENCE_KINDS)], 0),
        (["old.json", "empty.json"], 0),
        (["old.json", "empty.json", "--exit-code"], 1),
        (["old.json", "empty.json", "--fail-on", "added,retired"], 0),
        (["old.json", "empty.json", "--fail-on", "added, removed"], 1),
        (["old.json", "empty.json", "--fail-on", "added", "--fail-on", "removed"], 1),
        (["old.json", "renamed.json", "--fail-on", "tier-raised"], 0),
        (["old.json", "renamed.json", "--fail-on", "names-moved"], 1),
    ],
)
def test_the_gates(files: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 1 if a difference is of a kind of ``--fail-on``, or with ``--exit-code`` if there is any."""
    (files / "empty.json").write_text("[]")
    renamed = [*OLD, describe_model("rival", metadata={"provider": "openai", "aliases": ["kept"]})]
    renamed[0] = describe_model("kept", metadata={"provider": "azure"})
    (files / "renamed.json").write_text(json.dumps(renamed))
    printed = run_here(capsys, "diff", *arguments)
    assert printed.code == code, printed
    if "same.json" in arguments:
        assert printed.out == "same.json -> old.json: no differences\n"


def test_a_kind_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists the kinds."""
    printed = run_here(capsys, "diff", "a", "b", "--fail-on", "owner,tier")
    kinds = ", ".join(DIFFERENCE_KINDS)
    assert printed == (2, "", f"spanforge-models: --fail-on tier: unknown kind; kinds are {kinds} and never\n")
    assert run_here(capsys, "diff", EXAMPLES / "old.yaml", EXAMPLES / "models.yaml", "--fail-on", "never").code == 0


HOSTILE = "\x1b]0;x\x07`@all` <img src=x> [a](http://x) | \n# \u202e**b**\u2028"


@pytest.mark.parametrize("output", ["text", "markdown", "json"])
def test_hostile_texts(tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Texts of a registry cannot control a terminal, and in Markdown they are code: no links, mentions or HTML."""
    metadata = {"aliases": [HOSTILE.strip()], HOSTILE: HOSTILE, "successor": HOSTILE}
    hostile = describe_model(HOSTILE.strip(), owner=HOSTILE, name=HOSTILE, metadata=metadata)
    (tmp_path / "old.json").write_text(json.dumps([{**hostile, "owner": "a"}, describe_model("`")]))
    (tmp_path / "new.json").write_text(json.dumps([hostile]))
    printed = run_here(
        capsys, "diff", tmp_path / "old.json", tmp_path / "new.json", "--format", output, "--fail-on", "owner"
    )
    assert printed.code == 1
    assert all(line.isprintable() for line in printed.out.splitlines())
    if output == "markdown":
        allowed = {"paragraph", "text", "strong", "bullet_list", "list_item", "code_inline", "inline"}
        tokens = MarkdownIt().parse(printed.out)
        kinds = {each.type for token in tokens for each in [token, *(token.children or ())]}
        assert {kind.removesuffix("_open").removesuffix("_close") for kind in kinds} == allowed
        words = [each.content for token in tokens for each in token.children or () if each.type == "text"]
        assert not [word for word in words if "@" in word or "<" in word or "`" in word]


@pytest.mark.slow
def test_a_large_registry() -> None:
    """Each name of 1,000 changed models is looked up a few times, and not compared with every other one."""
    old, new = (
        [ModelRegistryEntry(**_describe(number, owner)) for number in range(1_000)] for owner in ("team", "other")
    )
    added = ModelRegistryEntry(**describe_model("added", metadata={"aliases": ["name-7-more"]}))
    difference = compare_registries(old, [*new, added])
    assert len(difference.models) == 1_001
    assert difference.names == ()


def _describe(number: int, owner: str) -> dict[str, Any]:
    return describe_model(f"model-{number}", owner=owner, metadata={"aliases": [f"name-{number}"]})

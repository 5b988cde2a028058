"""``resolve``: a name's entry, or what would make it match, in words and as data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.commands import EXAMPLES, fits_terminal, run_here
from support.entries import FIELDS

from spanforge.model_registry._cli.name_reading import NameReading

if TYPE_CHECKING:
    from pathlib import Path

MODELS = EXAMPLES / "models.yaml"
NAME = "us.anthropic.claude-sonnet-4.5-20250929-v1:0"


def write_registry(folder: Path, *entries: dict[str, Any]) -> Path:
    """Write a registry file of entries, of which only what is not usual is given."""
    path = folder / "models.json"
    path.write_text(json.dumps([{**FIELDS, **entry} for entry in entries]))
    return path


def resolve(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Run the command for one name, and return its answer."""
    printed = run_here(capsys, "resolve", *arguments, "--format", "json")
    (answer,) = json.loads(printed.out)
    assert printed.code == (answer["entry"] is None)
    return answer  # type: ignore[no-any-return]


def test_the_steps_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The text shows how the name is read, each rule with what it found, and the entry."""
    path = write_registry(
        tmp_path,
        {"model_id": "claude-sonnet-4-5", "metadata": {"contact": "#ml"}},
        {"model_id": "other", "metadata": {"aliases": ["*-v1:0"]}},
    )
    printed = run_here(capsys, "resolve", NAME, "--provider", "langchain", "--file", path)
    assert (printed.code, printed.err) == (0, "")
    assert fits_terminal(printed.out)
    lines = [" ".join(line.split()) for line in printed.out.splitlines()]
    assert lines == [
        f"{NAME} active",
        "How the name is read",
        "route us.anthropic.",
        "model claude-sonnet-4.5, compared as claude-sonnet4-5",
        "ending -20250929-v1:0: snapshot 2025-09-29, revision v1",
        "provider aws.bedrock, shown by the name itself",
        "langchain does not count: it is a framework, not a provider",
        "Rules, in order",
        f"id langchain/{NAME}: no entry has",
        "this id",
        f"id {NAME}: no entry has this id",
        f"alias langchain/{NAME}: no entry has",
        "this alias",
        f"alias {NAME}: no entry has this alias",
        "form the id claude-sonnet-4-5 matches; ignored: route, spelling, snapshot",
        "and revision",
        "The entry claude-sonnet-4-5, by the rule form",
        "owner ml-platform",
        "risk tier high",
        "contact #ml",
    ]


def test_blank_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is empty or blank is in quotes, so that it is seen."""
    printed = run_here(capsys, "resolve", "", "  ", "--file", write_registry(tmp_path, {"model_id": "a"}))
    headings = [line for line in printed.out.splitlines() if line.endswith("unregistered")]
    assert headings == ["''  unregistered", "'  '  unregistered"]


def test_a_glob_before_a_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A glob that goes before a form is a step before it, and the last glob is not tried."""
    path = write_registry(
        tmp_path, {"model_id": "gpt-4o"}, {"model_id": "old", "metadata": {"aliases": ["gpt-4o-2024-*", "gpt-*"]}}
    )
    answer = resolve(capsys, "gpt-4o-2024-08-06", "--file", path)
    assert [(step["rule"], step["chosen"]) for step in answer["steps"]] == [
        ("id", []),
        ("alias", []),
        ("glob", ["old"]),
    ]
    assert (answer["rule"], answer["matched"], answer["entry"]["model_id"]) == ("glob", "gpt-4o-2024-*", "old")
    answer = resolve(capsys, "openai/gpt-4o-2024-08-06", "--file", path)
    assert [step["rule"] for step in answer["steps"]] == ["id", "alias", "form"]


def test_entries_that_are_not_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An entry that a rule found is chosen, or fits less well, or is limited to another provider."""
    path = write_registry(
        tmp_path,
        *({"model_id": f"m{number}", "metadata": {"aliases": ["gpt-4O"]}} for number in range(6)),
        {"model_id": "azure/gpt-4o"},
        {"model_id": "gpt-4o", "metadata": {"provider": "openai"}},
    )
    printed = run_here(capsys, "resolve", "gpt-4o-2024-08-06", "--provider", "openai", "--file", path).out
    text = " ".join(printed.split())
    assert (
        "form the id gpt-4o matches; ignored: snapshot "
        "the id azure/gpt-4o is limited to azure.ai.openai; ignored: snapshot "
        "gpt-4O of m0 would match too, but less well; ignored: spelling and snapshot "
    ) in text
    assert "and 3 more" in text


LIMITED = {"metadata": {"provider": "azure"}}
CHAT = {"aliases": ["chat"]}


@pytest.mark.parametrize(
    ("entries", "arguments", "reason", "suggestions"),
    [
        (
            [{"model_id": "m", **LIMITED}],
            ["m", "--provider", "openai"],
            "is limited to azure.ai.openai",
            {
                "name the provider 'azure.ai.openai', if it serves the model",
                "add 'openai' to the providers of 'm'",
                "remove the provider of 'm'",
            },
        ),
        (
            [{"model_id": "m", "metadata": CHAT}, {"model_id": "n", "metadata": CHAT}],
            ["chat"],
            "matches as well as 'n'",
            {"remove the alias 'chat' from 'n'", "remove the alias 'chat' from 'm'", "register 'chat'"},
        ),
        (
            [
                {"model_id": "m", "metadata": {**CHAT, "provider": "azure"}},
                {"model_id": "n", "metadata": {**CHAT, "provider": "openai"}},
            ],
            ["chat"],
            "matches as well as 'n'",
            {
                "name the provider 'azure.ai.openai', if it serves the model",
                "name the provider 'openai', if it serves the model",
                "remove the alias 'chat' from 'n'",
                "remove the alias 'chat' from 'm'",
                "register 'chat'",
            },
        ),
        (
            [{"model_id": "GPT-4o"}, {"model_id": "gpt-4O"}],
            ["gpt-4o-2024-08-06"],
            "matches as well as 'gpt-4O'",
            {
                "add the alias 'gpt-4o-2024-08-06' to 'GPT-4o', if it is the same model",
                "add the alias 'gpt-4o-2024-08-06' to 'gpt-4O', if it is the same model",
                "register 'gpt-4o-2024-08-06'",
            },
        ),
        (
            [{"model_id": "gpt-4o-2024-08-06"}],
            ["openai/gpt-4o"],
            "covers only the snapshot 2024-08-06",
            {
                "add the alias 'openai/gpt-4o' to 'gpt-4o-2024-08-06', if it is the same model",
                "register 'gpt-4o'; its entry covers all its snapshots and routes",
            },
        ),
        (
            [{"model_id": "text-embedding-004"}],
            ["text-embedding-005"],
            "covers only the revision 004",
            {
                "add the alias 'text-embedding-005' to 'text-embedding-004', if it is the same model",
                "register 'text-embedding-005'",
            },
        ),
        (
            [{"model_id": "gpt-4o"}],
            ["GPT-4o", "--match", "exact"],
            "is the same model in another form, and forms are switched off",
            {
                "add the alias 'GPT-4o' to 'gpt-4o', if it is the same model",
                "let forms match: set OTEL_PYTHON_MODEL_REGISTRY_MATCH=forms",
                "register 'GPT-4o'",
            },
        ),
        (
            [{"model_id": "gpt-4o-*"}],
            ["gpt-4o-mini"],
            "has a glob as its id, which matches only itself",
            {"list 'gpt-4o-*' in the aliases of an entry, because an id is not a glob", "register 'gpt-4o-mini'"},
        ),
        (
            [{"model_id": "gpt-4o"}],
            ["gtp-4o"],
            "has a similar name",
            {
                "call it 'gpt-4o', if 'gtp-4o' is misspelt",
                "add the alias 'gtp-4o' to 'gpt-4o', if it is the same model",
                "register 'gtp-4o'",
            },
        ),
        ([], ["arn:aws:bedrock:eu:1:endpoint/x"], None, {"register 'arn:aws:bedrock:eu:1:endpoint/x'"}),
    ],
)
def test_what_would_make_a_name_match(  # noqa: PLR0913 - a row of the table
    entries: list[dict[str, Any]],
    arguments: list[str],
    reason: str | None,
    suggestions: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A name without an entry shows why the nearest entry does not match, and each change that would help."""
    path = write_registry(tmp_path, *entries)
    answer = resolve(capsys, *arguments, "--file", path)
    assert (answer["status"], answer["rule"], answer["matched"]) == ("unregistered", None, None)
    assert next((each["reason"] for each in answer["nearest"]), None) == reason
    assert {each["text"] for each in answer["suggestions"]} == suggestions
    text = run_here(capsys, "resolve", *arguments, "--file", path)
    assert fits_terminal(text.out)
    assert ("The registry has no entries." in text.out) == (not entries)


def test_the_data_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has these keys, and the entry with all of its fields."""
    answer = resolve(capsys, "support-chat", "--file", MODELS)
    keys = "name provider match reading steps status rule matched entry warnings shutdown nearest suggestions"
    assert list(answer) == keys.split()
    assert list(answer["reading"]) == list(NameReading._fields)
    assert list(answer["steps"][0]) == ["rule", "tried", "found", "chosen"]
    assert answer["steps"][-1]["found"] == [
        {"model_id": "acme-chat-1", "text": "support-chat", "providers": [], "ignored": []}
    ]
    assert answer["entry"]["metadata"]["successor"] == "acme-chat-2"
    assert answer["warnings"][0] == "model 'acme-chat-1' is deprecated"


def test_the_calendar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a calendar, the answer has the day on which the provider stops serving the model."""
    calendar = tmp_path / "calendar.json"
    row = {
        "provider": "openai",
        "model": "acme-embed-1",
        "shutdown_on": "2020-01-31",
        "source": "https://acme.example",
        "checked_on": "2019-12-01",
    }
    calendar.write_text(json.dumps([row]))
    arguments = ("acme-embed-1", "--file", MODELS, "--calendar", calendar)
    answer = resolve(capsys, *arguments)
    assert answer["shutdown"]["shutdown_on"] == "2020-01-31"
    assert answer["warnings"] == ["provider 'openai' stopped serving model 'acme-embed-1' on 2020-01-31"]
    text = run_here(capsys, "resolve", *arguments).out
    assert "calendar   openai stopped serving it on 2020-01-31" in text


REFUSED = "'fuzzy' is not one of 'forms', 'exact'"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--file", MODELS], "spanforge-models: no model name: pass NAME, or --span FILE"),
        (
            ["x", "--match", "fuzzy"],
            f"spanforge-models: Invalid value for '--match': {REFUSED}; see spanforge-models resolve --help",
        ),
        (["x", "--file", MODELS, "--calendar", "nope.yaml"], "spanforge-models: nope.yaml: no such file"),
    ],
)
def test_wrong_arguments(arguments: list[object], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what is wrong."""
    printed = run_here(capsys, "resolve", *arguments)
    assert (printed.code, printed.out) == (2, "")
    assert printed.err.splitlines()[-1] == line


@pytest.mark.parametrize(("name", "first"), [("acme-draft-3", "register"), ("acme-chatt-2", "other name")])
def test_a_new_model_and_a_misspelt_one(name: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The entry of its own comes first for a name that is like no other, and last for a misspelt one."""
    printed = run_here(capsys, "resolve", name, "--file", str(EXAMPLES / "models.yaml"), "--format", "json")
    actions = [each["action"] for each in json.loads(printed.out)[0]["suggestions"]]
    assert (actions[0], actions.count("register")) == (first, 1)
    assert "register" in (actions[0], actions[-1])

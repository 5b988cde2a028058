"""What is rendered for the OpenTelemetry Collector, without one: tests/e2e/test_collector_enrichment.py has one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import unicodedata
import warnings
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from support.entries import FIELDS, METADATA
from support.yaml_files import read_yaml

from spanforge.model_registry import InvalidEntryError, ModelRegistry, get_default_registry
from spanforge.model_registry._core import ottl
from spanforge.model_registry._core.attributes import SPAN_ATTRIBUTE_NAMES
from spanforge.model_registry._core.lookup_source import build_source
from spanforge.model_registry._core.validation import DATE_FIELDS
from spanforge.model_registry.collector import (
    END,
    LOOKUP_PROCESSORS,
    PROCESSOR,
    render_lookup,
    render_lookup_processor,
    render_lookup_source,
    render_transform,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LEFT_OUT = ("[a-]", "[z-a]", "[--0]", "[a-c-e]", "[-a]", "x[!-]")
RULE = "a path without line breaks, '$', '{' and '}', which are special to the Collector"
GLOBBED, LIMITED = 'span.cache["globbed"]', 'span.cache["limited00"]'
GLOB = re.compile(r'replace_all_patterns\(span\.cache\["globbed"\], "value", (".*?(?<!\\)"), "#')
"""A statement that tries a glob."""
HOSTILE = (
    "${env:HOME}",
    "$",
    "$$",
    "a\nb\r\x0b\x0cd",
    "\x00\x1b\x7f\x85\u2028\u2029\ufeff\u200b",
    "\"'\\",
    "# : - {{",
    "😀",
)


def header(models: int) -> str:
    """Return the first line of what is rendered from so many models."""
    counted = "1 model" if models == 1 else f"{models} models"
    return f"# Generated from a model registry ({counted}). Do not edit; regenerate.\n"


@pytest.fixture
def registry() -> ModelRegistry:
    """Give a registry that emits nothing."""
    return ModelRegistry(auto_emit=False)


def add(registry: ModelRegistry, model_id: str, *aliases: str, provider: str | None = None, **more: str) -> None:
    fields = {"name": "N", "version": "1", "owner": "team", **more}
    registry.register(
        model_id, fields["name"], fields["version"], "low", fields["owner"], "x", aliases=aliases, provider=provider
    )


def some(registry: ModelRegistry) -> ModelRegistry:
    """Fill a registry with something of everything."""
    add(registry, "gpt-4o", "chat", "gpt-4o-*", "[!a]?", provider="openai")
    add(registry, "azure/gpt-4o", "chat", "gpt-*", provider="azure")
    add(registry, "o1", "reason/er")
    for number, text in enumerate(HOSTILE):
        add(registry, text, f"alias {text}", f"{text}*", provider=text if number % 2 else None, owner=text, name=text)
    for number in range(40):
        add(registry, f"model-{number}", provider=("openai", "azure", None)[number % 3])
    registry.deprecate("o1")
    registry.retire("gpt-4o")
    return registry


def parsed(text: str) -> Any:
    """Return the statements of a transform processor, which is all that there is."""
    config = read_yaml(text)
    assert list(config) == ["processors"]
    assert list(config["processors"]) == [PROCESSOR] == ["transform/model_registry"]
    processor = config["processors"][PROCESSOR]
    assert list(processor) == ["error_mode", "trace_statements"]
    assert processor["error_mode"] == "silent"
    return processor["trace_statements"]


def test_it_is_one_processor(registry: ModelRegistry) -> None:
    """The text is YAML with one transform processor, whose groups have conditions and statements of one line each."""
    groups = parsed(render_transform(some(registry)))
    assert all(list(group) == ["conditions", "statements"] for group in groups)
    assert [len(group["conditions"]) for group in groups] == [1, 1, 1, 1]
    lines = [statement for group in groups for statement in group["statements"]]
    assert all(isinstance(line, str) and line.strip() == line for line in lines)


@pytest.mark.parametrize("fill", [some, lambda registry: registry])
def test_the_lookup_has_the_same_groups(
    registry: ModelRegistry, fill: Callable[[ModelRegistry], ModelRegistry]
) -> None:
    """What stands in the processor, or in its file, is the same; the file has an end that shows that it is whole."""
    fill(registry)
    lookup = render_lookup(registry)
    assert parsed(render_transform(registry)) == read_yaml(lookup)
    assert lookup.splitlines()[-1] == END == "# end"
    assert lookup.count(END) == 1
    assert lookup.endswith("\n")
    assert END not in render_transform(registry)


def test_the_first_line_tells_what_it_is(registry: ModelRegistry) -> None:
    """A comment says what the text was made from, and that it is not to be edited."""
    some(registry)
    for text in (render_transform(registry), render_transform(registry, lookup_file="x"), render_lookup(registry)):
        assert text.startswith(header(len(registry)))
        assert text.count("#", 0, 1) == 1


def test_an_empty_registry(registry: ModelRegistry) -> None:
    """Without a model every name is unregistered: the tables are empty, and no glob is tried."""
    groups = parsed(render_transform(registry))
    assert len(groups) == 4
    assert 'keep_keys(span.cache["hits"], [])' in groups[1]["statements"]
    assert "unregistered" in str(groups[3])
    assert GLOBBED not in str(groups)


def test_what_is_not_needed_is_left_out(registry: ModelRegistry) -> None:
    """The provider of an exact name, codes of providers and globs are only looked up if an entry needs them."""
    add(registry, "a", "b")
    groups = parsed(render_transform(registry))
    assert "gen_ai.system" not in str(groups[0])
    assert LIMITED not in str(groups)
    add(registry, "c", provider="p")
    groups = parsed(render_transform(registry))
    assert "gen_ai.system" in str(groups[0])
    assert LIMITED in str(groups)
    assert GLOBBED not in str(groups)
    registry.clear()
    add(registry, "a", "b*")
    groups = parsed(render_transform(registry))
    assert GLOBBED in str(groups)
    assert LIMITED not in str(groups)


@pytest.mark.slow
def test_the_setting_decides_how_names_match(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``match``, the setting of the process applies; other values are refused."""
    some(registry)
    forms, exact = (render_lookup(registry, match=match) for match in ("forms", "exact"))
    assert forms != exact
    assert render_lookup(registry) == forms
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_MATCH", "exact")
    assert render_lookup(registry) == exact
    assert parsed(render_transform(registry)) == read_yaml(exact)
    with pytest.raises(InvalidEntryError, match="match"):
        render_transform(registry, match="fuzzy")  # type: ignore[arg-type]


def test_the_choice_of_attributes(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The argument, or else the setting, chooses the attributes; one warning names all those that are never set."""
    dates = dict.fromkeys(DATE_FIELDS, "2026-01-01")
    path = tmp_path / "models.json"
    path.write_text(json.dumps([{**FIELDS, **dates, "status": "retired", "metadata": METADATA}]))
    registry.load(path)
    for names in (SPAN_ATTRIBUTE_NAMES, [f"+{name}" for name in SPAN_ATTRIBUTE_NAMES]):
        with pytest.warns(UserWarning, match="the Collector cannot set") as caught:
            text = render_lookup(registry, span_attributes=iter(names))
        assert len(caught) == 1
        assert caught[0].filename == __file__
        unset = ", ".join(name for name in SPAN_ATTRIBUTE_NAMES if f'"model_registry.{name}"' not in text)
        assert str(caught[0].message) == f"the Collector cannot set: {unset}"
        assert f"# The Collector cannot set: {unset}\n" in text
    assert "cannot set" not in render_lookup(registry, span_attributes="+contact")
    chosen = render_lookup(registry, span_attributes=["owner"])
    assert "model_registry.name" not in chosen
    monkeypatch.setenv("OTEL_PYTHON_MODEL_REGISTRY_SPAN_ATTRIBUTES", "owner")
    assert render_lookup(registry) == chosen
    with pytest.raises(InvalidEntryError, match="span_attributes must be names of "):
        render_transform(registry, span_attributes="no_such")


@pytest.mark.slow
def test_the_same_entries_give_the_same_bytes(registry: ModelRegistry, tmp_path: Path) -> None:
    """It depends neither on the run, nor on the hash seed, nor on whether the registry was loaded."""
    path = tmp_path / "registry.json"
    some(registry).save(path)
    rendered = render_transform(registry), render_lookup(registry)
    assert (render_transform(registry), render_lookup(registry)) == rendered
    loaded = ModelRegistry(auto_emit=False)
    loaded.load(path)
    assert (render_transform(loaded), render_lookup(loaded)) == rendered
    script = (
        "import json, sys; from spanforge.model_registry import ModelRegistry;"
        "from spanforge.model_registry.collector import *;"
        "registry = ModelRegistry(auto_emit=False); registry.load(sys.argv[1]);"
        "print(json.dumps([render_transform(registry), render_lookup(registry)]))"
    )
    for seed in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", script, path],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert tuple(json.loads(run.stdout)) == rendered


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *(("lookup.yaml", str), ("/etc/otel/lookup.yaml", Path), ("a b/ c.yaml", PurePosixPath), ("it's 'here'", str)),
        *(('"x"', Path), ("C:\\a\\b", PurePosixPath), ("é: #x", str), ("%x&y", Path), ("~/x", PurePosixPath)),
        *(("-", str), ("-", Path)),
    ],
)
def test_a_lookup_file_is_referred_to(registry: ModelRegistry, path: str, kind: type) -> None:
    """The statements are the file's, wherever it is, and the rest is as without one."""
    some(registry)
    text = render_transform(registry, lookup_file=kind(path))
    assert parsed(text) == f"${{file:{path}}}"
    inline = render_transform(registry)
    assert text.partition("trace_statements:")[0] == inline.partition("trace_statements:")[0]
    assert text.endswith("}'\n")
    assert text.count("\n") == inline.partition("trace_statements:")[0].count("\n") + 1


@pytest.mark.parametrize(
    "path", ["", "$x", "${env:HOME}", "a{b", "a}b", "a\nb", "a\rb", "a\tb", "\x00", "a\x85", "a\u2028b", "\ufeffa"]
)
def test_paths_that_mean_something_else_are_refused(registry: ModelRegistry, path: str) -> None:
    """The error says what a path may be; it is also a ``ValueError``."""
    with pytest.raises(InvalidEntryError) as caught:
        render_transform(registry, lookup_file=path)
    assert (caught.value.field, caught.value.value, caught.value.problem) == (
        "lookup_file",
        path,
        f"must be {RULE}; got {path!r}",
    )
    assert caught.value.model_id is None
    assert isinstance(caught.value, ValueError)


def test_a_refused_path_warns_of_nothing(registry: ModelRegistry) -> None:
    """What is not rendered is not warned of."""
    add(registry, "a", "[a-]")
    with pytest.raises(InvalidEntryError):
        render_transform(registry, lookup_file="")


@pytest.mark.slow
def test_nothing_in_it_means_anything_to_others(registry: ModelRegistry) -> None:
    """No text of an entry gets a dollar or an invisible character into what the Collector or YAML reads."""
    some(registry)
    for number, text in enumerate(HOSTILE):
        add(registry, f"limited\n{number} {text}", f"x [-]{text.replace('[', '')}", owner=text, version=text)
    with pytest.warns(UserWarning, match="does not match"):
        inline, lookup = render_transform(registry), render_lookup(registry)
    with pytest.warns(UserWarning, match="does not match"):
        referring = render_transform(registry, lookup_file="lookup.yaml")
    assert referring.replace("'${file:lookup.yaml}'", "").count("${file:") == 0
    for text in (inline, lookup, referring):
        assert not [char for char in text if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}]
        lines = text.splitlines()
        comments = [line for line in lines if line.startswith("#")]
        assert len(comments) == 1 + len(HOSTILE) + lines.count(END)
        assert lines[: 1 + len(HOSTILE)] == comments[: 1 + len(HOSTILE)]
        read = [line for line in lines if not line.startswith("#")]  # comments are gone before anybody looks for $
        assert "$" not in "\n".join(read).replace("'${file:lookup.yaml}'", "")
    assert parsed(inline) == read_yaml(lookup)


@pytest.mark.parametrize("render", [render_transform, render_lookup])
def test_globs_that_the_collector_cannot_express(
    registry: ModelRegistry, render: Callable[[ModelRegistry], str]
) -> None:
    """One warning at the caller's line names all of them, a comment names each, and the statements do without."""
    for number, glob in enumerate(LEFT_OUT):
        add(registry, f"m{number}\n.", glob, "[a-c]*", f"alias {number}")
    with pytest.warns(UserWarning, match="the Collector cannot express") as caught:
        text = render(registry)
    named = [rf"'{glob}' of 'm{number}\n.'" for number, glob in enumerate(LEFT_OUT)]
    assert [str(warning.message) for warning in caught] == [
        f"the Collector cannot express, and does not match: {', '.join(named)}"
    ]
    assert caught[0].filename == __file__
    comments = [line for line in text.splitlines() if line.startswith("# ") and line != END]
    assert comments[1:] == [f"# The Collector cannot express, and does not match: {name}" for name in named]
    assert len(GLOB.findall(text)) == len(LEFT_OUT)
    assert "alias 0" in text


def test_a_lookup_file_is_warned_of_as_well(registry: ModelRegistry) -> None:
    """Who refers to a file learns of the globs that will not be in it."""
    add(registry, "a", "[a-]", "b-*")
    with pytest.warns(UserWarning, match=r"'\[a-\]' of 'a'$") as caught:
        text = render_transform(registry, lookup_file="lookup.yaml")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert text.splitlines()[1] == "# The Collector cannot express, and does not match: '[a-]' of 'a'"


def test_globs_that_it_can_express_are_not_warned_of(registry: ModelRegistry) -> None:
    """Sets, ranges, negations, brackets in sets and brackets that open nothing are all expressed."""
    globs = ("[a-c]", "[!a-cx]", "[]]", "[!]]", "[", "[a", "[]", "[!]", "[^x]", "a-b*", "*", "?-[x]", "[a-z0-9]")
    add(registry, "a", *globs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = render_transform(registry)
    assert text.count("\n# ") == 0
    assert len(GLOB.findall(text)) == 13


def test_the_most_specific_glob_is_tried_first(registry: ModelRegistry) -> None:
    """The order of registration does not decide. Globs of an entry for one provider go first, if it is the span's."""
    add(registry, "a", "b?", "x*y*", "gpt-4*", "*")
    add(registry, "b", "gpt-$*", provider="p")
    names = [json.loads(pattern) for pattern in GLOB.findall(render_transform(registry))]
    every, one, none = r"^=(?:[^:]*):(?s:", r"^=(?:1):(?s:", r"^=(?:0):(?s:"
    assert names == [
        rf"{one}gpt\x{{2d}}\x{{24}}.*)\z",
        rf"{every}gpt\x{{2d}}4.*)\z",
        rf"{none}gpt\x{{2d}}\x{{24}}.*)\z",
        rf"{every}x.*y.*)\z",
        rf"{every}b.)\z",
        rf"{every}.*)\z",
    ]


def test_more_globs_that_match_equally_well_than_the_limit(registry: ModelRegistry) -> None:
    """A comment and a warning tell that the Collector does not notice all of them."""
    for number in range(13):
        add(registry, f"m{number}", f"*{chr(97 + number)}*")
    with pytest.warns(UserWarning, match="the Collector notices only 64 pairs of globs"):
        text = render_transform(registry)
    assert text.splitlines()[1].startswith("# The Collector notices only 64 pairs of globs")


FNV_1A = {
    "": 0xCBF29CE484222325,
    "a": 0xAF63DC4C8601EC8C,
    "foobar": 0x85944171F73967E8,
    "b": 0xAF63DF4C8601F1A5,
    "fo": 0x08985907B541D342,
    "chongo was here!\n": 0x46810940EFF5F915,
}
"""From the tables that the hash's authors publish."""


class GoInt(int):
    """A number that divides towards zero, as Go's do."""

    def __truediv__(self, other: int) -> GoInt:
        quotient = abs(self) // abs(other)
        return GoInt(quotient if (self < 0) == (other < 0) else -quotient)


def fnv_1a(name: str) -> GoInt:
    """Return the hash that the Collector computes of a name: a signed number of 64 bits."""
    state = FNV_1A[""]
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return GoInt((state ^ 2**63) - 2**63)


@pytest.mark.parametrize("number", [0, 1, 16, 17, 20, 1_000, 5_000])
def test_every_key_is_in_the_part_where_it_is_looked_for(number: int) -> None:
    """A table is a list of small ones, and the formula finds each key's by its hash and by Go's division."""
    assert {name: fnv_1a(name) % 2**64 for name in FNV_1A} == FNV_1A
    assert fnv_1a("a") < 0 < fnv_1a("fo")
    table = {f"vendor-model-{i}é": i for i in range(number)}
    text = ottl.lookup(table, "KEY")
    match = re.fullmatch(r"Coalesce\(\[(.*)\]\)\[([^\]]*FNV[^\]]*)\]\[KEY\]", text, re.DOTALL)
    assert match is not None
    parts, place = json.loads(match[1]), match[2]
    assert sum(map(len, parts)) == number
    assert max(map(len, parts)) <= 12
    assert number / 4 <= len(parts) <= max(1, number / 2)
    for key, value in table.items():
        index = eval(place, {"FNV": fnv_1a, "KEY": key})
        assert 0 <= index < len(parts)
        assert parts[index][key] == value


def test_a_table_of_texts_and_strange_keys() -> None:
    """Keys and values stand as OTTL reads them."""
    assert (
        ottl.lookup({'"$\n': ottl.encode("x")}, "K")
        == 'Coalesce([[{"\\"\\u0024\\U0000000a": "x"}]])[FNV(K) - FNV(K) / 1 * 1 + 0][K]'
    )


@pytest.mark.slow
def test_many_models(registry: ModelRegistry) -> None:
    """Three hundred models, each with a glob, are rendered, and each once; six hundred without globs as well."""
    for number in range(300):
        add(registry, f"vendor-model-{number}", f"alias-{number}", f"vendor-model-{number}-*")
    text = render_transform(registry)
    assert len(set(GLOB.findall(text))) == len(GLOB.findall(text)) == 300
    registry.clear()
    for number in range(600):
        add(registry, f"vendor-model-{number}")
    statements = next(line for line in render_lookup(registry).splitlines() if "keep_keys" in line)
    assert all(f'"Evendor-model-{number}"' in statements for number in range(600))


def test_the_registry_of_the_process() -> None:
    """The layered registry is rendered as the models in force."""
    registry, plain = get_default_registry(), ModelRegistry(auto_emit=False)
    for each in (registry, plain):
        add(each, "gpt-4o", "chat", provider="openai")
    assert render_transform(registry) == render_transform(plain)
    assert render_lookup(registry) == render_lookup(plain)


@pytest.mark.slow
def test_a_registry_that_changes_meanwhile(registry: ModelRegistry) -> None:
    """What is rendered is one state of the registry, whatever other threads do."""
    number, done = 150, threading.Event()

    def register() -> None:
        for i in range(number):
            add(registry, f"m{i}", f"g{i}-*", "shared", provider=f"p{i % 3}")
        done.set()

    thread = threading.Thread(target=register)
    thread.start()
    rendered = []
    while not done.is_set():
        rendered.append(render_transform(registry))
    thread.join()
    rendered.append(render_transform(registry))
    headers = {text.partition("\n")[0] + "\n" for text in rendered}
    fresh, states = ModelRegistry(auto_emit=False), set()
    for i in range(number + 1):
        if header(i) in headers:
            states.add(render_transform(fresh))
        add(fresh, f"m{i}", f"g{i}-*", "shared", provider=f"p{i % 3}")
    assert set(rendered) == states


def test_ids_without_a_form() -> None:
    """Ids of which nothing is left without white space and quotes are matched as they are."""
    registry = ModelRegistry(auto_emit=False)
    ids = ['""', '"""']
    for model_id in ids:
        registry.register(model_id, "N", "1", "low", "t", "p", provider="acme")
    statements = [line for group in read_yaml(render_lookup(registry)) for line in group["statements"]]
    known = next(line for line in statements if line.startswith('keep_keys(span.cache["refused"]'))
    assert all(ottl.encode(f"E{model_id}") in known for model_id in ids)


# The lookup processor


def test_the_source_has_the_names_that_are_certain(registry: ModelRegistry) -> None:
    """Ids, aliases and listed forms are keys; names that depend on the provider have it; globs are left out."""
    add(registry, "Acme-1", "chat", "acme-1-*", "tie")
    add(registry, "embed", "tie", provider="azure")
    add(registry, "o1", "azure/o1", provider="acme-gw")
    source = read_yaml(render_lookup_source(registry))
    assert {key: attributes["model_registry.model_id"] for key, attributes in source.items()} == {
        **dict.fromkeys(("Acme-1", "acme-1", "Acme-1-latest", "chat", "chat-latest", "\ntie"), "Acme-1"),
        **dict.fromkeys(("azure.ai.openai\ntie", "azure/tie", "azure.ai.openai/tie"), "embed"),
        **dict.fromkeys(("\nembed", "azure.ai.openai\nembed", "azure/embed", "azure.ai.openai/embed"), "embed"),
    }


def test_an_empty_source(registry: ModelRegistry) -> None:
    """Without a model the source is an empty map with its end."""
    text = render_lookup_source(registry)
    assert read_yaml(text) == {}
    assert text.endswith(f"{END}\n")


def test_the_source_is_bounded(registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit, forms are left out first; a warning and a comment say so."""
    add(registry, "a", "b")
    add(registry, "c")
    full = build_source(registry.list_all(), "forms")
    assert not full.is_full
    assert [*full.keys][:3] == ["a", "b", "c"]
    monkeypatch.setattr("spanforge.model_registry._core.lookup_source.build_source.__defaults__", (4,))
    with pytest.warns(UserWarning, match="source has the first 20,000 names"):
        text = render_lookup_source(registry)
    assert [*read_yaml(text)] == [*full.keys][:4]
    assert "# The source has the first 20,000 names" in text


def test_the_lookup_processor_reads_each_attribute() -> None:
    """The configuration has the three processors, the source with its interval, and each attribute in both lookups."""
    processors = read_yaml(render_lookup_processor("/etc/it's.yaml", span_attributes="status,owner"))["processors"]
    assert tuple(processors) == LOOKUP_PROCESSORS
    lookup = processors["lookup/model_registry"]
    assert lookup["source"] == {"type": "yaml", "path": "/etc/it's.yaml", "reload_interval": "30s"}
    attributes = [dict.fromkeys(("source", "destination"), f"model_registry.{name}") for name in ("owner", "status")]
    assert [each["attributes"] for each in lookup["lookups"]] == [attributes, attributes]
    keys = [re.findall(r'"(.+)"', each["key"])[0] for each in lookup["lookups"]]
    for processor in (LOOKUP_PROCESSORS[0], LOOKUP_PROCESSORS[2]):
        groups = processors[processor]["trace_statements"]
        removed = [f'delete_key(span.attributes, "{key}")' for key in keys]
        assert groups[0]["statements"] == removed


@pytest.mark.parametrize("interval", ["", "0s", "30", "1.5s", "-1s", "1d", "30s\n", "1234567s"])
def test_the_interval_is_a_duration(interval: str) -> None:
    """An interval that the Collector does not read, or that is zero, is refused."""
    with pytest.raises(InvalidEntryError, match="reload_interval must be a whole number with a unit"):
        render_lookup_processor("s.yaml", reload_interval=interval)

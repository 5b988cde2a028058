"""The Collector's configuration against the tables of the code, without a Collector."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from typing import Any

import pytest
from support.archived import CONTENT_KEYS, FACTS
from support.collector_files import COLLECTOR, FOLDER, JAEGER, ROOT, VARIABLES
from support.yaml_files import read_yaml

from spanforge.model_registry._core.attributes import ATTRIBUTES, ON_SPANS, PREFIX
from spanforge.model_registry._core.collector_statements import STATE
from spanforge.model_registry._core.conventions import CONVENTIONS, DECIDING_KEYS, PROVIDER_KEYS
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS, RISK_TIERS
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.span_kinds import CALL_EVIDENCE, INFRASTRUCTURE, NOT_CALLS

FILES = ("agent.yaml", "collector.yaml", "jaeger.yaml")
CONFIG: dict[str, Any] = read_yaml((FOLDER / "collector.yaml").read_text("utf-8"))
PROCESSORS: dict[str, Any] = CONFIG["processors"]
FLAGGED_ON_SPANS = FLAGGED_STATUSES | {UNREGISTERED}
MARK = re.compile(r'set\(span\.attributes\["(otelcol\.\w+)"\]')


def statements(processor: str) -> list[str]:
    """Return all statements of a transform processor for traces."""
    groups = PROCESSORS[processor]["trace_statements"]
    return [each for group in groups for each in ([group] if isinstance(group, str) else group["statements"])]


def conditions_of_mark(mark: str) -> list[str]:
    """Return the conditions under which ``transform/mark`` sets a mark."""
    (conditions,) = (
        group["conditions"]
        for group in PROCESSORS["transform/mark"]["trace_statements"]
        if any(mark in statement for statement in group["statements"])
    )
    return list(conditions)


def alternatives(condition: str, key: str) -> set[str]:
    """Return the values of an attribute that a condition matches."""
    expression = rf'IsMatch\(span\.attributes\["{re.escape(key)}"\], "\^(?:\\"\?)?\((.+)\)(?:\\"\?)?\$"\)'
    match = re.fullmatch(expression, condition)
    return set() if match is None else set(match[1].replace(r"\\.", ".").split("|"))


def matched_values(conditions: list[str], key: str) -> set[str]:
    """Return the values of an attribute that one of these conditions matches."""
    return {value for condition in conditions for value in alternatives(condition, key)}


def policy(name: str) -> set[str]:
    """Return the values that a policy of tail sampling keeps."""
    (row,) = (row for row in PROCESSORS["tail_sampling"]["policies"] if row["name"] == name)
    return set(row["string_attribute"]["values"])


# Tables of the code


def test_generated_blocks_are_up_to_date() -> None:
    """``make docs`` would change nothing."""
    command = [sys.executable, ROOT / "tools" / "collector_config.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_generated_blocks_keep_their_indentation() -> None:
    """A block is replaced in its place, and nothing around it changes."""
    update = runpy.run_path(str(ROOT / "tools" / "collector_config.py"))["update"]
    before = "a:\n  # generated: flagged_tiers\n  values: [old]\n  # end\nb: c\n"
    tiers = ", ".join(tier for tier in RISK_TIERS if tier in FLAGGED_TIERS)
    assert update(before) == before.replace("old", tiers)
    assert update("a: b\n") == "a: b\n"


def test_every_convention_marks_a_span() -> None:
    """``transform/mark`` knows every convention, and spans that have a status already."""
    condition = re.compile(
        r'span\.attributes\["([^"]+)"\] != nil(?: and scope\.name == "([^"]+)")?'
        r'(?: and (?:IsMatch\()?span\.attributes\["([^"]+)"\](?:, ".+"\)| != nil))?'
    )
    conditions = conditions_of_mark("names_model")
    matches = [match.groups() for match in map(condition.fullmatch, conditions) if match is not None]
    assert len(matches) == len(conditions) == len(set(matches))
    rows = {(row.key, row.scope, row.when and row.when.key) for row in CONVENTIONS}
    assert set(matches) == {(f"{PREFIX}status", None, None), *rows}


def test_every_flagged_status_and_tier_marks_a_span() -> None:
    """``transform/mark`` and tail sampling know every flagged status and every flagged tier."""
    conditions = conditions_of_mark("flagged")
    assert matched_values(conditions, f"{PREFIX}status") == policy("status") == FLAGGED_ON_SPANS
    assert matched_values(conditions, f"{PREFIX}risk_tier") == policy("risk-tier") == FLAGGED_TIERS


def test_a_response_model_that_is_not_registered_flags_a_span() -> None:
    """``transform/mark`` and tail sampling know the attribute, even if the request model is not flagged."""
    key = f"{PREFIX}response_registered"
    assert f'span.attributes["{key}"] == false' in conditions_of_mark("flagged")
    policies = PROCESSORS["tail_sampling"]["policies"]
    (found,) = (each["boolean_attribute"] for each in policies if each["name"] == "response-registered")
    assert found == {"key": key, "value": False}


def as_pattern(key: str) -> str:
    """Return a key as a regular expression, in a string of OTTL."""
    return key.replace(".", r"\\.")


def kept_keys(holder: str) -> set[str]:
    """Return the attributes that ``transform/archive`` keeps of a span, a span event or a log record."""
    groups = [group for kind in ("trace", "log") for group in PROCESSORS["transform/archive"][f"{kind}_statements"]]
    texts = [text for group in groups for text in group["statements"]]
    (keys,) = {text for text in texts if text.startswith(f"keep_keys({holder}.attributes, ")}
    checked = re.findall(rf'set\({holder}\.cache\["kept"\]\["([^"]+)"\], .+\) where Is', "\n".join(texts))
    return {*json.loads(keys[keys.index("[") : -1]), *checked}


def test_the_archive_keeps_every_fact() -> None:
    """``transform/archive`` keeps each key of a model's or provider's name and of the registry, and no content."""
    spans, events, logs = map(kept_keys, ("span", "spanevent", "log"))
    on_spans = {row.key for row in ATTRIBUTES if row.on_spans != "no"} | {f"{PREFIX}sender"}
    on_events = {row.key for row in ATTRIBUTES if row.on_events and row.source != "all metadata"}
    parameters = {row.key for row in CONVENTIONS if row.member is not None}
    assert {*FACTS, *on_spans, *PROVIDER_KEYS, *DECIDING_KEYS} <= spans
    assert on_events | {f"{PREFIX}metadata.sunset_date", f"{PREFIX}metadata.deprecation_date"} <= events <= logs
    assert spans & set(CONTENT_KEYS) == parameters & set(CONTENT_KEYS)
    assert not (events | logs) & set(CONTENT_KEYS)


SPELLINGS = ("model_registry.owner", "model.registry", "MODEL-REGISTRY/owner", "_model__registry:x", " model registry ")


def test_untrusted_senders_cannot_spell_the_registry() -> None:
    """``transform/untrusted`` removes each spelling from every holder of attributes, and keeps similar names."""
    for kind, holders in (
        ("trace", ("resource", "scope", "span", "spanevent")),
        ("log", ("resource", "scope", "log")),
        ("metric", ("resource", "scope", "datapoint")),
    ):
        groups = PROCESSORS["transform/untrusted"][f"{kind}_statements"]
        texts = [text for group in groups for text in group["statements"] if text.startswith("delete")]
        for text, holder in zip(texts, holders, strict=True):
            assert text.startswith(f"delete_matching_keys({holder}.attributes, ")
            pattern = re.compile(json.loads(text[text.index('"') : -1]))
            assert all(map(pattern.search, SPELLINGS))
            assert not any(map(pattern.search, ("model", "my.model.registry", "model.registrydata")))


def test_untrusted_metrics_have_no_name_that_prometheus_reads() -> None:
    """``filter/untrusted`` removes the name of each metric in rules and dashboards, also with dots."""
    conditions = PROCESSORS["filter/untrusted"]["metric_conditions"]
    patterns = [re.compile(json.loads(text[text.index('"', text.index(', "') + 1) : -1])) for text in conditions[::2]]
    files = [FOLDER / "prometheus" / "rules.yml", *(FOLDER / "grafana" / "dashboards").glob("*.json")]
    names = {name for file in files for name in re.findall(r"[A-Za-z_][\w:]*(?=\{[^{])", file.read_text("utf-8"))}
    assert len(names) > 12
    for name in (*names, *(name.replace("_", ".") for name in names if name.islower())):
        assert any(pattern.search(name) for pattern in patterns), name
    assert not any(
        pattern.search(name) for pattern in patterns for name in ("http.server.duration", "uptime", "models")
    )


def test_the_archive_keeps_only_the_model_of_parameters() -> None:
    """``transform/archive`` removes everything but the model's name from JSON parameters."""
    archive = statements("transform/archive")
    for row in CONVENTIONS:
        if row.member is not None:
            assert f'delete_matching_keys(span.attributes, "^{as_pattern(row.key)}$")' in archive
            assert any(f'set(span.attributes["{row.key}"], String(span.cache' in each for each in archive), row.key
        if row.scope is not None:
            deletion = f'delete_matching_keys(span.attributes, "^{as_pattern(row.key)}$") where '
            assert any(each.startswith(deletion) and f'scope.name != "{row.scope}"' in each for each in archive)


def test_agents_are_no_calls() -> None:
    """``filter/calls`` knows every attribute and scope by which a span that names a model is not a call."""
    conditions = PROCESSORS["filter/calls"]["trace_conditions"]
    for key, values in NOT_CALLS.items():
        assert matched_values(conditions, key) == set(values), key
    (infrastructure,) = (each for each in conditions if each.startswith("("))
    keys = re.findall(r'span\.attributes\["([^"]+)"\] != nil', infrastructure)
    assert set(keys) == {key for row in INFRASTRUCTURE for key in row}
    assert re.findall(r'span\.attributes\["([^"]+)"\] == nil', infrastructure) == [*CALL_EVIDENCE]
    for row in CONVENTIONS:
        if row.calls_have is not None:
            assert any(f'["{row.key}"] != nil' in each and f'"{row.scope}"' in each for each in conditions), row.key


def test_the_label_names_the_model_of_the_request() -> None:
    """``transform/calls`` takes the first name of the requests, then of the responses, then the registry's."""
    (statement,) = (each for each in statements("transform/calls") if "Coalesce" in each)
    keys = re.findall(r'span\.attributes\["([^"]+)"\]', statement.partition("Coalesce")[2])
    rows = [row for row in CONVENTIONS if row.scope is row.member is None and row.when is None]
    requests = {row.key for row in rows if not row.response}
    assert keys[0] == "gen_ai.request.model"
    assert set(keys[: len(requests)]) == requests
    assert keys[len(requests) :] == [*(row.key for row in rows if row.response), f"{PREFIX}model_id"]
    assert len(keys) == len(set(keys))


def test_metrics_have_attributes_of_the_registry() -> None:
    """The kept attributes are the dimensions of metrics: the registry's that spans have by default, and kinds."""
    calls, events = "transform/calls", "transform/registry_events"
    processors = {"span_metrics": calls, "span_metrics/untrusted": calls, "span_metrics/events": events}
    for name, processor in processors.items():
        connector = CONFIG["connectors"][name]
        rows = [*connector["dimensions"], *connector.get("events", {}).get("dimensions", ())]
        keys = [row["name"] for row in rows]
        ours = [key.removeprefix(PREFIX) for key in keys if key.startswith(PREFIX)]
        assert ours == ["model_id", "owner", "risk_tier", "status"]
        (kept,) = (text for text in statements(processor) if re.match(r"keep_keys.*\[\"", text))
        assert sorted(json.loads(kept[kept.index("[") : -1])) == sorted(keys)
        assert set(ours) <= set(ON_SPANS)


def test_senders_cannot_forge_marks() -> None:
    """``transform/forged`` removes each mark and each state of the enrichment, ``transform/unmark`` each mark."""
    marks = {mark for name in ("transform/mark", "transform/untrusted") for mark in MARK.findall(str(statements(name)))}
    assert marks == {f"otelcol.{name}" for name in ("registry_event", "names_model", "flagged", "untrusted")}
    for processor, keys in (("transform/forged", {*marks, *STATE}), ("transform/unmark", marks)):
        for statement in statements(processor):
            pattern = re.search(r'attributes, (".*")\)$', statement)
            assert pattern is not None
            forged = re.compile(json.loads(pattern[1]))
            assert [key for key in keys if not forged.search(key)] == [], statement


# Variables and versions


@pytest.mark.parametrize("name", FILES)
def test_every_address_is_a_variable_on_loopback(name: str) -> None:
    """Without settings nothing listens to the network, nothing is sent there, and files stay in one folder."""
    text = (FOLDER / name).read_text("utf-8")
    endpoints = re.findall(r"endpoint: (.+)\n", text)
    assert len(endpoints) >= 4
    for endpoint in endpoints:
        match = VARIABLES.fullmatch(endpoint)
        assert match is not None
        assert re.fullmatch(r"127\.0\.0\.1:\d+", match[2])
    for path in re.findall(r"^ +(?:directory|path): (.+)$", text, re.MULTILINE):
        match = VARIABLES.fullmatch(path)
        assert match is not None
        assert match[2].startswith("./data/")


def test_a_trial_run_has_its_own_addresses_and_paths() -> None:
    """reload.sh knows every variable of collector.yaml that is an address or a path."""
    variables = VARIABLES.findall((FOLDER / "collector.yaml").read_text("utf-8"))
    places = {name for name, default in variables if re.search(r"[:/]|^127|^8888", default)}
    script = (FOLDER / "reload.sh").read_text("utf-8")
    assert len(places) >= 12
    assert {name for name in places if name not in script and name.removeprefix("OTELCOL_") not in script} == set()


def test_every_variable_is_documented() -> None:
    """The page of settings lists each variable of the files with its default, and no other."""
    page = (ROOT / "docs" / "collector-operations.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (?:`([^`]+)`|none) \|", page, re.MULTILINE)
    texts = [(FOLDER / name).read_text("utf-8") for name in FILES]
    assert sorted(listed) == sorted({variable for text in texts for variable in VARIABLES.findall(text)})


def test_the_versions_are_named_side_by_side() -> None:
    """One table has the versions that the tests build and those of the containers; the builder's titles agree."""
    tool = (ROOT / "tools" / "servers.py").read_text("utf-8")
    assert f'"the OpenTelemetry Collector {COLLECTOR}"' in tool
    assert f'"Jaeger {JAEGER}"' in tool
    images = re.findall(r"image: \S+/([\w-]+):v?([\d.]+)\n", (FOLDER / "compose.yaml").read_text("utf-8"))
    in_compose = dict(images)
    _, minor, patch = JAEGER.split(".")
    tested = f"{JAEGER}, the same release as 2.{int(minor) - 63}.{patch}"  # Jaeger 1.63 and 2.0 were the first pair
    page = (FOLDER / "README.md").read_text("utf-8")
    table = page.partition("| program | in the tests |")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| (\w[\w ]*) \| (.+ \| .+) \|$", table, re.MULTILINE)) == {
        "OpenTelemetry Collector": f"{COLLECTOR} | {in_compose['opentelemetry-collector-contrib']}",
        "Jaeger": f"{tested} | {in_compose['jaeger']}",
        "Prometheus": f"2.42 or newer, not pinned | {in_compose['prometheus']}",
        "Grafana": f"none | {in_compose['grafana']}",
    }

"""A generator of the blocks in the Collector's configuration that repeat tables of the code.

A block is between the comments ``# generated: <name>`` and ``# end``. With ``--check``, the program only compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.attributes import ATTRIBUTES, PREFIX
from spanforge.model_registry._core.collector_paths import attribute
from spanforge.model_registry._core.conventions import CONVENTIONS, DECIDING_KEYS, PROVIDER_KEYS
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS, OPERATIONS, RISK_TIERS, STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.span_kinds import CALL_EVIDENCE, INFRASTRUCTURE, NOT_CALLS, OPERATION_KEY
from spanforge.model_registry._core.validation import RESERVED
from spanforge.model_registry._core.values import MAX_NAME, MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spanforge.model_registry._core.conventions import Convention

FILE: Final = Path(__file__).resolve().parent.parent / "collector-config" / "collector.yaml"
BLOCK: Final = re.compile(r"^( *)# generated: (\w+)\n.*?^\1# end\n", re.DOTALL | re.MULTILINE)

TIERS: Final = [tier for tier in RISK_TIERS if tier in FLAGGED_TIERS]
STATUSES_ON_SPANS: Final = [*(status for status in STATUSES if status in FLAGGED_STATUSES), UNREGISTERED]
REQUEST_MODEL: Final = "gen_ai.request.model"
DOT: Final = r"\\."
"""A dot in a regular expression, in a string of OTTL."""
JSON_QUOTE: Final = r"\"?"
"""What may be around a value in a regular expression, in a string of OTTL: MLflow writes values as JSON."""

# Untrusted senders. Prometheus also reads names that were joined or shortened: of name and unit, it keeps the words.
_NO_WORD: Final = "[^a-z0-9]*"
_NO_NAME: Final = "([^a-z0-9]|total|ratio)*"
FORGED_KEY: Final = f"(?i)^{_NO_WORD}model{_NO_WORD}registry([^a-z0-9]|$)"
"""The attribute keys and names that only trusted senders may use."""
FORGED_SENDER: Final = f"(?i)^{_NO_WORD}model{_NO_WORD}registry{_NO_WORD}sender{_NO_WORD}$"
"""The attribute keys that no sender may use."""
FORGED_LABEL: Final = (
    f"(?i)^{_NO_WORD}(model{_NO_WORD}registry([^a-z0-9].*)?|(senders|alertname|alertstate){_NO_WORD})$"
)
"""The same for labels of metrics, with those that only Prometheus may set."""
FORGED_METRICS: Final = (
    f"(?i)^{_NO_NAME}(model{_NO_NAME}registry|traces{_NO_NAME}span{_NO_NAME}metrics|node{_NO_NAME}filesystem)([^a-z0-9]|$)",
    f"^{_NO_WORD.replace('a-z', 'a-zA-Z')}(up|ALERTS|ALERTS_FOR_STATE){_NO_WORD.replace('a-z', 'a-zA-Z')}$",
    ":",  # recording rules
)
"""The names of metrics that rules, alerts or dashboards read."""

# The archive
TOO_LONG: Final = "(too long)"
"""What the archive has in place of a text that is too long. As a model's name, it is not registered."""
MAX_ON_EVENTS: Final = 1_000
"""The limit of characters of a text on events and log records, such as a reason: the highest that OTTL can check."""
IDENTIFIERS: Final = ("error.type", "gen_ai.response.id")
NUMBERS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
MAX_WARNINGS: Final = 8
"""The limit of texts in a list that the archive keeps."""
CALL_NAMES: Final = ("gen_ai.request.model", "gen_ai.response.model", "model", "gen_ai.provider.name", "gen_ai.system")
"""The attributes of log records that name the model or the provider of a call."""
CALL_IDS: Final = ("gen_ai.conversation.id", "conversation.id", "session.id", "prompt.id", "prompt_id", "request_id")
"""The attributes of log records that say to which session or request a call belongs."""
LIFECYCLE_EVENTS: Final = f"^({'|'.join(row.event.replace('.', DOT) for row in OPERATIONS.values())})$"
CALL_EVENTS: Final = rf"^(gen_ai{DOT}client{DOT}inference{DOT}operation{DOT}details|([a-z0-9_-]+{DOT})?api_request)$"
"""The names of log records that report a call: OpenTelemetry's, and those of coding agents."""
RESOURCE: Final = (
    *(f"service.{name}" for name in ("name", "namespace", "version", "instance.id")),
    *("deployment.environment.name", "deployment.environment"),
    *(f"telemetry.{name}" for name in ("sdk.name", "sdk.language", "sdk.version", "distro.name", "distro.version")),
    *(f"cloud.{name}" for name in ("provider", "platform", "region", "availability_zone", "account.id", "resource_id")),
    *(f"faas.{name}" for name in ("name", "version", "instance")),
    *("host.id", "host.name", "container.id", "container.name"),
    *(f"k8s.{kind}.name" for kind in ("cluster", "namespace", "node", "pod", "container")),
    *(f"k8s.{kind}.name" for kind in ("deployment", "statefulset", "daemonset", "job", "cronjob")),
    *("k8s.cluster.uid", "k8s.pod.uid"),
)
"""The attributes of resources that the archive keeps."""


def one_of(values: Iterable[str], quote: str = "") -> str:
    """Return a regular expression that matches only these texts, with what may be around them."""
    return f'"^{quote}({"|".join(value.replace(".", DOT) for value in values)}){quote}$"'


def is_set(key: str) -> str:
    """Return the condition that a span has an attribute."""
    return f"{attribute(key)} != nil"


def in_scope(row: Convention) -> str:
    """Return the condition that a span has the key of a convention in the convention's scope."""
    return is_set(row.key) if row.scope is None else f'{is_set(row.key)} and scope.name == "{row.scope}"'


def model_names() -> Iterator[str]:
    """Yield the conditions that a span names a model."""
    yield from dict.fromkeys(f"- {in_scope(row)}{also(row)}" for row in CONVENTIONS)


def also(row: Convention) -> str:
    """Return the further condition of a convention, if it has one."""
    if row.when is None:
        return ""
    if not row.when.values:
        return f" and {is_set(row.when.key)}"
    return f" and IsMatch({attribute(row.when.key)}, {one_of(row.when.values, JSON_QUOTE)})"


def flagged() -> Iterator[str]:
    """Yield the conditions that the model of a span is flagged."""
    yield f"- IsMatch({attribute(f'{PREFIX}status')}, {one_of(STATUSES_ON_SPANS)})"
    yield f"- IsMatch({attribute(f'{PREFIX}risk_tier')}, {one_of(TIERS)})"
    yield f"- {attribute(f'{PREFIX}response_registered')} == false"


def flagged_tiers() -> Iterator[str]:
    """Yield the flagged risk tiers, for tail sampling."""
    yield f"values: [{', '.join(TIERS)}]"


def flagged_statuses() -> Iterator[str]:
    """Yield the flagged statuses, for tail sampling."""
    yield f"values: [{', '.join(STATUSES_ON_SPANS)}]"


def delete_all(holder: str, key: str) -> str:
    """Return the statement that removes an attribute, also if it is there twice, which ``delete_key`` does not."""
    return f'delete_matching_keys({holder}.attributes, "^{key.replace(".", DOT)}$")'


def parameters() -> Iterator[str]:
    """Yield the statements that reduce JSON parameters to the model's names."""
    cached = 'span.cache["parameters"]'
    for key in dict.fromkeys(row.key for row in CONVENTIONS if row.member is not None):
        value, members = attribute(key), [row.member for row in CONVENTIONS if row.key == key and row.member]
        names = ", ".join(f'"{member}"' for member in members)
        yield "- conditions:"
        yield f"    - {is_set(key)}"
        yield "  statements:"
        yield f"    - set({cached}, ParseJSON({value})) where IsString({value})"
        yield f"    - {delete_all('span', key)}"
        yield f"    - keep_keys({cached}, [{names}]) where IsMap({cached})"
        for member in members:
            found = f'{cached}["{member}"]'
            yield f'    - delete_key({cached}, "{member}") where IsMap({cached}) and not IsString({found})'
        yield f"    {cut_texts(cached, MAX_NAME)} where IsMap({cached})"
        yield f"    - set({value}, String({cached})) where IsMap({cached}) and Len({cached}) > 0"


def delete_keys(pattern: str, *holders: str) -> Iterator[str]:
    """Yield groups that remove matching attributes, one for each holder of attributes."""
    for holder in holders:
        yield f"""- statements: ['delete_matching_keys({holder}.attributes, "{pattern}")']"""


def untrusted_names() -> Iterator[str]:
    """Yield the conditions on which names of untrusted senders are forged."""
    yield "trace_conditions:"
    yield f'  - IsMatch(spanevent.name, "{FORGED_KEY}")'
    yield "log_conditions:"
    for name in ("log.event_name", 'log.attributes["event.name"]'):
        yield f'  - IsMatch({name}, "{FORGED_KEY}")'
    yield "metric_conditions:"
    for pattern in FORGED_METRICS:
        for name in ("metric.name", 'Concat([metric.name, metric.unit], "_")'):
            yield f"""  - 'IsMatch({name}, "{pattern}")'"""


# The archive


def cut_texts(holder: str, limit: int, before: str = "") -> str:
    """Return the statement that replaces texts that are too long, with what is before them."""
    return f'- replace_all_patterns({holder}, "value", "(?s)^{before}.{{{limit}}}.+$", "{TOO_LONG}")'


def keep_texts(holder: str, limit: int) -> Iterator[str]:
    """Yield the statements that empty attributes that are no text, and cut texts that are too long.

    OTTL cannot loop over attributes, but two of its functions do. The first one marks all texts. The second one turns
    all other values into texts, which have no mark: bytes become base64, lists and maps become JSON.
    """
    yield f'- replace_all_patterns({holder}, "value", "^", "s:")'
    yield f"- stringify_all({holder})"
    yield f'- replace_all_patterns({holder}, "value", "(?s)^([^s].*|s[^:].*|s?)$", "")'
    yield cut_texts(holder, limit, "s:")
    yield f'- replace_all_patterns({holder}, "value", "^s:", "")'


def is_identifier(path: str) -> str:
    """Return the condition that a value is a text without white space."""
    return f'IsString({path}) and Len({path}) <= {MAX_TEXT} and IsMatch({path}, "^[!-~]*$")'


def registry_keys(kind: str, *, on_events: bool) -> list[str]:
    """Return the registry's attributes with this type of value, on lifecycle events or on spans and log records."""
    rows = [row for row in ATTRIBUTES if row.type == kind]
    if not on_events:
        return [row.key for row in rows if row.on_spans != "no" or not row.on_events]
    kinds = ("text", "date", "names") if kind == "string" else ()
    metadata = [f"{PREFIX}metadata.{key}" for key, row in RESERVED.items() if row.kind in kinds]
    return [*(row.key for row in rows if row.on_events), *metadata]


def keep_only(holder: str, *keys: str) -> str:
    """Return the statement that removes all other attributes."""
    listed = ", ".join(f'"{key}"' for key in dict.fromkeys(keys))
    return f"- keep_keys({holder}.attributes, [{listed}])"


def archived_records() -> Iterator[str]:
    """Yield the conditions on which spans, events and log records are not archived."""
    by_attribute = attribute("event.name", "log")
    unmarked = " and ".join(f"{attribute(f'otelcol.{mark}')} == nil" for mark in ("registry_event", "names_model"))
    yield "trace_conditions:"
    yield f"  - conditions: ['{unmarked}']"
    yield f"""  - conditions: ['not IsMatch(spanevent.name, "{LIFECYCLE_EVENTS}")']"""
    yield "log_conditions:"
    yield f'  - not IsMatch(log.event_name, "{LIFECYCLE_EVENTS}") and not IsMatch(log.event_name, "{CALL_EVENTS}")'
    yield f'    and not (IsString({by_attribute}) and IsMatch({by_attribute}, "{CALL_EVENTS}"))'


def archived_resource() -> Iterator[str]:
    """Yield the statements that reduce a resource."""
    yield "statements:"
    for line in (keep_only("resource", *RESOURCE), *keep_texts("resource.attributes", MAX_NAME)):
        yield f"  {line}"
    yield '  - set(resource.schema_url, "")'


def archived_scope() -> Iterator[str]:
    """Yield the statements that reduce an instrumentation scope to its name and version."""
    names = [row.scope for row in CONVENTIONS if row.scope is not None and " " in row.scope]
    yield "statements:"
    yield "  - keep_keys(scope.attributes, [])"
    allowed = "|".join((f"[!-~]{{0,{MAX_NAME}}}", *dict.fromkeys(names)))
    yield f'  - set(scope.name, "") where not IsMatch(scope.name, "^({allowed})$")'
    yield f'  - set(scope.version, "") where not IsMatch(scope.version, "^[!-~]{{0,{MAX_NAME}}}$")'
    yield '  - set(scope.schema_url, "")'


def archived_span() -> Iterator[str]:
    """Yield the statements that reduce a span."""
    members = [row.key for row in CONVENTIONS if row.member is not None]
    texts, flags, lists = (registry_keys(kind, on_events=False) for kind in ("string", "boolean", "string[]"))
    checks = {
        **dict.fromkeys(NUMBERS, "IsInt({})".format),
        **dict.fromkeys(flags, "IsBool({})".format),
        **dict.fromkeys(lists, "IsList({})".format),
        **dict.fromkeys(members, "IsString({})".format),
        **dict.fromkeys(IDENTIFIERS, is_identifier),
    }
    names = sorted({*DECIDING_KEYS, *PROVIDER_KEYS} - checks.keys())
    yield "- statements:"
    yield '    - set(span.cache["kept"], {})'
    for key, check in checks.items():
        yield f'    - set(span.cache["kept"]["{key}"], {attribute(key)}) where {check(attribute(key))}'
    yield f"    {keep_only('span', *texts, *names)}"
    for key in dict.fromkeys(row.key for row in CONVENTIONS if row.scope is not None):
        scopes = " and ".join(f'scope.name != "{row.scope}"' for row in CONVENTIONS if row.key == key)
        yield f"    - {delete_all('span', key)} where {scopes}"
    for statement in keep_texts("span.attributes", MAX_NAME):
        yield f"    {statement}"
    yield '    - merge_maps(span.attributes, span.cache["kept"], "insert")'
    yield f'    - set(span.name, "{TOO_LONG}") where Len(span.name) > {MAX_NAME}'
    yield '    - set(span.status.message, "")'
    yield '    - set(span.trace_state, "")'
    for key in lists:
        yield from keep_list(attribute(key))


def keep_list(path: str) -> Iterator[str]:
    """Yield the group that reduces a list to its first texts."""
    yield f"- conditions: ['{path} != nil']"
    yield "  statements:"
    yield '    - set(span.cache["texts"], [])'
    for place in range(MAX_WARNINGS):
        item = f"{path}[{place}]"
        is_there = f"Len({path}) > {place} and IsString({item}) and Len({item}) <= {MAX_TEXT}"
        yield f'    - append(span.cache["texts"], {item}) where {is_there}'
    yield f'    - set({path}, span.cache["texts"])'


def archived_span_event() -> Iterator[str]:
    """Yield the statements that reduce a lifecycle event of a span."""
    yield "- statements:"
    yield f"    {keep_only('spanevent', *registry_keys('string', on_events=True))}"
    for statement in keep_texts("spanevent.attributes", MAX_ON_EVENTS):
        yield f"    {statement}"


def archived_log() -> Iterator[str]:
    """Yield the statements that reduce a log record: a lifecycle event, or one that reports a call."""
    texts = dict.fromkeys(key for on_events in (True, False) for key in registry_keys("string", on_events=on_events))
    identifiers = ("event.name", OPERATION_KEY, *IDENTIFIERS, *CALL_IDS)
    by_attribute = attribute("event.name", "log")
    yield "- statements:"
    yield f"    {keep_only('log', *texts, *CALL_NAMES, *identifiers)}"
    for key in identifiers:
        path = attribute(key, "log")
        yield f"    - {delete_all('log', key)} where {path} != nil and not ({is_identifier(path)})"
    for statement in keep_texts("log.attributes", MAX_ON_EVENTS):
        yield f"    {statement}"
    yield f'    - set(log.event_name, {by_attribute}) where log.event_name == "" and {by_attribute} != nil'
    yield '    - set(log.body, "") where log.body != nil'
    yield '    - set(log.severity_text, "")'


def not_calls() -> Iterator[str]:
    """Yield the conditions with which a span that names a model is not a call."""
    for key, values in NOT_CALLS.items():
        yield f"- IsMatch({attribute(key)}, {one_of(sorted(values), JSON_QUOTE)})"
    for row in CONVENTIONS:
        if row.calls_have is not None:
            missing = dict.fromkeys((row.calls_have, REQUEST_MODEL))
            yield f"- {' and '.join((in_scope(row), *(f'{attribute(key)} == nil' for key in missing)))}"
    rows = [" and ".join(map(is_set, dict.fromkeys(row))) for row in INFRASTRUCTURE]
    yield "- >-"
    yield f"  ({' or '.join(rows)})"
    for key in CALL_EVIDENCE:
        yield f"  and {attribute(key)} == nil"


def model_label() -> Iterator[str]:
    """Yield the statements that set the label with the model's name: that of the request, else that of the response."""
    rows = [row for row in CONVENTIONS if row.scope is row.member is None and row.when is None]
    rows.sort(key=lambda row: (row.response, row.by_gateway))
    values = ",\n  ".join(attribute(key) for key in (*(row.key for row in rows), f"{PREFIX}model_id"))
    yield "- >-"
    yield from f"  set({attribute(REQUEST_MODEL)}, Coalesce([\n  {values}]))".splitlines()


BLOCKS: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "archived_log": archived_log,
    "archived_records": archived_records,
    "archived_resource": archived_resource,
    "archived_scope": archived_scope,
    "archived_span": archived_span,
    "archived_span_event": archived_span_event,
    "flagged": flagged,
    "flagged_statuses": flagged_statuses,
    "flagged_tiers": flagged_tiers,
    "model_label": model_label,
    "model_names": model_names,
    "not_calls": not_calls,
    "parameters": parameters,
    "trusted_logs": lambda: delete_keys(FORGED_SENDER, "resource", "scope", "log"),
    "trusted_metrics": lambda: delete_keys(FORGED_SENDER, "resource", "scope", "datapoint"),
    "trusted_traces": lambda: delete_keys(FORGED_SENDER, "resource", "scope", "span", "spanevent"),
    "untrusted_logs": lambda: delete_keys(FORGED_KEY, "resource", "scope", "log"),
    "untrusted_metrics": lambda: delete_keys(FORGED_LABEL, "resource", "scope", "datapoint"),
    "untrusted_names": untrusted_names,
    "untrusted_traces": lambda: delete_keys(FORGED_KEY, "resource", "scope", "span", "spanevent"),
}


def update(text: str) -> str:
    """Return the configuration with its generated blocks up to date."""

    def render(block: re.Match[str]) -> str:
        indent, name = block.groups()
        lines = [f"# generated: {name}", *BLOCKS[name](), "# end"]
        return "".join(f"{indent}{line}\n" for line in lines)

    return BLOCK.sub(render, text)


def main(arguments: list[str]) -> int:
    """Update the configuration, or with ``--check`` report that it is out of date."""
    text = FILE.read_text("utf-8")
    if update(text) == text:
        return 0
    if "--check" in arguments:
        print(f"collector-config/{FILE.name} is out of date: run make docs", file=sys.stderr)
        return 1
    FILE.write_text(update(text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

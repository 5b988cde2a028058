"""A generator of Grafana's dashboards. With ``--check``, the program only compares."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, GraphDrawStyle, StackingMode, VizOrientation
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, LIFECYCLE, OPERATIONS, STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FOLDER: Final = Path(__file__).resolve().parent.parent / "collector-config" / "grafana" / "dashboards"
PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")

MODEL, OWNER = "model_registry_model_id", "model_registry_owner"
TIER, STATUS = "model_registry_risk_tier", "model_registry_status"
ASKED, SERVICE, EVENT = "gen_ai_request_model", "service_name", "event_name"
JOB = "job"
"""The label with the service in the plugin's own metrics."""
REQUESTED, CONTACT, SUCCESSOR = (f"model_registry_{name}" for name in ("requested_model_id", "contact", "successor"))
FILE, DIGEST = "file_path", "model_registry_file_digest"
PLUGIN = "otel_scope_version"
"""The label with the version of the plugin: that of its instrumentation scope."""

TITLES: Final = {
    MODEL: "model",
    OWNER: "owner",
    TIER: "risk tier",
    STATUS: "status",
    ASKED: "called as",
    SERVICE: "service",
    JOB: "service",
    EVENT: "event",
    REQUESTED: "asked for",
    CONTACT: "contact",
    SUCCESSOR: "successor",
    FILE: "file",
    DIGEST: "digest",
    PLUGIN: "plugin",
}
"""The heading of a label's column, by label."""


class Panel(NamedTuple):
    """A row of one of the tables below.

    Attributes:
        kind: A key of ``KINDS``.
        title: The title.
        size: The width, out of 24, and the height.
        queries: The PromQL queries by legend. In tables, the legend is the heading of the value's column.
        unit: The unit of the values, as Grafana names it.
        tags: Jaeger's tags of the traces to which a line of a table links; empty for no links to traces.
        about: The description.
    """

    kind: str
    title: str
    size: tuple[int, int]
    queries: dict[str, str]
    unit: str = "short"
    tags: str = ""
    about: str = ""

    @property
    def labels(self) -> set[str]:
        """The labels by which the queries group lines."""
        groups = re.findall(
            r"^sum by \(([^)]*)\)|group_right \(\) \(sum by \(([^)]*)\)", "\n".join(self.queries.values())
        )
        return {label for pair in groups for group in pair for label in group.split(", ")}


def join(words: Iterable[str]) -> str:
    """Return words as a list within a sentence."""
    *first, last = words
    return f"{', '.join(first)} and {last}"


def matcher(label: str, value: str, operator: str = "=") -> str:
    """Return the matcher of one label, for a selector."""
    return f'{label}{operator}"{value}"'


def column(label: str) -> str:
    """Return the legend that shows a label's value."""
    return f"{{{{{label}}}}}"


def calls(*matchers: str, senders: str = "") -> str:
    """Return the selector of calls."""
    return f"traces_span_metrics_calls_total{{{', '.join((matcher('senders', senders), *matchers))}}}"


def events(*matchers: str) -> str:
    """Return the selector of lifecycle events."""
    return calls(*matchers).replace("_calls_", "_events_")


def in_range(series: str, *labels: str) -> str:
    """Return the exact number of calls or events in the dashboard's range, which ``increase`` only estimates.

    A series that began within the range counts from zero, so its first value is included. ``increase`` omits it.
    """
    last = f"last_over_time({series}[$__range])"
    return f"sum by ({', '.join(labels)}) (({last} - {series} offset $__range >= 0) or {last})"


def per_interval(series: str, *labels: str) -> str:
    """Return the exact number in each interval of a graph."""
    return f"sum by ({', '.join(labels)}) (({series} - {series} offset $__interval >= 0) or {series}) > 0"


def rate(series: str, *labels: str) -> str:
    """Return the number per second."""
    return f"sum by ({', '.join(labels)}) (rate({series}[$__rate_interval]))"


def quantile(share: float, series: str, window: str = "$__rate_interval") -> str:
    """Return a quantile of the durations of calls."""
    buckets = series.replace("_calls_total", "_duration_seconds_bucket")
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}[{window}])))"


def changing(metric: str, *matchers: str) -> str:
    """Return a gauge without processes that ended, whose last values the Collector repeats for an hour."""
    series = f"{metric}{{{', '.join((matcher('senders', ''), *matchers))}}}"
    return f"{series} unless {series} == {series} offset 5m"


CHOSEN: Final = calls(matcher(OWNER, "$owner", "=~"), matcher(TIER, "$tier", "=~"))
REGISTERED: Final = calls(matcher(MODEL, "", "!="))
CALLS_OF: Final = {status: calls(matcher(STATUS, status)) for status in (*STATUSES, UNREGISTERED)}
"""The selector of calls, by status."""
FLAGGED: Final = "|".join([*(status for status in STATUSES if status in FLAGGED_STATUSES), UNREGISTERED])
"""A regular expression for the statuses whose calls are flagged."""
OF_MODEL: Final = calls(matcher(MODEL, "$model"))
FAILED: Final = calls(matcher(MODEL, "$model"), matcher("status_code", "STATUS_CODE_ERROR"))
SUNSET: Final = f"min by ({MODEL}) ({changing('model_registry_sunset_seconds')})"
FIRING: Final = 'ALERTS{senders="", alertname=~"ModelRegistry.*", alertstate="firing"}'
NUMBERS: Final = {status: number for number, status in enumerate(STATUSES, 1)}
"""The number of a status in the timeline, by status."""
IN_FORCE: Final = " or ".join(
    f'group by ({MODEL}, {STATUS}) ({{__name__=~"traces_span_metrics_(calls|events)_total", senders="", '
    f'{MODEL}!="", {STATUS}="{status}"}}) * {number}'
    for status, number in NUMBERS.items()
)

NAMED_BY_AGENTS: Final = in_range(
    f'model_registry_agent_spans_total{{senders="", {MODEL}!~"|{UNREGISTERED}"}}', JOB, MODEL
)
INFO: Final = f'model_registry_info{{senders="", {MODEL}="$model"}}'
SUBSTITUTIONS: Final = 'model_registry_substitutions_total{senders=""}'
MODELS: Final = 'model_registry_models{senders=""}'
IN_USE: Final = changing("model_registry_file_in_use_seconds")
CALLED: Final = in_range('model_registry_calls_total{senders=""}', JOB, MODEL)

INVENTORY: Final = [
    Panel("stat", "Calls", (6, 4), {"calls": in_range(CHOSEN)}),
    Panel("stat", "Models called", (6, 4), {"models": f"count({in_range(REGISTERED, MODEL)} > 0)"}),
    Panel("stat", "Owners of models called", (6, 4), {"owners": f"count({in_range(REGISTERED, OWNER)} > 0)"}),
    Panel(
        "stat",
        "Models registered",
        (6, 4),
        {"models": f'sum(max by ({STATUS}, {TIER}) (model_registry_models{{senders=""}}))'},
        about="From the plugin's own metrics. If services have different registries, the largest one counts.",
    ),
    Panel("bars", "Calls by owner", (8, 8), {column(OWNER): in_range(CHOSEN, OWNER)}),
    Panel("bars", "Calls by risk tier", (8, 8), {column(TIER): in_range(CHOSEN, TIER)}),
    Panel("bars", "Calls by status", (8, 8), {column(STATUS): in_range(CHOSEN, STATUS)}),
    Panel("graph", "Calls by status", (12, 8), {column(STATUS): rate(CHOSEN, STATUS)}, "reqps"),
    Panel("graph", "Calls by owner", (12, 8), {column(OWNER): rate(CHOSEN, OWNER)}, "reqps"),
    Panel(
        "table",
        "Models",
        (24, 10),
        {"calls": in_range(CHOSEN, MODEL, OWNER, TIER, STATUS)},
        tags=f"model_registry.model_id=${{__data.fields.{MODEL}}}",
    ),
    Panel(
        "table",
        "Models that only agents name",
        (24, 8),
        {"spans of agents": f"{NAMED_BY_AGENTS} > 0 unless on ({JOB}, {MODEL}) {CALLED} > 0"},
        tags=f"model_registry.model_id=${{__data.fields.{MODEL}}}",
        about="Services whose agents name a model that the same service does not call. Perhaps the calls of the model "
        "are not instrumented. From the plugin's own metrics.",
    ),
]

ONE_MODEL: Final = [
    Panel("stat", "Calls", (6, 4), {"calls": in_range(OF_MODEL)}),
    Panel(
        "stat", "Failed", (6, 4), {"failed": f"({in_range(FAILED)} or vector(0)) / {in_range(OF_MODEL)}"}, "percentunit"
    ),
    Panel("stat", "Slowest 5 %", (6, 4), {"p95": quantile(0.95, OF_MODEL, "$__range")}, "s"),
    Panel(
        "stat",
        "Time until its sunset",
        (6, 4),
        {"sunset": f"min({changing('model_registry_sunset_seconds', matcher(MODEL, '$model'))})"},
        "s",
        about="For a deprecated model that has a sunset date, from the plugin's own metrics.",
    ),
    Panel(
        "table",
        "Owner, contact and successor",
        (24, 4),
        {"processes": f"sum by ({OWNER}, {CONTACT}, {SUCCESSOR}) ({INFO})"},
        about="The number of processes whose registry says so. From the plugin's own metrics.",
    ),
    Panel("graph", "Calls by service", (12, 8), {column(SERVICE): rate(OF_MODEL, SERVICE)}, "reqps"),
    Panel("graph", "Failed calls by service", (12, 8), {column(SERVICE): rate(FAILED, SERVICE)}, "reqps"),
    Panel(
        "graph",
        "Duration",
        (12, 8),
        {"half": quantile(0.5, OF_MODEL), "95 %": quantile(0.95, OF_MODEL), "99 %": quantile(0.99, OF_MODEL)},
        "s",
    ),
    Panel("events", "Lifecycle", (12, 8), {column(EVENT): per_interval(events(matcher(MODEL, "$model")), EVENT)}),
    Panel(
        "table",
        "Callers",
        (24, 10),
        {"calls": in_range(OF_MODEL, SERVICE, ASKED, OWNER, TIER, STATUS)},
        tags="model_registry.model_id=${model}",
    ),
]

ALLOWED_UNTIL_SUNSET: Final = "deprecated"
"""The status whose calls raise no alarm. Its table shows the time until the sunset."""
FORBIDDEN: Final = [status for status in reversed(STATUSES) if status in FLAGGED_STATUSES - {ALLOWED_UNTIL_SUNSET}]
"""The statuses in which a model must not be called, the most final first."""


def count_calls(kind: str, status: str, width: int) -> Panel:
    """Return the panel with the number of calls of models of a status."""
    return Panel(kind, f"Calls of {status} models", (width, 4), {"calls": in_range(CALLS_OF[status])})


def list_called(status: str) -> Panel:
    """Return the table of models that were called in a forbidden status."""
    return Panel(
        "table",
        f"{status.capitalize()} models that were called",
        (12, 8),
        {"calls": in_range(CALLS_OF[status], SERVICE, MODEL, ASKED, OWNER, TIER) + " > 0"},
        tags=f"model_registry.status={status}",
    )


WIDTH: Final = 24 // (len(FORBIDDEN) + 3)
"""The width of each number in the first row of the violations."""

VIOLATIONS: Final = [
    *(count_calls("alarm", status, WIDTH) for status in FORBIDDEN),
    count_calls("alarm", UNREGISTERED, WIDTH),
    count_calls("stat", ALLOWED_UNTIL_SUNSET, WIDTH),
    Panel("alarm", "Alerts that fire", (WIDTH, 4), {"alerts": f"count({FIRING})"}),
    *(list_called(status) for status in FORBIDDEN),
    Panel(
        "table",
        "Unregistered models that were called",
        (12, 8),
        {"calls": in_range(CALLS_OF[UNREGISTERED], SERVICE, ASKED) + " > 0"},
        tags="model_registry.status=unregistered",
    ),
    Panel(
        "table",
        "Deprecated models that were called, and the time until their sunset",
        (12, 8),
        {
            "sunset in": f"{SUNSET} * on ({MODEL}) group_right () "
            f"({in_range(CALLS_OF[ALLOWED_UNTIL_SUNSET], SERVICE, MODEL, OWNER, TIER)} > bool 0 > 0)"
        },
        "s",
        "model_registry.status=deprecated",
    ),
    Panel(
        "table",
        "Calls that another model answered",
        (12, 8),
        {"calls": f"{in_range(SUBSTITUTIONS, JOB, REQUESTED, MODEL, STATUS)} > 0"},
        about="The model that answered is empty if it is not registered. From the plugin's own metrics.",
    ),
    Panel("table", "Alerts that fire", (12, 8), {"firing": f"sum by (alertname, severity, owner) ({FIRING})"}),
    Panel(
        "graph",
        "Calls of models that should not be called",
        (12, 8),
        {column(STATUS): rate(calls(matcher(STATUS, FLAGGED, "=~")), STATUS)},
        "reqps",
    ),
    Panel(
        "table",
        "Registry files, and the time since each was seen in force",
        (12, 8),
        {"age": f"max by (job, file_path) ({changing('model_registry_file_age_seconds')})"},
        "s",
    ),
    Panel(
        "table",
        "Versions of the plugin",
        (12, 8),
        {"processes": f"sum by ({JOB}, {PLUGIN}) (max by ({JOB}, instance, {PLUGIN}) ({MODELS}) ^ 0)"},
        about="The number of processes of each service, with and without registry files. Processes that ended count "
        "for an hour.",
    ),
    Panel(
        "table",
        "Versions of registry files",
        (24, 8),
        {"processes": f"sum by ({JOB}, {FILE}, {DIGEST}, {PLUGIN}) (({IN_USE}) ^ 0)"},
        about="The number of processes that use a version. The digest is the beginning of its SHA-256. Processes that "
        "ended, and versions that a process no longer uses, count for five minutes.",
    ),
    Panel(
        "table",
        "Calls of untrusted senders",
        (24, 8),
        {"calls": in_range(calls(senders="untrusted"), SERVICE, ASKED, OWNER, STATUS)},
        about="The names of services and models are from these senders. Owner and status are from the Collector.",
    ),
]

CHANGES: Final = [
    *(
        Panel(
            "stat",
            row.event.removeprefix(PREFIX).capitalize(),
            (24 // len(OPERATIONS), 4),
            {"events": in_range(events(matcher(EVENT, row.event)))},
        )
        for row in OPERATIONS.values()
    ),
    Panel("states", "Status", (24, 10), {column(MODEL): f"max by ({MODEL}) ({IN_FORCE})"}),
    Panel("events", "Events", (24, 8), {f"{column(EVENT)} {column(MODEL)}": per_interval(events(), EVENT, MODEL)}),
    Panel(
        "table",
        "Events",
        (24, 10),
        {"events": in_range(events(), EVENT, MODEL, OWNER, TIER, SERVICE) + " > 0"},
        tags=f"event=${{__data.fields.{EVENT}}} model_registry.model_id=${{__data.fields.{MODEL}}}",
    ),
]

VARIABLES: Final = {
    "owner": f"label_values({calls()}, {OWNER})",
    "tier": f"label_values({calls()}, {TIER})",
    "model": f"label_values({calls()}, {MODEL})",
}
"""The query for the values of a variable, by variable. All except ``model`` take several values, and start with all."""


class Board(NamedTuple):
    """A dashboard."""

    uid: str
    title: str
    about: str
    variables: tuple[str, ...]
    panels: list[Panel]


BOARDS: Final = (
    Board(
        "model-registry-inventory",
        "Model registry: inventory",
        "The models that are called, with their owners, risk tiers and statuses.",
        ("owner", "tier"),
        INVENTORY,
    ),
    Board(
        "model-registry-model", "Model registry: one model", "The callers, errors and durations.", ("model",), ONE_MODEL
    ),
    Board(
        "model-registry-violations",
        "Model registry: violations",
        "Calls of models that should not be called, and faults that keep the plugin from detecting them.",
        (),
        VIOLATIONS,
    ),
    Board(
        "model-registry-lifecycle",
        "Model registry: lifecycle",
        f"When models were {join(row.event.removeprefix(PREFIX) for row in OPERATIONS.values())}, "
        "with the traces in which it happened.",
        (),
        CHANGES,
    ),
)


def explore(source: str, kind: str, query: dict[str, str]) -> str:
    """Return the address of Explore with a query. Grafana replaces each ``${…}``."""
    pane = {
        "datasource": source,
        "queries": [{"refId": "A", "datasource": {"type": kind, "uid": source}, **query}],
        "range": {"from": "${__from}", "to": "${__to}"},
    }
    address = quote(json.dumps({"traces": pane}, separators=(",", ":")), safe="")
    address = re.sub(r"%24%7B([\w.%]+?)%7D", lambda found: f"${{{found[1]}}}", address)
    return f"/explore?schemaVersion=1&orgId=1&panes={address}"


def links(panel: Panel) -> Iterator[dashboard.DashboardLink]:
    """Yield the links of a table's line, to its model and to its traces. Jaeger needs a service to search."""
    labels = panel.labels
    if MODEL in labels:
        yield link("This model", f"/d/model-registry-model?var-model=${{__data.fields.{MODEL}}}&${{__url_time_range}}")
    if panel.tags and SERVICE in labels:
        jaeger = {"queryType": "search", "service": f"${{__data.fields.{SERVICE}}}", "tags": panel.tags}
        yield link("Traces in Jaeger", explore("${jaeger}", "jaeger", jaeger))
    if panel.tags:
        tempo = {"queryType": "traceql", "query": traceql(panel.tags)}
        yield link("Traces in Tempo", explore("${tempo}", "tempo", tempo))


def link(title: str, url: str) -> dashboard.DashboardLink:
    """Return a link."""
    return dashboard.DashboardLink(title).url(url).type(DashboardLinkType.LINK).target_blank(target_blank=True)


def traceql(tags: str) -> str:
    """Return Tempo's query that equals these tags of Jaeger."""
    names = (tag.partition("=") for tag in tags.split())
    terms = (f'{"event:name" if name == "event" else f"span.{name}"} = "{value}"' for name, _, value in names)
    return f"{{ {' && '.join(terms)} }}"


def look_of_table(built: Any, panel: Panel) -> None:
    """Name the columns, and add links from lines to their model and traces."""
    (heading,) = panel.queries
    organized = {"excludeByName": {"Time": True}, "renameByName": {}, "indexByName": {}}
    built.with_transformation(DataTransformerConfig(id_val="organize", options=organized))
    for name, title in TITLES.items():
        if name in panel.labels:
            built.override_by_name(name, [DynamicConfigValue("displayName", title)])
    value = [DynamicConfigValue("displayName", heading), DynamicConfigValue("unit", panel.unit)]
    built.override_by_name("Value", value).unit("none")
    built.filterable(filterable=True).data_links(list(links(panel)))


def look_of_states(built: Any, _panel: Panel) -> None:
    """Show numbers as statuses."""
    shown = {
        str(NUMBERS[status]): ValueMappingResult(text=status, color=row.colour) for status, row in LIFECYCLE.items()
    }
    built.fill_opacity(70).line_width(0).mappings([ValueMap(options=shown)]).color_scheme(
        dashboard.FieldColor().mode(FieldColorModeId.FIXED)
    )


def look_of_alarm(built: Any, _panel: Panel) -> None:
    """Show any number above zero in red."""
    steps = [Threshold(value=None, color="green"), Threshold(value=1, color="red")]
    built.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)).no_value("0")
    built.color_mode(BigValueColorMode.BACKGROUND)


def look_of_bars(built: Any, _panel: Panel) -> None:
    """Draw horizontal bars, which have room for names."""
    built.orientation(VizOrientation.HORIZONTAL)


def look_of_events(built: Any, _panel: Panel) -> None:
    """Draw stacked bars."""
    built.draw_style(GraphDrawStyle.BARS).fill_opacity(80)
    built.stacking(common.StackingConfig().mode(StackingMode.NORMAL))


class Kind(NamedTuple):
    """A kind of panel.

    Attributes:
        builder: The class of Grafana's builder.
        over_time: ``True`` if the panel shows values over time.
        look: The function that sets the appearance.
    """

    builder: Any
    over_time: bool = False
    look: Callable[[Any, Panel], None] = lambda _built, _panel: None


KINDS: Final = {
    "stat": Kind(stat.Panel, look=lambda built, _panel: built.no_value("0")),
    "alarm": Kind(stat.Panel, look=look_of_alarm),
    "bars": Kind(bargauge.Panel, look=look_of_bars),
    "graph": Kind(timeseries.Panel, over_time=True, look=lambda built, _panel: built.fill_opacity(10)),
    "events": Kind(timeseries.Panel, over_time=True, look=look_of_events),
    "states": Kind(statetimeline.Panel, over_time=True, look=look_of_states),
    "table": Kind(table.Panel, look=look_of_table),
}


def build_panel(panel: Panel) -> Any:
    """Return a panel."""
    kind = KINDS[panel.kind]
    built = kind.builder().title(panel.title).description(panel.about).datasource(PROMETHEUS).unit(panel.unit)
    built.span(panel.size[0]).height(panel.size[1])
    for letter, (legend, expression) in zip(ascii_uppercase, panel.queries.items(), strict=False):
        query = prometheus.Dataquery().ref_id(letter).expr(expression).legend_format(legend).datasource(PROMETHEUS)
        query = query.range() if kind.over_time else query.instant()
        built.with_target(query.format(PromQueryFormat.TABLE) if panel.kind == "table" else query)
    kind.look(built, panel)
    return built


def build(board: Board) -> str:
    """Return a dashboard as JSON."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.about)
        .tags(["model-registry"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Model registry")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["model-registry"])
            .keep_time(keep_time=True)
        )
    )
    for name, kind in (("datasource", "prometheus"), ("jaeger", "jaeger"), ("tempo", "tempo")):
        built.with_variable(dashboard.DatasourceVariable(name).label(kind.capitalize()).type(kind))
    for name in board.variables:
        variable = dashboard.QueryVariable(name).label(name).query(VARIABLES[name]).datasource(PROMETHEUS)
        variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
        if name != "model":
            variable.include_all(include_all=True).multi(multi=True).all_value(".*")
            variable.current(VariableOption(text="All", value="$__all"))
        built.with_variable(variable)
    for panel in board.panels:
        built.with_panel(build_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(built.build()) + "\n"


def main(arguments: list[str]) -> int:
    """Write the dashboards that are out of date, or with ``--check`` report them."""
    boards = {FOLDER / f"{board.uid}.json": build(board) for board in BOARDS}
    stale = {file: text for file, text in boards.items() if not file.exists() or file.read_text("utf-8") != text}
    for file, text in stale.items():
        if "--check" in arguments:
            print(f"{file.name} is out of date: run make docs", file=sys.stderr)
        else:
            FOLDER.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

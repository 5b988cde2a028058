"""Prometheus' rules against the tables of the code, their tests and their page, without a Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.prometheus import unknown_names
from support.yaml_files import read_yaml

from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS
from spanforge.model_registry._core.resolution import UNREGISTERED

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "collector-config" / "prometheus"
FILE = FOLDER / "rules.yml"
TESTS = ROOT / "tests" / "prometheus" / "rules_test.yml"
RULES = [rule for group in read_yaml(FILE.read_text("utf-8"))["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
PAGES = {
    name: (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("alerts", "alert-dates", "alert-operations")
}
CASES = [
    (case["alertname"], case["exp_alerts"])
    for test in read_yaml(TESTS.read_text("utf-8"))["tests"]
    for case in test["alert_rule_test"]
]


def selected(label: str, operator: str = "=") -> set[str]:
    """Return the values of a label that the alerts select."""
    values = (value for rule in ALERTS.values() for value in re.findall(rf'\b{label}{operator}"([^"]*)"', rule["expr"]))
    return {each for value in values for each in value.split("|")}


def fired(label: str) -> set[str]:
    """Return the values of a label with which an alert that selects them fires in the tests of the rules."""
    return {
        str(alert["exp_labels"].get(label, ""))
        for name, expected in CASES
        for alert in expected
        if re.search(rf"\b{label}=", ALERTS[name]["expr"])
    } - {""}


def test_every_flagged_status_has_an_alert() -> None:
    """rules.yml selects calls of each flagged status, and rules_test.yml has an alert that fires for each."""
    statuses = FLAGGED_STATUSES | {UNREGISTERED}
    assert selected("model_registry_status") == statuses, FILE.name
    assert fired("model_registry_status") == statuses, TESTS.name


def test_alerts_of_risk_are_about_flagged_tiers() -> None:
    """rules.yml selects errors and durations of the flagged tiers, and in rules_test.yml alerts fire for each."""
    assert selected("model_registry_risk_tier", "=~") == FLAGGED_TIERS, FILE.name
    assert fired("model_registry_risk_tier") >= FLAGGED_TIERS, TESTS.name


def test_limit_of_slow_calls_is_a_bucket() -> None:
    """The Collector counts calls below and above the limit apart. A percentile within a bucket is only an estimate."""
    (limit,) = re.findall(r"duration_seconds:.* > (\d+)$", ALERTS["ModelRegistrySlow"]["expr"])
    config = read_yaml((FOLDER.parent / "collector.yaml").read_text("utf-8"))
    assert f"{limit}s" in config["connectors"]["span_metrics"]["histogram"]["explicit"]["buckets"]


def test_every_alert_fires_and_does_not_fire_in_the_tests() -> None:
    """rules_test.yml has a case in which each alert fires, and one in which it does not."""
    assert {(name, bool(expected)) for name, expected in CASES} == {
        (name, on) for name in ALERTS for on in (True, False)
    }


def test_each_alert_says_what_to_do() -> None:
    """An alert says that no call is blocked and whom to ask, and has its runbook; alerts on calls have their traces."""
    for name, rule in ALERTS.items():
        notes = rule["annotations"]
        for text in ("alls are not blocked", "Ask "):
            assert text in notes["description"], name
        page = next(each for each, text in PAGES.items() if re.search(rf"^## {name}\n\n- ", text, re.MULTILINE))
        change = (
            "" if page == "alerts" else rf" | reReplaceAll `alerts(\\.[a-z]+)?$` `{page}${{1}}`".replace(r"\\", "\\")
        )
        base = f"{{{{ with $externalLabels.runbook_base }}}}{{{{ .{change} }}}}"
        assert notes["runbook_url"] == f"{base}#{name.lower()}{{{{ end }}}}"
        about_calls = re.search(":calls|:errors|duration|substitutions|last_call", rule["expr"])
        assert ("/search?" in notes.get("traces_url", "")) is bool(about_calls), name
        assert "lookback=" in notes.get("traces_url", "lookback="), name


def test_rules_use_metrics_and_labels_that_there_are() -> None:
    """The plugin's metrics and labels in rules.yml are rows of ``METRICS`` and ``ATTRIBUTES``."""
    for rule in RULES:
        assert unknown_names(rule["expr"]) == set(), rule.get("alert", rule.get("record"))
        assert unknown_names(str(rule.get("annotations"))) == set(), rule.get("alert")


def test_rules_read_trusted_senders_only() -> None:
    """Each selector of the rules, and each of the dashboards but one table, reads series of trusted senders."""
    selectors = re.compile(r"(?<![\w{}$])([A-Za-z_][\w:]*)\{([^{}]*)\}")
    for rule in RULES:
        found = selectors.findall(rule["expr"])
        assert found, rule
        assert all('senders=""' in matchers for _, matchers in found), rule
        texts = str({**rule.get("labels", {}), **rule.get("annotations", {})})
        assert all('senders=""' in matchers for _, matchers in selectors.findall(texts)), rule
        bare = selectors.sub("", rule["expr"])
        assert not re.search(r"(?<!\w)(model_registry:|traces_|node_|up\b)", bare), rule
    boards = "".join(file.read_text("utf-8") for file in (ROOT / "collector-config" / "grafana").rglob("*.json"))
    matchers = [
        json.loads(f'"{text}"') for text in re.findall(r"(?:total|seconds|bucket|models|ALERTS)\{([^{}]*)\}", boards)
    ]
    assert {re.findall(r'senders="(\w*)"', text)[0] for text in matchers} == {"", "untrusted"}


def test_scraped_as_often_as_flushed() -> None:
    """The scrape interval is no longer than the Collector's flush interval, or single calls would be missed."""
    collector = (ROOT / "collector-config" / "collector.yaml").read_text("utf-8")
    (flushed,) = re.findall(r"OTELCOL_METRICS_FLUSH:-(\d+)s", collector)
    prometheus = read_yaml((FOLDER / "prometheus.yml").read_text("utf-8"))
    assert int(prometheus["global"]["scrape_interval"].removesuffix("s")) <= int(flushed)


def test_the_page_describes_every_alert() -> None:
    """docs/alerts.md has a line for each alert, in their order, with its severity and its delay.

    It has a heading for each link ``runbook_url``. Below it is the section, or a link to the section on another page.
    """
    page, *others = PAGES.values()
    assert re.findall(r"^## (Model\w+)$", page, re.MULTILINE) == list(ALERTS)
    lines = re.findall(
        r"^\| \[(\w+)\]\((?:alert-\w+\.md)?#(\w+)\) \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE
    )
    assert [(name, anchor) for name, anchor, _, _ in lines] == [(name, name.lower()) for name in ALERTS]
    for name, _, severity, after in lines:
        rule = ALERTS[name]
        levels = re.compile("critical|warning|info")
        said, meant = (set(levels.findall(text)) for text in (severity, rule["labels"]["severity"]))
        assert said == meant, name
        assert after == rule["for"] if "for" in rule else re.match("one (call|failure|event|change)", after), name
    sections = re.findall(r"^## (Model\w+)\n\n((?:- .+\n(?:.+\n)*)+)", "".join([page, *others]), re.MULTILINE)
    assert sorted(name for name, _ in sections) == sorted(ALERTS)
    for name, text in sections:
        assert re.findall(r"^- \*\*(\w+):\*\*", text, re.MULTILINE) == ["Means", "Look", "Do", "Ask"], name


def test_every_alert_that_is_named_exists() -> None:
    """The documentation and the examples name no alert that rules.yml does not have."""
    classes = {
        name
        for file in (ROOT / "src").rglob("*.py")
        for name in re.findall(r"^class (\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    files = [
        file
        for folder in ("docs", "examples")
        for file in (ROOT / folder).rglob("*.*")
        if file.suffix in {".md", ".py"}
    ]
    assert {"alerts.md", "on_call_engineer.py"} <= {file.name for file in files}
    named = {
        (name, file.name) for file in files for name in re.findall(r"\bModelRegistry[A-Z]\w+", file.read_text("utf-8"))
    }
    assert [each for each in sorted(named) if each[0] not in {*ALERTS, *classes}] == []

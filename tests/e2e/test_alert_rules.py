"""Prometheus' rules in the real promtool: the configuration, each alert, and half a year of dates."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.servers import LESS_GARBAGE_COLLECTION
from support.yaml_files import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "collector-config" / "prometheus"
HOURS = 12
"""The hours between two evaluations. For the rules, each value of a counter is then that of a new series: a call."""
DAY = 24 // HOURS
END = 190 * DAY


def promtool(program: Callable[[str], str], *arguments: str | Path, tries: int = 1) -> str:
    """Return the output of promtool, which must succeed in one of some tries."""
    environment = {**os.environ, **LESS_GARBAGE_COLLECTION}
    command = [program("promtool"), *arguments]
    for _ in range(tries):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_prometheus_accepts_the_configuration(program: Callable[[str], str]) -> None:
    """Prometheus takes the scrape configuration and the rules."""
    said = promtool(program, "check", "config", CONFIG / "prometheus.yml")
    groups = read_yaml((CONFIG / "rules.yml").read_text("utf-8"))["groups"]
    assert f"{sum(len(group['rules']) for group in groups)} rules found" in said
    assert "WARN" not in said


def test_each_alert(program: Callable[[str], str]) -> None:
    """Each alert fires when it should, with its labels and its text, and does not when it should not."""
    promtool(program, "test", "rules", ROOT / "tests" / "prometheus" / "rules_test.yml")


def test_alertmanager_accepts_the_example(program: Callable[[str], str]) -> None:
    """The real amtool takes the example, without a warning."""
    command = [program("amtool"), "check-config", CONFIG / "alertmanager.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "5 receivers" in done.stdout


def test_alertmanager_routes_owners_with_any_character(program: Callable[[str], str], tmp_path: Path) -> None:
    """An owner in double quotes gets the alerts of this owner only, whatever characters the name has."""
    quoted = json.dumps('the "A" team, {x} = é\\', ensure_ascii=False)
    example = (CONFIG / "alertmanager.yml").read_text("utf-8")
    file = tmp_path / "alertmanager.yml"
    file.write_text(example.replace('"support-team"', quoted), "utf-8")
    command = [program("amtool"), "config", "routes", "test", "--config.file", file, "severity=warning"]
    for owner, receiver in ((quoted, "support-team"), (quoted.replace("A", "B"), "platform")):
        done = subprocess.run([*command, f"owner={owner}"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == receiver


class Model(NamedTuple):
    """A model in the simulated half year; times are evaluations since its start.

    Attributes:
        status: Its status.
        calls: The times of its calls.
        seen: The times at which a process reports its dates.
        sunset: The sunset date at a time.
        provider_sunset: The date on which its provider stops serving it, at a time.
    """

    status: str
    calls: range
    seen: range
    sunset: Callable[[int], int] | None = None
    provider_sunset: Callable[[int], int] | None = None


ALWAYS, DAILY = range(DAY, END), range(DAY, END, DAY)
MODELS = {
    "always": Model("deprecated", ALWAYS, ALWAYS, lambda _: 100 * DAY),
    "daily": Model("deprecated", DAILY, DAILY, lambda _: 92 * DAY, lambda _: 125 * DAY),
    "weekly": Model("active", range(DAY, 152 * DAY, 7 * DAY), range(DAY, END, 7 * DAY), None, lambda _: 152 * DAY),
    "moved": Model("active", ALWAYS, ALWAYS, None, lambda now: (95 if now < 50 * DAY else 180) * DAY),
    "unused": Model("deprecated", range(0), ALWAYS, lambda _: 50 * DAY, lambda _: 50 * DAY),
    "abandoned": Model("deprecated", range(DAY, 10 * DAY), ALWAYS, lambda _: 120 * DAY),
    "retired": Model("retired", range(DAY, 31 * DAY, DAY), ALWAYS, None, lambda _: 15 * DAY),
}
STEPS = (("90", 90, 30), ("30", 30, 7), ("7", 7, 0))


def expected_steps(kind: str, model: str, date: int) -> Iterator[tuple[tuple[str, str, str], tuple[int, int]]]:
    """Yield each step before a date with the first and the last evaluation in which it fires."""
    for days, first, end in STEPS:
        yield (f"ModelRegistry{kind}Near", model, days), (date - first * DAY, date - end * DAY - 1)


EXPECTED = {
    **dict(expected_steps("Sunset", "always", 100 * DAY)),
    ("ModelRegistrySunsetPast", "always", "0"): (100 * DAY + 1, END - 1),
    **dict(expected_steps("Sunset", "daily", 92 * DAY)),
    ("ModelRegistrySunsetPast", "daily", "0"): (93 * DAY, END - 1),
    **dict(expected_steps("ProviderSunset", "daily", 125 * DAY)),
    ("ModelRegistryProviderSunsetPast", "daily", "0"): (126 * DAY, END - 1),
    **dict(expected_steps("ProviderSunset", "weekly", 152 * DAY)),
    ("ModelRegistryProviderSunsetNear", "moved", "30"): (150 * DAY, 173 * DAY - 1),
    ("ModelRegistryProviderSunsetNear", "moved", "7"): (173 * DAY, 180 * DAY - 1),
    ("ModelRegistryProviderSunsetPast", "moved", "0"): (180 * DAY + 1, END - 1),
    ("ModelRegistryRetiredModelCalled", "retired", ""): (DAY, 30 * DAY + (HOURS + 25) // HOURS),
}
"""Alert, model and step to the first and the last evaluation in which it fires without a break."""
MOVED = ("ModelRegistryProviderSunsetNear", "moved", "90")
"""The only step that comes twice: its date was moved away."""


def make_series(name: str, model: Model) -> Iterator[dict[str, str]]:
    """Yield what Prometheus reads about a model."""
    labels = f'model_registry_model_id="{name}",model_registry_owner="ml",model_registry_risk_tier="low"'
    calls = ["1" if now in model.calls else "_" for now in range(END)]
    call = f'{labels},service_name="app",gen_ai_request_model="{name}",model_registry_status="{model.status}"'
    yield {"series": f"traces_span_metrics_calls_total{{{call}}}", "values": " ".join(calls)}
    for kind, date in (("sunset", model.sunset), ("provider_sunset", model.provider_sunset)):
        if date is not None:
            left = [str((date(now) - now) * HOURS * 3600) if now in model.seen else "_" for now in range(END)]
            yield {"series": f"model_registry_{kind}_seconds{{{labels}}}", "values": " ".join(left)}


def query_alerts(values: str) -> str:
    """Return an expression with a value for each alert, model and step."""
    return f"max by (alertname, gen_ai_request_model, days) ({values})"


def expect(query: str, values: dict[tuple[str, str, str], int]) -> dict[str, Any]:
    """Return a test of an expression at the end."""
    names = ("alertname", "gen_ai_request_model", "days")
    samples = []
    for key, value in values.items():
        labels = ",".join(f'{name}="{text}"' for name, text in zip(names, key, strict=True) if text)
        samples.append({"labels": f"{{{labels}}}", "value": value})
    return {"expr": query_alerts(query), "eval_time": f"{(END - 1) * HOURS}h", "exp_samples": samples}


def test_each_model_alerts_once_at_each_step(program: Callable[[str], str], tmp_path: Path) -> None:
    """In half a year, each step before each date is one alert without a break, however seldom a model is called."""
    at = f'timestamp(ALERTS{{alertstate="firing"}})[190d:{HOURS}h]'
    second = HOURS * 3600
    first, last, number = (
        {MOVED: value} | {key: pick(*ends) for key, ends in EXPECTED.items()}
        for value, pick in (
            (5 * DAY * second, lambda first, _: first * second),
            ((150 * DAY - 1) * second, lambda _, last: last * second),
            (45 * DAY + 60 * DAY, lambda first, last: last - first + 1),
        )
    )
    test = {
        "interval": f"{HOURS}h",
        "input_series": [series for name, model in MODELS.items() for series in make_series(name, model)],
        "promql_expr_test": [
            expect(f"min_over_time({at})", first),
            expect(f"max_over_time({at})", last),
            expect('count_over_time(ALERTS{alertstate="firing"}[190d])', number),
        ],
    }
    content = {
        "rule_files": [str(CONFIG / "rules.yml")],
        "evaluation_interval": f"{HOURS}h",
        "group_eval_order": ["model_registry", "model_registry_dates"],
        "tests": [test],
    }
    file = tmp_path / "dates_test.json"
    file.write_text(json.dumps(content), "utf-8")
    # Once in about 80 runs, promtool missed one evaluation in the half year. A fault of the rules is there in each run.
    promtool(program, "test", "rules", file, tries=3)

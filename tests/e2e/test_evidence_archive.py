"""Every figure of the evidence about a large archive is the truth, which was counted while the archive was written."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from spanforge.model_registry import ModelRegistry, ModelRegistryEntry
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.compliance._analysis.checks import EVIDENCE_CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
SPANS = 100_000
MEMORY = 70_000
"""KiB that a process may take at most."""
FRAMEWORK = "nist_ai_rmf"
"""A framework that uses every check."""
GENERATED = "2026-05-01T00:00:00Z"
UNREGISTERED, EARLY, DEPRECATED, PAST_SUNSET, RETIRED, NOT_ENRICHED, DISAGREES, STRANGE = (1 << bit for bit in range(8))
ENGINE = """
import json, resource, sys
from pathlib import Path
from spanforge.model_registry import ModelRegistry
from spanforge.model_registry.compliance import ComplianceMappingEngine
registry, package, framework, start, end, generated_at, *files = sys.argv[1:]
models = ModelRegistry(auto_emit=False)
models.load(registry)
engine = ComplianceMappingEngine(models)
evidence = engine.generate_evidence_package(None, framework, start, end, telemetry=files, generated_at=generated_at)
evidence.to_zip(package)
print([resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)])
"""
BETWEEN = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
"""A small process between the tests and the one that is measured, which would inherit how large theirs ever was."""


class Archive(NamedTuple):
    """An archive, the truth about it, and the registry."""

    folder: Path
    truth: dict[str, Any]
    registry: ModelRegistry

    @property
    def files(self) -> list[str]:
        """The files, in their order."""
        return [str(self.folder / found["name"]) for found in self.truth["inputs"]]


class Evidence(NamedTuple):
    """What the engine made: the attestation, the table, the whole package, and the KiB of parent and children."""

    stated: dict[str, Any]
    table: str
    package: bytes
    memory: list[int]


def registered(entries: Iterable[dict[str, Any]], file: Path) -> ModelRegistry:
    """Return a registry of entries, history included, as a file has them."""
    file.write_text(json.dumps([ModelRegistryEntry.from_dict(entry).to_dict() for entry in entries]), "utf-8")
    registry = ModelRegistry(auto_emit=False)
    registry.load(file)
    registry.save(file)
    return registry


def archive(folder: Path, spans: int) -> Archive:
    """Write an archive of so many spans."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", "-m", "benchmarks.archive", str(folder), str(spans)]
    subprocess.run(command, cwd=ROOT, check=True)
    truth = json.loads((folder / "truth.json").read_text("utf-8"))
    return Archive(folder, truth, registered(truth["entries"], folder / "models.json"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Give a large archive. Pytest would keep it."""
    folder = tmp_path_factory.mktemp("large")
    yield archive(folder, SPANS)
    shutil.rmtree(folder)


def evidence_of(given: Archive, temporary: Path) -> Evidence:
    """Run the engine on an archive in a new process, and return its result. It leaves no files."""
    package = given.folder / "evidence.zip"
    period = given.truth["from_date"], given.truth["to_date"]
    engine = [sys.executable, "-W", "error", "-c", ENGINE, str(given.folder / "models.json"), str(package), FRAMEWORK]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BETWEEN, *engine, *period, GENERATED, *given.files],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(temporary.iterdir())
    with zipfile.ZipFile(package) as opened:
        stated, table = (opened.read(name).decode() for name in ("attestation.json", "evidence.csv"))
    return Evidence(json.loads(stated), table, package.read_bytes(), json.loads(done.stdout))


class Truth:
    """What evidence has to say about calls that were counted."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.calls = found["calls"]
        self.models = [entry["model_id"] for entry in found["entries"]]
        self.names = Counter[str]()
        for row in self.calls:
            if row["model_id"] is None:
                self.names[row["name"]] += row["calls"]
        self.called = {row["model_id"] for row in self.calls} - {None}

    def number(self, wrong: int = 0, model_id: str | None = None) -> int:
        """Return how many calls have any of these things wrong; 0: how many there are."""
        rows = (row for row in self.calls if model_id in (None, row["model_id"]))
        return sum(row["calls"] for row in rows if not wrong or row["wrong"] & wrong)

    def such(self, wrong: int) -> int:
        """Return how many models or names have such calls."""
        return len({(row["model_id"], row["name"]) for row in self.calls if row["wrong"] & wrong})

    def changes(self) -> list[dict[str, Any]]:
        """Return the changes of the period."""
        of = {entry["model_id"]: entry for entry in self.found["entries"]}
        rows = []
        for at, model_id, status, source, told in self.found["changes"]:
            date = at
            if source == "dates":
                date = of[model_id]["metadata"]["deprecation_date"]
                date = of[model_id]["decommission_date"] if status == "retired" else date
            event = "recorded" if told else "not_recorded"
            emitted = "in_time" if told else None
            row = {"model_id": model_id, "at": date, "status": status, "source": source, "event": event}
            rows.append({**row, "emitted": emitted, "source_revision": None})
        return [{**row, "reason": None, "actor": None} for row in rows]

    def checks(self) -> dict[str, tuple[int, int, list[str]]]:
        """Return population, exceptions and notes of each check whose truth was counted."""
        all_, changes, differing = self.number(), self.changes(), self.found["differing"]
        early, retired, past = self.number(EARLY), self.number(RETIRED), self.number(PAST_SUNSET)
        enriched = all_ - self.number(NOT_ENRICHED)
        known = all_ - self.number(UNREGISTERED) - early  # of which a status was in force
        of_names = f"unregistered names: {len(self.names)}"
        allowed = f"calls of deprecated models, exceptions included: {self.number(DEPRECATED)}"
        models = len(self.called) + len(self.names)
        registered = [row for row in self.calls if row["model_id"] is not None]
        compared = sum(row["calls"] for row in registered if row["compared"])
        answered = sum(row["calls"] for row in registered if row["requested"])
        missing_models = sum(row["calls"] for row in registered) - compared
        strange = {row["served"] for row in registered if row["wrong"] & STRANGE}
        served = [
            f"models that answered and are not registered: {len(strange)}",
            f"calls answered by a registered model other than the requested one: {answered}",
            f"registered calls whose request model or response model is missing: {missing_models}",
        ]
        before = [of_names, f"calls before the model's deployment date: {early}"]
        sunset = [f"models called on or after their sunset date: {self.such(PAST_SUNSET)}", allowed]
        missing = sum(change["event"] == "not_recorded" for change in changes)
        return {
            "calls_registered": (all_, self.number(UNREGISTERED) + early, before),
            "served_as_requested": (compared, self.number(STRANGE), served),
            "accountable": (models, len(self.names), []),
            "no_calls_after_retirement": (
                known,
                retired,
                [f"models called after their retirement: {self.such(RETIRED)}"],
            ),
            "no_calls_past_sunset": (known, past, sunset),
            "no_calls_past_provider_shutdown": (0, 0, ["no provider calendar was given"]),
            "changes_recorded": (len(changes), missing, []),
            "spans_enriched": (all_, self.number(NOT_ENRICHED), []),
            "registry_and_spans_agree": (enriched, self.number(DISAGREES), []),
            "spans_unambiguous": (all_, differing, [f"spans with copies that differ: {differing}"]),
        }

    @property
    def agents(self) -> int:
        """The number of agent spans."""
        return sum(row["spans"] for row in self.found["agents"])

    def lists(self) -> dict[str, list[dict[str, Any]]]:
        """Return the complete lists of names, without samples."""
        matched, served = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str | None]]()
        for row in self.calls:
            if row["rule"]:
                matched[row["matched"], row["model_id"], row["rule"]] += row["calls"]
            if row["served"]:
                ids = (row["model_id"], None) if row["requested"] is None else (row["requested"], row["model_id"])
                served[ids[0], row["served"], ids[1]] += row["calls"]
        places = {(row["model_id"], row["name"], row["service"]) for row in self.calls}
        places |= {(row["requested"], "", row["service"]) for row in self.calls if row["requested"]}
        agents = [
            {"name": row["model_id"] or row["name"], **{key: row[key] for key in ("model_id", "service", "spans")}}
            for row in self.found["agents"]
            if (row["model_id"], row["name"], row["service"]) not in places
        ]
        named = [{"name": name, "calls": calls} for name, calls in self.names.items()]
        keys = ("name", "model_id", "rule"), ("requested_model_id", "served_name", "served_model_id")
        listed = {
            "unregistered_names": named,
            "matched_names": [{**dict(zip(keys[0], key, strict=True)), "calls": n} for key, n in matched.items()],
            "substitutions": [{**dict(zip(keys[1], key, strict=True)), "calls": n} for key, n in served.items()],
            "agent_only_models": agents,
        }
        return {field: sorted(rows, key=_order) for field, rows in listed.items()}

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the table."""
        of: defaultdict[tuple[str | None, str], list[dict[str, Any]]] = defaultdict(list)
        for row in self.calls:
            of[row["model_id"], row["name"]].append(row)
        rows = []
        for entry in self.found["entries"]:
            model_id = entry["model_id"]
            status, owner, tier = self.found["states"][model_id]
            said = [model_id, entry["name"], entry["version"], owner, tier, status, entry["purpose"]]
            rows.append(self._row(said, of[model_id, ""]))
        rows += [
            self._row([name, "", "", "", "", "unregistered", ""], of[key])
            for key in sorted(key for key in of if key[0] is None)
            for name in key[1:]
        ]
        return rows

    @staticmethod
    def _row(said: list[str], calls: list[dict[str, Any]]) -> dict[str, Any]:
        columns = ["model_id", "name", "version", "owner", "risk_tier", "status", "purpose"]
        cells = [f"'{cell}" if cell[:1] in ("=", "+", "@") else cell for cell in said]
        services = {row["service"].replace(";", ",") for row in calls}
        by_rule = {rule: sum(row["calls"] for row in calls if row["rule"] == rule) for rule in ("form", "glob")}
        return {
            **dict(zip(columns, cells, strict=True)),
            "calls": str(sum(row["calls"] for row in calls)),
            "calls_while_deprecated": str(sum(row["calls"] for row in calls if row["wrong"] & DEPRECATED)),
            "calls_after_retirement": str(sum(row["calls"] for row in calls if row["wrong"] & RETIRED)),
            "calls_by_form": str(by_rule["form"]),
            "calls_by_glob": str(by_rule["glob"]),
            "provider_sunset_date": "",
            "services": ";".join(sorted(services)),
            "first_call": min((row["first"] for row in calls), default=""),
            "last_call": max((row["last"] for row in calls), default=""),
            "sender": "unknown" if calls else "",
        }


def _order(row: dict[str, Any]) -> Any:
    """Return the key by which a list is sorted: most calls or spans first, then by name."""
    number = -row.get("calls", row.get("spans", 0))
    names = [
        str(row[key]) for key in ("requested_model_id", "name", "served_name", "service", "model_id") if key in row
    ]
    return number, names


BITS = {
    "calls_registered": UNREGISTERED | EARLY,
    "no_calls_after_retirement": RETIRED,
    "no_calls_past_sunset": PAST_SUNSET,
    "spans_enriched": NOT_ENRICHED,
    "registry_and_spans_agree": DISAGREES,
    "served_as_requested": STRANGE,
}
"""Of which calls a check names some: their trace ids end with what is wrong with them."""
SAMPLED = {*BITS, "spans_unambiguous"}
"""The checks whose exceptions are spans."""
CLAUSES = "MAP 1.1", "GOVERN 1.6", "GOVERN 1.7"


def assert_is_true(evidence: Evidence, given: Archive) -> None:
    """Assert that evidence says what is true of an archive."""
    stated, truth = evidence.stated, Truth(given.truth)
    found = given.truth
    faults = [read.pop("faults") for read in stated["inputs"]]
    assert stated["inputs"] == [{**known, "kind": "otlp_json"} for known in found["inputs"]]
    assert [len(described) for described in faults] == [min(known["bad_lines"], 10) for known in found["inputs"]]
    assert stated["population"] == {
        "spans": truth.number() + truth.agents + found["others"],
        "calls": truth.number(),
        "log_calls": 0,
        "agent_spans": truth.agents,
        "other_spans": found["others"],
        "copies": found["copies"],
        "differing_copies": found["differing"],
        "models": len(truth.models),
        "models_called": len(truth.called) + len(truth.names),
        "lifecycle_events": found["events"],
    }
    read = sum(known["spans"] - known["spans_outside"] for known in found["inputs"])
    assert read == stated["population"]["spans"] + found["copies"]
    _assert_checks(stated, truth)
    changes = [{key: value for key, value in change.items() if key != "event_at"} for change in stated["changes"]]
    assert changes == truth.changes()
    unreadable = [
        f"{known['name']}: unreadable documents, spans or log records: {known['bad_lines']}; "
        f"the input's first fault: {described[0]}"
        for known, described in zip(found["inputs"], faults, strict=True)
        if described
    ]
    limits = [f"{known['name']}: {limit}" for known in found["inputs"] for limit in known["limits"]]
    assert stated["coverage"] == {
        "status": "incomplete",
        "gaps": [dict(zip(("from_date", "to_date", "seconds"), gap, strict=True)) for gap in found["gaps"]],
        "gap_count": len(found["gaps"]),
        "reasons": [
            f"gaps that are longer than max_gap_seconds: {len(found['gaps'])}",
            *unreadable,
            *limits,
        ],
    }
    assert {clause["clause"]: clause["status"] for clause in stated["clauses"]} == dict.fromkeys(CLAUSES, "findings")
    assert (stated["overall_status"], stated["framework"], stated["generated_at"]) == (
        "findings",
        FRAMEWORK,
        "2026-05-01T00:00:00.000000Z",
    )
    _assert_names(stated, truth)
    assert stated["registry"]["models"] == len(truth.models)
    assert list(csv.DictReader(io.StringIO(evidence.table))) == truth.rows()


def _assert_checks(stated: dict[str, Any], truth: Truth) -> None:
    expected = truth.checks()
    named = {name for clause in stated["clauses"] for name in clause["checks"]}
    order = [row.check for row in EVIDENCE_CHECKS]
    assert set(expected) <= named <= set(order)
    assert [check["check"] for check in stated["checks"]] == [name for name in order if name in named]
    for check in stated["checks"]:
        population, exceptions = check["population"], check["exceptions"]
        if not population:
            assert (check["status"], exceptions, check["share"]) == ("not_applicable", 0, None)
        else:
            assert check["status"] == ("findings" if exceptions else "supported")
            assert check["share"] == (population - exceptions) * 10_000 // population / 10_000
        if check["check"] not in expected:
            continue
        assert (population, exceptions, check["notes"]) == expected[check["check"]]
        found = [each for each in stated["findings"] if each["check"] == check["check"]]
        listed = sum(each["occurrences"] for each in found if each["sender"] != "untrusted")
        assert listed == exceptions or (len(found) >= 100 and listed < exceptions)
        ids = {sample["span_id"] for sample in check["samples"]}
        assert len(ids) == len(check["samples"]) == (min(exceptions, 10) if check["check"] in SAMPLED else 0)
        for sample in check["samples"]:
            assert check["check"] not in BITS or int(sample["trace_id"][-2:], 16) & BITS[check["check"]]


def _assert_names(stated: dict[str, Any], truth: Truth) -> None:
    lists = truth.lists()
    assert all(lists.values())
    for field, rows in lists.items():
        shown = [{key: value for key, value in row.items() if key != "samples"} for row in stated[field]]
        assert shown == rows[:1_000], field
    late = {"deprecated": "is deprecated", "retired": "is retired"}
    states = [(model_id, truth.found["states"][model_id][0]) for model_id in truth.models if model_id in truth.called]
    warnings = [f"model '{model_id}' {late[status]}" for model_id, status in states if status in late]
    warnings += [f"model '{name}' is not registered" for name in sorted(truth.names)]
    assert stated["model_warnings"] == warnings[:1_000]
    dated = {entry["model_id"] for entry in truth.found["entries"] if "history" not in entry["metadata"]}
    limits = [limit for limit in stated["limits"] if not limit.startswith(("The list `findings`", "The list `inv"))]
    cut = [limit for limit in limits if limit.startswith("The list ")]
    assert cut == [
        f"The list `{field}` has the first 1,000 of {len(rows):,} items. "
        f"The others have {sum(row['calls'] for row in rows[1_000:]):,} calls."
        for field, rows in lists.items()
        if len(rows) > 1_000
    ]
    further = [limit for limit in limits if any(c.isdigit() for c in limit) and limit not in cut]
    assert [int(limit.split(": ")[1].split(".")[0]) for limit in further] == [
        len(dated & truth.called),
        truth.found["differing"],
        len(truth.found["inputs"]),
        len(lists["agent_only_models"]),
    ]


@pytest.fixture(scope="module")
def evidence(large: Archive, tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Give the evidence about the archive, from a process of its own."""
    return evidence_of(large, tmp_path_factory.mktemp("temporary"))


@pytest.mark.e2e
def test_every_figure_about_a_large_archive_is_true(large: Archive, evidence: Evidence) -> None:
    """In five files, some compressed, with bad lines and copies; no process takes more than 70 MB, nothing is left."""
    assert sum(found["spans"] for found in large.truth["inputs"]) == SPANS
    assert_is_true(evidence, large)
    assert max(evidence.memory) < MEMORY


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(large: Archive, evidence: Evidence, tmp_path: Path) -> None:
    """Twice the same package, to the byte."""
    registry = ModelRegistry(auto_emit=False)
    registry.load(large.folder / "models.json")
    period = large.truth["from_date"], large.truth["to_date"]
    again = ComplianceMappingEngine(registry).generate_evidence_package(
        None, FRAMEWORK, *period, telemetry=large.files, generated_at=GENERATED
    )
    again.to_zip(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == evidence.package


@pytest.mark.slow
def test_one_model_of_the_archive(large: Archive) -> None:
    """About one model, by one of its other names, the figures are that model's."""
    engine = ComplianceMappingEngine(large.registry)
    period = large.truth["from_date"], large.truth["to_date"]
    evidence = engine.generate_evidence_package("claude-latest", "soc2", *period, telemetry=large.files)
    truth, stated = Truth(large.truth), evidence.attestation
    model_id = "anthropic/claude-3-opus"
    assert (stated.model_id, stated.model_status, stated.model_owner) == (model_id, "deprecated", "research")
    assert stated.model_warnings == (f"model '{model_id}' is deprecated",)
    assert (stated.population.calls, stated.population.models_called) == (truth.number(0, model_id), 1)
    assert [change.model_id for change in stated.changes] == [model_id]
    (row,) = csv.DictReader(io.StringIO(evidence.evidence_csv.decode()))
    assert row == next(row for row in truth.rows() if row["model_id"] == model_id)

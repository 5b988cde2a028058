"""``import``: entries from files of other tools, in which a person fills in what the source does not state."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.commands import EXAMPLES, copy_examples, fits_terminal, run_here
from support.json_values import paths, replaced
from support.unfinished import fill_in

from spanforge.model_registry import ModelRegistry, ModelRegistryError
from spanforge.model_registry._cli.import_catalogs import read_owner
from spanforge.model_registry._cli.import_csv import read_spreadsheet_day
from spanforge.model_registry._cli.import_plan import plan_import
from spanforge.model_registry._cli.import_rows import MAX_DOCUMENTS, MAX_YAML_SIZE, ImportSource
from spanforge.model_registry._cli.importing import IMPORT_FORMATS, MAX_SHOWN_ROWS, ImportFormat
from spanforge.model_registry._cli.unfinished_entries import format_unfinished
from spanforge.model_registry._core.storage import parse_entries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAMPLES: dict[ImportFormat, str] = {
    "litellm-config": "litellm.yaml",
    "litellm-map": "prices.json",
    "mlflow": "mlflow.json",
    "bedrock": "bedrock.json",
    "backstage": "catalog-info.yaml",
    "csv": "models.csv",
}
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
"""Other programs may slow the examples down, and each example prepares its own files."""
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture
def run_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Return a function that imports a content, and returns the plan in JSON with the exit code and the report."""

    def run(form: str, content: object, *options: object) -> dict[str, Any]:
        path = tmp_path / "source"
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        printed = run_here(capsys, "import", "--from", form, path, "--format", "json", *options)
        assert printed.code == 2 or fits_terminal(printed.err), printed.err
        return {**json.loads(printed.out or "{}"), "code": printed.code, "report": printed.err}

    return run


def ids(plan: dict[str, Any]) -> list[str]:
    return [entry["fields"].get("model_id") for entry in plan["entries"]]


def only(plan: dict[str, Any]) -> dict[str, Any]:
    (entry,) = plan["entries"]
    fields: dict[str, Any] = entry["fields"]
    return fields


def test_the_formats() -> None:
    """The command knows the formats of its option, and each has a sample."""
    assert set(IMPORT_FORMATS) == set(get_args(ImportFormat)) == set(SAMPLES)


# The formats


def test_litellm_config(run_import: Callable[..., dict[str, Any]]) -> None:
    """Deployments of one name are one entry. The model behind a name is its base model, unless it is a form of it."""
    plan = run_import("litellm-config", (EXAMPLES / "litellm.yaml").read_text())
    first, second, third = plan["entries"]
    assert first["fields"] == {"model_id": "gpt-4o", "name": "gpt-4o", "metadata": {"aliases": ["chat"]}}
    assert first["notes"] == ["deployment azure/acme-gpt-4o-eu", "deployment openai/gpt-4o-2024-08-06"]
    assert first["fill_in"] == ["version", "risk_tier", "owner", "purpose"]
    base_model = "bedrock/eu.anthropic.claude-sonnet-4-20250514-v1:0"
    assert second["fields"]["metadata"] == {"aliases": ["smart"], "base_model": base_model}
    assert third["fields"] == {"model_id": "search-embeddings", "name": "search-embeddings"}
    assert third["notes"] == ["a deployment is named by the variable EMBEDDING_MODEL"]
    assert plan["code"] == 0


def test_litellm_config_with_wildcards(run_import: Callable[..., dict[str, Any]]) -> None:
    """A person must look at a wildcard, at a deployment without a name, and at files that are included."""
    named = {"model_name": "m", "litellm_params": {"model": "openai/*"}}
    deployments = [{"model_name": "openai/*", "litellm_params": {"model": "openai/*"}}, {"litellm_params": {}}, named]
    plan = run_import("litellm-config", {"include": ["more.yaml"], "model_list": deployments})
    assert ids(plan) == ["m"]
    assert "metadata" not in only(plan)
    assert [row["place"] for row in plan["skipped"]] == ["include", "model_list[0]", "model_list[1]"]
    assert all(row["is_fault"] for row in plan["skipped"])
    assert "'openai/*': is a wildcard for many models" in plan["report"]
    assert plan["code"] == 1


def test_litellm_config_owner(run_import: Callable[..., dict[str, Any]]) -> None:
    """``--owner-from`` takes the owner from a key of ``model_info``; ``--provider`` chooses by the route."""
    text = (EXAMPLES / "litellm.yaml").read_text()
    plan = run_import("litellm-config", text, "--owner-from", "team", "--provider", "azure_openai")
    assert only(plan)["owner"] == "chat-team"
    assert plan["entries"][0]["sources"]["owner"] == "--owner-from team"
    assert plan["not_selected"] == 2


def test_litellm_map(run_import: Callable[..., dict[str, Any]]) -> None:
    """All names of a model are one entry, with the shutdown days as comments. Two numbers are two models."""
    content = json.loads((EXAMPLES / "prices.json").read_text())
    plan = run_import("litellm-map", content, "--only", "*")
    assert ids(plan) == ["gpt-4o", "text-embedding-3-small", "acme-embed-1", "text-embedding-004", "text-embedding-005"]
    assert plan["entries"][0]["fields"]["metadata"] == {"provider": ["azure.ai.openai", "openai"]}
    assert plan["entries"][0]["notes"] == [
        "in the map: gpt-4o, and 3 more",
        "openai stops serving gpt-4o-2024-08-06 on 2027-01-14 (deprecation_date)",
        "azure.ai.openai stops serving azure/eu/gpt-4o-2024-08-06 on 2027-04-14 (deprecation_date)",
        "azure.ai.openai stops serving azure/gpt-4o on 2027-04-14 (https://acme.example/azure); use azure/gpt-6-luna",
    ]
    registry = ModelRegistry(auto_emit=False)
    for entry in plan["entries"]:
        fields = entry["fields"]
        registry.register(fields["model_id"], "n", "1", "low", "o", "p", metadata=fields["metadata"])
    for name, facts in content.items():
        if name != "sample_spec":
            assert registry.resolve(name, provider=facts["litellm_provider"]).entry, name


def test_mlflow(run_import: Callable[..., dict[str, Any]]) -> None:
    """The newest version counts, a prompt is no model, and the user who made a model is not its owner."""
    content = json.loads((EXAMPLES / "mlflow.json").read_text())
    plan = run_import("mlflow", content)
    description = content["registered_models"][0]["description"]
    assert only(plan) == {"model_id": "acme-churn", "name": "acme-churn", "version": "10", "purpose": description}
    assert plan["entries"][0]["fill_in"] == ["risk_tier", "owner"]
    assert plan["skipped"][0]["reason"] == "is a prompt, not a model"
    assert plan["code"] == 0
    assert only(run_import("mlflow", content, "--owner-from", "team"))["owner"] == "data-team"
    more = run_import("mlflow", {**content, "next_page_token": "x"})
    assert "next_page_token: is set: the file has not all models" in more["report"]
    assert more["code"] == 1


def test_mlmodel_file(run_import: Callable[..., dict[str, Any]]) -> None:
    """An MLmodel file names no registered model: its id is a field to fill in."""
    text = """\
artifact_path: classifier
flavors:
  python_function: {loader_module: mlflow.transformers}
  transformers: {source_model_name: acme/base-1, task: text-classification}
model_uuid: e694c68eba484299976b06ab9058f636
utc_time_created: '2026-11-01 08:00:00.000000'
metadata: {team: data-team}
"""
    plan = run_import("mlflow", text, "--owner-from", "team")
    assert plan["entries"][0]["fill_in"] == ["model_id", "name", "risk_tier", "purpose"]
    assert only(plan)["metadata"] == {"base_model": "acme/base-1"}
    assert only(plan)["owner"] == "data-team"
    assert plan["entries"][0]["notes"][-1] == "flavors python_function, transformers"


def test_bedrock(run_import: Callable[..., dict[str, Any]]) -> None:
    """A foundation model has its id as Bedrock writes it, and the day of its end as a comment."""
    content = json.loads((EXAMPLES / "bedrock.json").read_text())
    plan = run_import("bedrock", content, "--only", "*CLAUDE*")
    metadata = {"provider": "aws.bedrock"}
    model = "anthropic.claude-sonnet-4-20250514-v1:0"
    assert only(plan) == {"model_id": model, "name": "Claude Sonnet 4", "metadata": metadata}
    day = "2027-05-14T00:00:00+00:00"
    assert plan["entries"][0]["notes"] == [
        "made by Anthropic",
        f"aws.bedrock stops serving {model} on {day} (endOfLifeTime)",
    ]
    assert plan["not_selected"] == 1
    details = {"modelDetails": content["modelSummaries"][1]}
    assert ids(run_import("bedrock", details)) == ["amazon.nova-pro-v1:0"]


def test_bedrock_inference_profiles(run_import: Callable[..., dict[str, Any]]) -> None:
    """Profiles of regions are forms of one model. An application's profile is an entry with its base model."""
    model = "arn:aws:bedrock:eu-central-1::foundation-model/anthropic.claude-sonnet-4-20250514-v1:0"
    application = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc123"

    def make_profile(name: str, kind: str) -> dict[str, Any]:
        arn = application if kind == "APPLICATION" else f"arn:aws:bedrock:eu-central-1:1:inference-profile/{name}"
        models = [{"modelArn": model}, {"modelArn": model.replace("central", "west")}]
        return {"inferenceProfileArn": arn, "inferenceProfileId": name, "models": models, "type": kind}

    region, other = (f"{area}.anthropic.claude-sonnet-4-20250514-v1:0" for area in ("eu", "us"))
    items = [make_profile(region, "SYSTEM_DEFINED"), make_profile(other, "SYSTEM_DEFINED")]
    plan = run_import("bedrock", {"inferenceProfileSummaries": [*items, make_profile("abc123", "APPLICATION"), {}]})
    name = "anthropic.claude-sonnet-4-20250514-v1:0"
    assert ids(plan) == [name, application]
    assert plan["entries"][1]["fields"]["metadata"] == {"provider": "aws.bedrock", "base_model": name}
    reasons = [row["reason"] for row in plan["skipped"]]
    assert reasons == ["is another form of a model above", "needs inferenceProfileArn, inferenceProfileId and models"]


def test_backstage(run_import: Callable[..., dict[str, Any]]) -> None:
    """A declared owner is the owner; the name that calls have is the id; a model's server is no model."""
    plan = run_import("backstage", (EXAMPLES / "catalog-info.yaml").read_text())
    fields = {"model_id": "acme/summary-1", "name": "Acme Summary 1", "owner": "chat-team"}
    assert only(plan) == {**fields, "purpose": "summarises calls with customers"}
    assert plan["entries"][0]["fill_in"] == ["version", "risk_tier"]
    assert plan["entries"][0]["sources"]["owner"] == "spec.owner group:default/chat-team"


@pytest.mark.parametrize(
    ("reference", "owner"),
    [
        ("chat-team", "chat-team"),
        ("group:default/chat-team", "chat-team"),
        ("Group:chat-team", "chat-team"),
        ("group:emea/chat-team", "emea/chat-team"),
        ("user:default/jane", "user:jane"),
    ],
)
def test_owner_references(reference: str, owner: str) -> None:
    """An owner has no default kind and no default namespace; any other one stays."""
    assert read_owner(reference) == owner


def test_csv(run_import: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """A table may have a byte order mark, semicolons, quoted line ends, blank lines and Excel's dates."""
    content = (EXAMPLES / "models.csv").read_bytes().decode()
    plan = run_import("csv", content)
    first, second = (entry["fields"] for entry in plan["entries"])
    assert first["purpose"] == "transcribes calls\n(made up)"
    assert (first["risk_tier"], first["deployment_date"]) == ("high", "2026-05-13")
    assert first["metadata"] == {"aliases": ["voice", "acme-voice"], "Cost_centre": "4711"}
    assert plan["entries"][1]["fill_in"] == ["risk_tier", "owner", "purpose"]
    assert second["deployment_date"] == "2026-05-13"
    wide = tmp_path / "wide.csv"
    wide.write_bytes(content.removeprefix("\ufeff").replace(";", "\t").encode("utf-16"))
    source = ImportSource("wide.csv", wide.read_bytes())
    assert [row.model_id for row in IMPORT_FORMATS["csv"].read(source)] == ["acme-voice-1", "acme-voice-2"]


def test_a_complete_table_is_a_registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If a table states every field, the written file loads."""
    table, output = tmp_path / "models.csv", tmp_path / "models.yaml"
    rows = "a,A,1,low,team-a,purpose,openai;azure\nb,B,1,HIGH,team-b,purpose,\n"
    table.write_text(f"sep=,\nmodel_id,name,version,risk_tier,owner,purpose,provider\n{rows}")
    printed = run_here(capsys, "import", "--from", "csv", table, "--output", output)
    assert printed == (0, "", "2 entries, 0 fields to fill in, 0 rows skipped\n")
    registry = ModelRegistry(auto_emit=False)
    registry.load(output)
    assert [(entry.owner, entry.providers) for entry in registry.list_all()] == [
        ("team-a", ("openai", "azure")),
        ("team-b", ()),
    ]


def test_csv_rows_that_cannot_be_used(run_import: Callable[..., dict[str, Any]]) -> None:
    """Each row that is no entry has a reason with its line; the others are imported."""
    header = "model_id,risk_tier,deployment_date\n"
    rows = [
        "a,low,",
        "a,low,",
        ",low,",
        "b,severe,",
        "c,low,5/6/2026",
        "d,low,5/13/2026",
        "e,low,x,y",
        "f,low,99.99.2026",
    ]
    plan = run_import("csv", header + "\n".join(rows))
    assert ids(plan) == ["a", "d"]
    assert plan["entries"][1]["fields"]["deployment_date"] == "2026-05-13"
    assert [(row["place"], row["reason"]) for row in plan["skipped"]] == [
        ("line 3", "has the same model_id as line 2"),
        ("line 4", "has no model_id"),
        ("line 5", "risk_tier must be one of low, medium, high, critical; got 'severe'"),
        (
            "line 6",
            "deployment_date: must be a date such as 2026-05-13; in 5/6/2026, day and month cannot be told apart",
        ),
        ("line 8", "has 4 cells, and the header has 3"),
        ("line 9", "deployment_date: month must be in 1..12"),
    ]
    assert plan["code"] == 1


@pytest.mark.parametrize(
    ("text", "day"),
    [("2026-05-13", "2026-05-13"), ("2026-05-13 00:00:00", "2026-05-13"), ("46155.0", "2026-05-13"), ("soon", "soon")],
)
def test_days_of_spreadsheets(text: str, day: str) -> None:
    """A day may have a time of zero, or be Excel's number."""
    assert read_spreadsheet_day(text) == day


# The registry, the output and errors


def test_registered_models_are_left_out(run_import: Callable[..., dict[str, Any]]) -> None:
    """A model that the registry matches, by any rule, is not imported again."""
    table = "model_id\nACME-CHAT-2\nsupport-chat\nacme-new-1\n"
    plan = run_import("csv", table, "--file", EXAMPLES / "models.yaml")
    assert ids(plan) == ["acme-new-1"]
    assert [row["reason"] for row in plan["skipped"]] == [
        "is registered already, by the entry 'acme-chat-2'",
        "is registered already, by the entry 'acme-chat-1'",
    ]
    assert plan["code"] == 0


def test_output_and_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The YAML goes to standard output or a new file, the report to standard error, with hostile names escaped."""
    folder = copy_examples(tmp_path)
    printed = run_here(capsys, "import", "--from", "backstage", folder / "catalog-info.yaml")
    assert printed.err == "1 entry, 2 fields to fill in, 0 rows skipped\n"
    assert len(parse_entries("x.yaml", fill_in(printed.out).encode())) == 1
    taken = folder / "models.yaml"
    before = taken.read_bytes()
    refused = run_here(capsys, "import", "--from", "csv", folder / "models.csv", "--output", taken)
    assert (refused.code, refused.out, taken.read_bytes()) == (2, "", before)
    hostile = tmp_path / "hostile.csv"
    hostile.write_text(
        "model_id,risk_tier\n" + "\n".join(f"\x1b[31m{n}\u202e,severe" for n in range(MAX_SHOWN_ROWS + 5))
    )
    printed = run_here(capsys, "import", "--from", "csv", hostile)
    assert fits_terminal(printed.err)
    assert "\\x1b[31m0\\u202e" in printed.err
    assert printed.err.endswith("and 5 more; --format json lists all\n")
    assert printed.out.endswith("[]\n")


@settings(UNHURRIED, max_examples=30)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=4))
def test_hostile_names(tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str]) -> None:
    """Names in the report and in the file cannot control the terminal, whatever they are."""
    table = tmp_path / "models.csv"
    rows = [("model_id", "risk_tier"), *((name, "severe") for name in names), ("last", "low")]
    cells = ((f'"{name.replace(chr(34), chr(34) * 2)}"', tier) for name, tier in rows)  # csv of Python 3.10 has no NUL
    table.write_bytes("".join(f"{name},{tier}\r\n" for name, tier in cells).encode(errors="replace"))
    printed = run_here(capsys, "import", "--from", "csv", table)
    assert printed.code in {0, 1, 2}
    assert printed.code == 2 or fits_terminal(printed.err), printed.err
    assert all(line.isprintable() for line in printed.out.split("\n"))


@pytest.mark.parametrize(
    ("form", "content", "error"),
    [
        ("litellm-config", "a: 1", "must be the configuration of a LiteLLM proxy, with model_list"),
        ("litellm-config", "model_list: {a: 1}", "field 'model_list': must be a list; got a mapping"),
        ("litellm-config", "model_list: [a]", "field 'model_list[0]': must be a mapping; got text"),
        ("litellm-config", "&a [*a]", "line 1, column 5: alias *a refers to the node that contains it"),
        ("litellm-map --only *", "{}", "must be LiteLLM's price map: a mapping of models, each with litellm_provider"),
        ("litellm-map", "{}", "litellm-map has thousands of models: select some with --provider or --only"),
        ("mlflow", "{}", "must be registered_models of MLflow's REST API, or an MLmodel file, with flavors"),
        ("mlflow", '{"registered_models": [], "registered_models": []}', "duplicate key 'registered_models'"),
        ("bedrock", "{}", "must have modelSummaries, modelDetails or inferenceProfileSummaries"),
        ("bedrock", "[" * 100_000, "nested"),
        ("backstage", "a: 1", "must be entities of Backstage, with apiVersion and kind"),
        ("backstage", "apiVersion: a\nkind: b\n---\n# c\n---\na: ]", "line 6, column 4: is not valid YAML"),
        ("backstage", "--- a\n" * (MAX_DOCUMENTS + 1), "has more than 10,000 YAML documents"),
        ("csv", "name\na", "must be a table whose first line has the column model_id"),
        ("csv", "model_id,owner,owner\n", "field 'owner': is the name of several columns"),
        ("csv", "model_id,history\n", "field 'history': cannot be a column of a table"),
        ("csv", 'model_id\n"' + "a" * 200_000, "is no table: field larger than field limit"),
        ("csv", "", "must be a table whose first line has the column model_id"),
        ("csv --owner-from tem", "model_id,team\na,b\n", "no model has 'tem'; the keys are 'model_id', 'team'"),
        ("csv --owner-from tem", "model_id\na\n", "no model has 'tem'; the key is 'model_id'"),
        ("csv --output models.json", "model_id\na\n", "its name must end in .yaml or .yml"),
    ],
)
def test_sources_that_cannot_be_read(
    form: str, content: str, error: str, run_import: Callable[..., dict[str, Any]]
) -> None:
    """Each fault of a source is one line that names its place; the exit code is 2."""
    plan = run_import(*form.split()[:1], content, *form.split()[1:])
    assert plan["code"] == 2
    assert error in plan["report"]


def test_a_source_that_is_too_large() -> None:
    """A source in YAML has a limit of its own, because it takes long to parse."""
    with pytest.raises(ModelRegistryError, match="the limit of a source in YAML"):
        ImportSource("big.yaml", b"#" * (MAX_YAML_SIZE + 1)).decode_documents()


def load_sample(form: ImportFormat) -> Any:
    """Return a sample as a JSON value: for a table, the list of its rows."""
    content = (EXAMPLES / SAMPLES[form]).read_text("utf-8-sig")
    if form == "csv":
        return list(csv.reader(io.StringIO(content, newline=""), delimiter=";"))
    return list(yaml.safe_load_all(content)) if form == "backstage" else yaml.safe_load(content)


def dump_sample(form: ImportFormat, value: Any) -> bytes:
    """Write a JSON value in a format, as far as it can have it."""
    if form == "csv":
        rows = value if isinstance(value, list) else [value]
        file = io.StringIO(newline="")
        csv.writer(file, delimiter=";").writerows(row if isinstance(row, list) else [row] for row in rows)
        return file.getvalue().encode("utf-8", "replace")
    documents = value if form == "backstage" and isinstance(value, list) else [value]
    return "\n---\n".join(json.dumps(each) for each in documents).encode()


@settings(UNHURRIED, max_examples=60)
@given(st.sampled_from(list(IMPORT_FORMATS)), st.data())
def test_hostile_sources(form: ImportFormat, data: st.DataObject) -> None:
    """Whatever a source holds, the result is one error, or a file that gives the entries of the plan."""
    value = load_sample(form)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(paths(value))))
        value = replaced(value, path, data.draw(JSON_VALUES))
    reader = IMPORT_FORMATS[form]
    try:
        plan = plan_import(reader.join(reader.read(ImportSource("source", dump_sample(form, value)))))
    except ModelRegistryError:
        return
    text = format_unfinished(plan.entries)
    assert parse_entries("x.yaml", fill_in(text).encode()) == [entry.check() for entry in plan.entries]
    for entry in plan.entries:
        assert {"owner", "risk_tier"} <= {*entry.list_missing(), *entry.sources} or form == "csv"

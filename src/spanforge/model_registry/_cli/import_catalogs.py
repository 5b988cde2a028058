"""Imports from catalogues: MLflow, Amazon Bedrock and Backstage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from spanforge.model_registry._cli.import_rows import (
    ImportRow,
    ImportSource,
    clean_text,
    collect_texts,
    make_unfinished,
    one_or_several,
    skip_row,
)
from spanforge.model_registry._core.names import entry_key
from spanforge.model_registry._core.provider_tables import BEDROCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DESCRIPTION: Final = "description: check that it states the intended use"

# MLflow: https://mlflow.org/docs/latest/rest-api.html#registeredmodel and .../model/#storage-format

_IS_PROMPT: Final = "mlflow.prompt.is_prompt"
"""The tag of a registered model that is a prompt."""


def read_mlflow(source: ImportSource) -> Iterator[ImportRow]:
    """Yield the registered models in an answer of MLflow's REST API, or the model of an ``MLmodel`` file."""
    data = source.check_mapping(source.decode_yaml())
    if "flavors" in data:
        yield _read_mlmodel(source, data)
        return
    models = [data["registered_model"]] if "registered_model" in data else data.get("registered_models")
    if models is None:
        source.fail("must be registered_models of MLflow's REST API, or an MLmodel file, with flavors")
    for index, item in enumerate(source.list_mappings(models, "registered_models")):
        yield _make_registered(source, item, f"registered_models[{index}]")
    if data.get("next_page_token"):
        yield skip_row("next_page_token", None, "is set: the file has not all models; import the other pages too")


def _make_registered(source: ImportSource, item: Mapping[str, Any], place: str) -> ImportRow:
    name = clean_text(item.get("name"))
    tags = _read_tags(source, item, place)
    if name is None:
        return skip_row(place, None, "has no name")
    if tags.get(_IS_PROMPT) == "true":
        return skip_row(place, name, "is a prompt, not a model")._replace(is_fault=False)
    versions = source.list_mappings(item.get("latest_versions") or [], f"{place}.latest_versions")
    numbers = [text for text in (clean_text(each.get("version")) for each in versions) if text and text.isdecimal()]
    fields = {"version": max(numbers, key=int, default=None), "purpose": clean_text(item.get("description"))}
    entry = make_unfinished(name, fields, {}, (), {"version": "the newest of latest_versions", "purpose": _DESCRIPTION})
    return ImportRow(place, entry, facts=tags)


def _read_tags(source: ImportSource, item: Mapping[str, Any], place: str) -> dict[str, str]:
    tags = source.list_mappings(item.get("tags") or [], f"{place}.tags")
    return collect_texts({clean_text(tag.get("key")): tag.get("value") for tag in tags})


def _read_mlmodel(source: ImportSource, data: Mapping[str, Any]) -> ImportRow:
    """Return the row of an ``MLmodel`` file. It names no registered model, so a person fills in the id."""
    flavors = source.check_mapping(data["flavors"], "flavors")
    transformers = source.check_mapping(flavors.get("transformers"), "flavors.transformers")
    notes = [
        f"{key} {data[key]}" for key in ("artifact_path", "run_id", "utc_time_created") if clean_text(data.get(key))
    ]
    notes += [f"flavors {', '.join(map(str, flavors))}"]
    version = clean_text(data.get("model_id")) or clean_text(data.get("model_uuid"))
    base_model = clean_text(transformers.get("source_model_name"))
    sources = {"version": "model_id or model_uuid", "metadata.base_model": "flavors.transformers.source_model_name"}
    entry = make_unfinished(None, {"version": version}, {"base_model": base_model}, notes, sources)
    facts = collect_texts(source.check_mapping(data.get("metadata"), "metadata"))
    return ImportRow("MLmodel", entry, facts=facts)


# Amazon Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/

_SYSTEM_PROFILE: Final = "SYSTEM_DEFINED"


def read_bedrock_models(source: ImportSource) -> Iterator[ImportRow]:
    """Yield the models of ``list-foundation-models``, ``get-foundation-model`` or ``list-inference-profiles``.

    A system-defined inference profile is a form of its model. An application's profile is an entry of its own, because
    its ARN does not tell the model.
    """
    data = source.check_mapping(source.decode_json())
    if "inferenceProfileSummaries" in data:
        items, make, place = data["inferenceProfileSummaries"], _make_profile, "inferenceProfileSummaries"
    elif "modelSummaries" in data or "modelDetails" in data:
        items = data["modelSummaries"] if "modelSummaries" in data else [data["modelDetails"]]
        make, place = _make_foundation_model, "modelSummaries"
    else:
        source.fail(
            "must have modelSummaries, modelDetails or inferenceProfileSummaries, as the command aws bedrock has"
        )
    seen: set[str] = set()
    for index, item in enumerate(source.list_mappings(items, place)):
        row = make(source, item, f"{place}[{index}]")
        key = entry_key(row.model_id or "").text
        if row.skip is None and key in seen:
            row = skip_row(row.place, row.model_id, "is another form of a model above")._replace(is_fault=False)
        seen.add(key)
        yield row
    if data.get("nextToken"):
        yield skip_row("nextToken", None, "is set: the file has not all models; import the other pages too")


def _make_foundation_model(source: ImportSource, item: Mapping[str, Any], place: str) -> ImportRow:
    model = clean_text(item.get("modelId"))
    if model is None:
        return skip_row(place, None, "has no modelId")
    cycle = source.check_mapping(item.get("modelLifecycle"), f"{place}.modelLifecycle")
    end, vendor = clean_text(cycle.get("endOfLifeTime")), clean_text(item.get("providerName"))
    notes = [f"made by {vendor}"] if vendor else []
    notes += [f"{BEDROCK} stops serving {model} on {end} (endOfLifeTime)"] if end else []
    return _make_bedrock_row(place, model, {"name": clean_text(item.get("modelName"))}, notes, None)


def _make_profile(source: ImportSource, item: Mapping[str, Any], place: str) -> ImportRow:
    arn, profile = clean_text(item.get("inferenceProfileArn")), clean_text(item.get("inferenceProfileId"))
    models = source.list_mappings(item.get("models") or [], f"{place}.models")
    served = [text.rpartition("/")[2] for text in (clean_text(each.get("modelArn")) for each in models) if text]
    if arn is None or profile is None or not served:
        return skip_row(place, profile or arn, "needs inferenceProfileArn, inferenceProfileId and models")
    if item.get("type") == _SYSTEM_PROFILE:
        return _make_bedrock_row(place, served[0], {}, [f"inference profile {profile}"], None)
    fields = {"name": clean_text(item.get("inferenceProfileName")), "purpose": clean_text(item.get("description"))}
    return _make_bedrock_row(place, arn, fields, [f"inference profile {profile}"], one_or_several(served))


def _make_bedrock_row(
    place: str, model: str, fields: Mapping[str, Any], notes: list[str], base_model: str | list[str] | None
) -> ImportRow:
    metadata = {"provider": BEDROCK, "base_model": base_model}
    sources = {"name": "modelName", "purpose": _DESCRIPTION, "metadata.base_model": "models of the inference profile"}
    return ImportRow(place, make_unfinished(model, fields, metadata, notes, sources), (BEDROCK,))


# Backstage: https://backstage.io/docs/features/software-catalog/descriptor-format

_MODEL_KINDS: Final = frozenset(("resource", "api", "component"))
_MODEL_WORDS: Final = frozenset(("model", "llm"))
"""A type with one of these words is a model: ai-model, ml-model, llm, llm-api. Backstage has no fixed list."""
_SERVER: Final = "server"
"""The word of a type such as model-server, which is the server and not the model."""
_MODEL_NAME: Final = "rhdh.modelcatalog.io/model-name"
"""The annotation in which Red Hat Developer Hub keeps the name that calls have."""


def read_backstage(source: ImportSource) -> Iterator[ImportRow]:
    """Yield the models among the entities of a ``catalog-info.yaml``. A Backstage owner is a declared owner."""
    documents = source.decode_documents()
    if not any(isinstance(each, dict) and {"apiVersion", "kind"} <= each.keys() for each in documents):
        source.fail("must be entities of Backstage, with apiVersion and kind")
    for index, item in enumerate(source.list_mappings(documents, "document ")):
        row = _make_entity(source, item, f"document {index + 1}")
        if row is not None:
            yield row


def _make_entity(source: ImportSource, item: Mapping[str, Any], place: str) -> ImportRow | None:
    spec = source.check_mapping(item.get("spec"), f"{place}, spec")
    words = set(re.split("[^a-z]+", str(spec.get("type")).lower()))
    if str(item.get("kind")).lower() not in _MODEL_KINDS or not words & _MODEL_WORDS or _SERVER in words:
        return None
    about = source.check_mapping(item.get("metadata"), f"{place}, metadata")
    annotations = collect_texts(source.check_mapping(about.get("annotations"), f"{place}, metadata.annotations"))
    labels = collect_texts(source.check_mapping(about.get("labels"), f"{place}, metadata.labels"))
    name = clean_text(about.get("name"))
    model = annotations.get(_MODEL_NAME) or name
    if model is None:
        return skip_row(place, None, "has no metadata.name")
    owner = clean_text(spec.get("owner"))
    fields = {
        "name": clean_text(about.get("title")) or name,
        "owner": None if owner is None else read_owner(owner),
        "purpose": clean_text(about.get("description")),
    }
    notes = [f"{item['kind']} of the type {spec['type']}"]
    notes += [f"lifecycle {spec['lifecycle']}"] if clean_text(spec.get("lifecycle")) else []
    sources = {"owner": f"spec.owner {owner}", "purpose": _DESCRIPTION, "model_id": f"the annotation {_MODEL_NAME}"}
    if _MODEL_NAME not in annotations:
        del sources["model_id"]
    return ImportRow(place, make_unfinished(model, fields, {}, notes, sources), facts={**labels, **annotations})


def read_owner(reference: str) -> str:
    """Return the owner of a reference such as ``group:default/chat-team``, without the defaults of Backstage."""
    kind, colon, name = reference.rpartition(":")
    shown = name.removeprefix("default/")
    return shown if kind.lower() in ("", "group") else f"{kind}{colon}{shown}"

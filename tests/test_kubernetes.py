"""The objects of examples/kubernetes against schemas and against other files, without a cluster."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from support.collector_files import COLLECTOR, ROOT, VARIABLES
from support.kubernetes import DOCKERFILES, FOLDER, OBJECTS, container, containers, pod_specs, run_commands

CONFIG = ROOT / "collector-config"
CUSTOM = json.loads((Path(__file__).parent / "support" / "prometheus_operator.schema.json").read_text("utf-8"))
NOT_VALIDATED = {"Instrumentation"}
"""The kinds whose schema is not available here. README.md says so."""
MADE_BY_HAND = {"collector-lookup"}
"""The ConfigMaps that a command of README.md makes."""
MIB = 1 << 20


@pytest.mark.slow
def test_generated_objects_are_up_to_date() -> None:
    """``make docs`` would change nothing."""
    subprocess.run([sys.executable, ROOT / "tools" / "kubernetes.py", "--check"], check=True)


def find_unknown(value: Any, schema: dict[str, Any], place: str = "") -> list[str]:
    """Return the places of keys that a schema does not have. The API server would remove them."""
    if isinstance(value, list):
        return [each for item in value for each in find_unknown(item, schema.get("items", {}), f"{place}[]")]
    if not isinstance(value, dict):
        return []
    known, others = schema.get("properties"), schema.get("additionalProperties", {})
    if known is None:
        return [each for key, item in value.items() for each in find_unknown(item, others, f"{place}.{key}")]
    unknown = [f"{place}.{key}" for key in value if key not in known]
    return unknown + [
        each for key, item in value.items() if key in known for each in find_unknown(item, known[key], f"{place}.{key}")
    ]


@pytest.mark.parametrize("name", OBJECTS)
def test_each_object_fits_its_schema(name: str) -> None:
    """The newest and an older Kubernetes accept each object, and the Prometheus operator its own; no key is unknown."""
    resource = OBJECTS[name]
    if resource["kind"] in CUSTOM:
        schema = CUSTOM[resource["kind"]]
        jsonschema.Draft202012Validator(schema).validate(resource)
        spec = schema["properties"]["spec"]
        assert find_unknown(resource["spec"], spec) == []
    elif resource["kind"] not in NOT_VALIDATED:
        for version in (kubernetes_validate.latest_version(), "1.30"):
            kubernetes_validate.validate(resource, str(version), strict=True)
    else:
        assert resource["apiVersion"] == "opentelemetry.io/v1alpha1"


def test_unknown_keys_are_found() -> None:
    """A key that is misspelt is found at any depth, in an object of Kubernetes and in one of the operator."""
    monitor = json.loads(json.dumps(OBJECTS["PodMonitor model-registry"]["spec"]))
    monitor["podMetricsEndpoints"][0]["honorLabel"] = True
    spec = CUSTOM["PodMonitor"]["properties"]["spec"]
    assert find_unknown(monitor, spec) == [".podMetricsEndpoints[].honorLabel"]
    deployment = json.loads(json.dumps(OBJECTS["Deployment collector"]))
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsNonRot"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, str(kubernetes_validate.latest_version()), strict=True)


def test_rules_and_jobs_are_those_of_prometheus() -> None:
    """The PrometheusRule has the rules of rules.yml, with texts as labels, and the monitors have the jobs' settings."""
    rules = yaml.safe_load((CONFIG / "prometheus" / "rules.yml").read_text("utf-8"))["groups"]
    found = OBJECTS["PrometheusRule model-registry"]["spec"]["groups"]

    def as_texts(groups: Any) -> list[Any]:
        return [json.loads(json.dumps(rule), parse_int=str) for group in groups for rule in group["rules"]]

    assert as_texts(found) == as_texts(rules)
    jobs = {
        job["job_name"]: job
        for job in yaml.safe_load((CONFIG / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    }
    monitors = {
        each["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["replacement"]: each["spec"]
        for each in OBJECTS.values()
        if each["kind"] == "PodMonitor"
    }
    assert monitors.keys() == jobs.keys()
    ports = {port["name"]: str(port["containerPort"]) for port in container("collector")["ports"]}
    for name, job in jobs.items():
        (endpoint,) = monitors[name]["podMetricsEndpoints"]
        assert job["static_configs"][0]["targets"] == [f"127.0.0.1:{ports[endpoint['port']]}"]
        assert endpoint.get("honorLabels") == job.get("honor_labels")
        for limit, other in (
            ("sampleLimit", "sample_limit"),
            ("labelLimit", "label_limit"),
            ("bodySizeLimit", "body_size_limit"),
        ):
            assert monitors[name].get(limit) == job.get(other)
        renamed = [
            {
                re.sub("_(l)abel", lambda match: match[1].upper() + "abel", key).replace("source_", "source"): value
                for key, value in each.items()
            }
            for each in job.get("metric_relabel_configs", [])
        ]
        assert endpoint.get("metricRelabelings", []) == renamed


def test_config_maps_have_the_files() -> None:
    """Each ConfigMap has the text of its files, and fits into Kubernetes' limit of 1 MiB."""
    texts = {
        "models": {"models.yaml": FOLDER / "models.yaml"},
        "collector-config": {"collector.yaml": CONFIG / "collector.yaml"},
        "collector-scripts": {
            "start.sh": FOLDER / "start.sh",
            "follow.sh": FOLDER / "follow.sh",
            "reload.sh": CONFIG / "reload.sh",
        },
        **{path.stem: {path.name: path} for path in (CONFIG / "grafana" / "dashboards").glob("*.json")},
    }
    for name, files in texts.items():
        data = OBJECTS[f"ConfigMap {name}"]["data"]
        assert sum(map(len, data.values())) < MIB
        for file, path in files.items():
            assert data[file] == path.read_text("utf-8")
    enrichment = yaml.safe_load(OBJECTS["ConfigMap collector-config"]["data"]["enrichment.yaml"])
    settings = OBJECTS["ConfigMap collector-settings"]["data"]
    statements = enrichment["processors"]["transform/model_registry"]["trace_statements"]
    assert statements == f"${{file:{settings['LOOKUP_FILE']}}}"
    known = {variable for variable, _ in VARIABLES.findall((CONFIG / "collector.yaml").read_text("utf-8"))}
    assert {name for name in settings if name.startswith(("OTELCOL_", "JAEGER_"))} <= known


def test_pods_are_restricted() -> None:
    """Pods fit the restricted standard: no root, no privileges, a read-only root file system, limits and probes."""
    for spec in pod_specs().values():
        assert spec["automountServiceAccountToken"] is False
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] > 0
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in containers():
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= each["resources"]["requests"].keys()
        assert "memory" in each["resources"]["limits"]
        assert ("livenessProbe" in each) is ("readinessProbe" in each) is ("ports" in each)


def test_names_lead_somewhere() -> None:
    """ConfigMaps, volumes, claims and ports that are named exist, and selectors match the pods' labels."""
    maps = {each["metadata"]["name"] for each in OBJECTS.values() if each["kind"] == "ConfigMap"} | MADE_BY_HAND
    for spec in pod_specs().values():
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert {volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume} <= maps
        claims = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in volumes.values()
            if "persistentVolumeClaim" in volume
        }
        assert all(f"PersistentVolumeClaim {claim}" in OBJECTS for claim in claims)
        for each in spec["containers"]:
            assert {mount["name"] for mount in each["volumeMounts"]} <= volumes.keys()
            assert {source["configMapRef"]["name"] for source in each.get("envFrom", [])} <= maps
    ports = {port["name"] for port in container("collector")["ports"]}
    labels = OBJECTS["Deployment collector"]["spec"]["template"]["metadata"]["labels"]
    for name, resource in OBJECTS.items():
        if name.startswith("Service "):
            assert resource["spec"]["selector"].items() <= labels.items()
            assert {port["targetPort"] for port in resource["spec"]["ports"]} <= ports
    policy = OBJECTS["NetworkPolicy collector"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    opened = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert opened == ports - {"health"}  # kubelets of the node reach all ports


def test_only_trusted_pods_reach_the_trusted_ports() -> None:
    """The trusted ports are open to pods with both labels only, which the application's pods have."""
    rules = OBJECTS["NetworkPolicy collector"]["spec"]["ingress"]
    opened = [rule for rule in rules if {port["port"] for port in rule["ports"]} & {"otlp-grpc", "otlp-http"}]
    (peer,) = (peer for rule in opened for peer in rule["from"])
    label = {"model-registry.example.com/trusted": "true"}
    assert peer == {"namespaceSelector": {"matchLabels": label}, "podSelector": {"matchLabels": label}}
    application = OBJECTS["Deployment assistant"]["spec"]["template"]["metadata"]
    assert label.items() <= application["labels"].items()
    instrumentation = OBJECTS["Instrumentation model-registry"]
    assert (
        application["annotations"]["instrumentation.opentelemetry.io/inject-python"]
        == instrumentation["metadata"]["name"]
    )
    endpoint = re.fullmatch(r"http://(\w+)\.(\w+):(\d+)", instrumentation["spec"]["exporter"]["endpoint"])
    assert endpoint is not None
    service = OBJECTS[f"Service {endpoint[1]}"]
    assert service["metadata"]["namespace"] == endpoint[2]
    assert {"name": "otlp-http", "port": int(endpoint[3]), "targetPort": "otlp-http"} in service["spec"]["ports"]
    variables = {each["name"]: each["value"] for each in instrumentation["spec"]["python"]["env"]}
    mounts = [mount["mountPath"] for mount in container("assistant")["volumeMounts"]]
    assert variables["OTEL_PYTHON_MODEL_REGISTRY_FILE"] in mounts


def test_images_have_versions() -> None:
    """Each image has the tag of one version; the Collector's is the tested one; own images have a Dockerfile."""
    texts = {path: path.read_text("utf-8") for path in [*DOCKERFILES, *FOLDER.glob("*.yaml")]}
    images = [
        image
        for text in texts.values()
        for image in re.findall(r"^(?:FROM|.*\bimage: (?:&\w+)?) ?([\w./-]+:\S+)", text, re.MULTILINE)
    ]
    assert len(images) == 7
    assert all(
        re.search(r":v?\d+\.\d+(\.\d+|b\d+)?(-slim|-\d+\.\d+\.\d+)?(@sha256:[0-9a-f]{64})?$", image) for image in images
    ), images
    assert f"opentelemetry-collector-contrib:{COLLECTOR} " in texts[FOLDER / "collector.Dockerfile"]
    built = {tag for text in texts.values() for tag in re.findall(r"^# .*--tag (\S+) \.$", text, re.MULTILINE)}
    own = {image for image in images if image.startswith("registry.example.com/model-registry/")}
    assert own == built


def test_image_for_python_has_the_dependencies() -> None:
    """The Dockerfile installs what this package needs beside OpenTelemetry, in the versions of the demo."""
    commands = run_commands(FOLDER / "autoinstrumentation.Dockerfile")
    pins = {pin for command in commands for pin in re.findall(r"[\w-]+==[\w.]+", command)}
    requirements = (ROOT / "requirements" / "demo.txt").read_text("utf-8").splitlines()
    assert {f"{pin} \\" for pin in pins} <= set(requirements)
    needed = [
        text
        for text in importlib.metadata.requires("spanforge-model-registry") or ()
        if "extra" not in text or re.search("extra == .yaml.", text)
    ]
    names = {re.split(r"[<>=;\[ ]", text)[0].lower() for text in needed}
    assert {name for name in names if not name.startswith("opentelemetry-")} == {pin.partition("==")[0] for pin in pins}

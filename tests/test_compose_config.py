"""``compose.yaml``, which the end-to-end tests cannot run: it fits the files that they do run."""

from __future__ import annotations

import json
import re

from support.collector_files import COLLECTOR, FOLDER, VARIABLES
from support.yaml_files import read_yaml

COMPOSE = (FOLDER / "compose.yaml").read_text("utf-8")
PARSED = read_yaml(COMPOSE)
SERVICES = PARSED["services"]


def test_containers_run_the_collector_that_is_tested() -> None:
    """The image is of the version that the end-to-end tests build."""
    assert re.search(rf"image: otel/opentelemetry-collector-contrib:{re.escape(COLLECTOR)}(@|\n)", COMPOSE)


def test_containers_get_files_and_variables_that_there_are() -> None:
    """What is mounted and built exists, programs are told where, and each variable that is set is one of theirs."""
    for name, file in (("collector", "collector.yaml"), ("jaeger", "jaeger.yaml")):
        service = SERVICES[name]
        assert f"./{file}:/etc/{file}:ro" in service["volumes"]
        assert service["command"] == [f"--config=/etc/{file}"]
        known = {variable for variable, _ in VARIABLES.findall((FOLDER / file).read_text("utf-8"))}
        assert {each for each in service["environment"] if each.startswith(("OTELCOL_", "JAEGER_"))} <= known
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            outside, _, inside = volume.removesuffix(":ro").partition(":")
            assert (FOLDER / outside).exists() if outside.startswith(".") else outside in PARSED["volumes"], volume
            assert inside.startswith("/")
    page = SERVICES["jaeger"]["environment"]["JAEGER_UI_CONFIG"]
    assert f"./jaeger-ui.json:{page}:ro" in SERVICES["jaeger"]["volumes"]
    build = SERVICES["demo"]["build"]
    for source in re.findall(r"^COPY (.+) \S+$", build["dockerfile_inline"], re.MULTILINE):
        assert all((FOLDER / build["context"] / each).exists() for each in source.split()), source


def test_containers_keep_what_is_to_be_kept() -> None:
    """Queue, archive and metrics are on volumes, which outlive containers."""
    paths = {value for value in SERVICES["collector"]["environment"].values() if str(value).startswith("/")}
    assert len(paths) == 3
    assert all(path.startswith("/data/") for path in paths)
    assert "collector:/data" in SERVICES["collector"]["volumes"]
    assert "prometheus:/prometheus" in SERVICES["prometheus"]["volumes"]
    assert "--storage.tsdb.path=/prometheus" in SERVICES["prometheus"]["command"]


def test_containers_are_reached_from_this_machine_only() -> None:
    """Published ports are on loopback, and are those that the addresses inside have."""
    ports = [port.rsplit(":", 2) for service in SERVICES.values() for port in service.get("ports", [])]
    assert [host for host, _, _ in ports] == ["127.0.0.1"] * 11
    assert all(outside == inside for _, outside, inside in ports)
    listening = re.findall(r"^ {6}\w+: 0\.0\.0\.0(?::(\d+))?$", COMPOSE, re.MULTILINE)
    own = {"3000", "9090", "9093"}  # defaults of Grafana, Prometheus and Alertmanager
    assert {port for _, port, _ in ports} <= {port or "8888" for port in listening} | own  # telemetry has a host only


def test_containers_are_of_versions_that_are_named() -> None:
    """Each image has the tag of one version, and perhaps the digest that ``tools/pin_images.py`` adds."""
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    images += re.findall(r"^FROM (\S+)$", SERVICES["demo"]["build"]["dockerfile_inline"], re.MULTILINE)
    assert len(images) == len(SERVICES)
    assert all(re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+(-slim)?(@sha256:[0-9a-f]{64})?", image) for image in images), (
        images
    )


def test_containers_are_waited_for() -> None:
    """What others need is there, and is asked whether it is ready, by itself or by the service that does so."""
    needed = {each for service in SERVICES.values() for each in service.get("depends_on", [])}
    needed |= {service.get("network_mode", "service:demo").removeprefix("service:") for service in SERVICES.values()}
    assert needed <= SERVICES.keys()
    asked = {name for name, service in SERVICES.items() if "healthcheck" in service}
    asked |= set(re.findall(r"http://(\w+):", str(SERVICES["ready"]["command"])))
    assert asked == {"collector", "jaeger", "prometheus", "grafana"}
    assert SERVICES["demo"]["depends_on"] == {"ready": {"condition": "service_completed_successfully"}}


def test_nobody_has_a_password() -> None:
    """Grafana has no administrator with a known password and no form to log in. All can explore, none can save."""
    settings = SERVICES["grafana"]["environment"]
    assert settings["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert settings["GF_USERS_VIEWERS_CAN_EDIT"] == "true", "the dashboards' links to traces open Explore"
    assert not re.search(r"(?i)(?<!has a )password[:=]", COMPOSE)


def test_grafana_finds_sources_and_dashboards() -> None:
    """Data sources are services of the file, with the kinds that the dashboards choose from; dashboards are mounted."""
    sources = read_yaml((FOLDER / "grafana" / "datasources.yaml").read_text("utf-8"))["datasources"]
    at = {source["type"]: source["url"] for source in sources}
    assert at == {"prometheus": "http://collector:9090", "jaeger": "http://jaeger:16686"}
    assert SERVICES["prometheus"]["network_mode"] == "service:collector"
    (provider,) = read_yaml((FOLDER / "grafana" / "dashboards.yaml").read_text("utf-8"))["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    for file in (FOLDER / "grafana" / "dashboards").glob("*.json"):
        variables = json.loads(file.read_text("utf-8"))["templating"]["list"]
        assert {each["query"] for each in variables if each["type"] == "datasource"} == {*at, "tempo"}

"""Beside the PyPI package ``spanforge``, in one folder of packages: ours is in force, and theirs works with it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

    from conftest import Environment

Pip = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]
PINS = ROOT / "requirements" / "spanforge.txt"
PINNED = "--require-hashes", "--requirement", PINS
VERSION = PINS.read_text().split()[0].removeprefix("spanforge==")
pytestmark = pytest.mark.e2e

THEIRS = """
    import importlib.util, inspect, sys
    import spanforge.model_registry as ours
    spec = importlib.util.spec_from_file_location("theirs", sys.argv[1])
    theirs = sys.modules["theirs"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
"""


@pytest.fixture(scope="session")
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pip: Pip) -> Path:
    """Give a folder with the pinned wheel of the PyPI package; the network is needed the first time only."""
    cache = getattr(request.config, "cache", None)
    folder = Path(cache.mkdir("spanforge-wheel")) if cache else tmp_path_factory.mktemp("spanforge-wheel")
    if not list(folder.glob(f"spanforge-{VERSION}-*.whl")):  # installing it checks the hash
        run = pip("download", "--no-deps", "--only-binary", ":all:", *PINNED, "--dest", folder)
        if run.returncode != 0:
            reason = f"the PyPI package spanforge cannot be fetched: {run.stderr.strip().splitlines()[-1]}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return folder


@pytest.fixture(scope="module")
def ours_first(new_environment: Callable[[str], Environment], ours: Path, theirs: Path) -> Environment:
    """Give an environment in which their package was installed over ours."""
    environment = new_environment("ours-first")
    environment.install(ours)
    environment.install("--find-links", theirs, *PINNED)
    return environment


@pytest.fixture(scope="module")
def theirs_first(new_environment: Callable[[str], Environment], ours: Path, theirs: Path) -> Environment:
    """Give an environment in which our package was installed over theirs."""
    environment = new_environment("theirs-first")
    environment.install("--find-links", theirs, *PINNED)
    environment.install(ours)
    return environment


@pytest.fixture(scope="module", params=["ours_first", "theirs_first"])
def both(request: pytest.FixtureRequest) -> Environment:
    """Give an environment with both packages, installed in either order."""
    environment: Environment = request.getfixturevalue(request.param)
    return environment


def test_ours_is_in_force(both: Environment) -> None:
    """``spanforge.model_registry`` is our package, and the rest of ``spanforge`` is theirs.

    What ``spanforge`` gives under its own name is what our module has, and every public name of theirs is there.
    """
    folder = both.packages / "spanforge"
    output = both.run(
        """
        import ast, json, sys, spanforge, spanforge.model_registry as registry
        from spanforge import ModelRegistry, ModelRegistryEntry
        from spanforge import deprecate_model, get_model, list_models, register_model, retire_model
        source = open(sys.argv[1], encoding="utf-8").read()
        assigned = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
        (names,) = (ast.literal_eval(node.value) for node in assigned if node.targets[0].id == "__all__")
        for name in names:
            assert getattr(spanforge, name) is getattr(registry, name), name
        print(json.dumps([len(names), registry.__file__, spanforge.__file__, spanforge.__version__]))
        """,
        folder / "model_registry.py",
    )
    number, *found = json.loads(output)
    assert found == [str(folder / "model_registry" / "__init__.py"), str(folder / "__init__.py"), VERSION]
    assert number >= 7


def test_every_call_of_theirs_is_one_of_ours(theirs_first: Environment) -> None:
    """Every function and method that is public there takes the same arguments here, positional as well."""
    output = theirs_first.run(
        THEIRS
        + """
    def pairs():
        for name in theirs.__all__:
            yield getattr(theirs, name), getattr(ours, name)
        for kind in ("ModelRegistry", "ModelRegistryEntry"):
            for name, member in vars(getattr(theirs, kind)).items():
                if not name.startswith("_") and callable(getattr(getattr(theirs, kind), name)):
                    yield getattr(getattr(theirs, kind), name), getattr(getattr(ours, kind), name)

    KEYWORD, VARIOUS = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD
    count = 0
    for there, here in pairs():
        wanted, given = (dict(inspect.signature(item).parameters) for item in (there, here))
        wanted = {name: item for name, item in wanted.items() if item.kind is not VARIOUS}
        assert set(wanted) <= set(given), (there, wanted, given)
        positional = [[name for name, item in items.items() if item.kind is not KEYWORD] for items in (wanted, given)]
        assert positional[0] == positional[1][: len(positional[0])], there
        assert not [name for name in given if name not in wanted and given[name].default is given[name].empty], there
        count += 1
    print(count)
    """,
        theirs_first.packages / "spanforge" / "model_registry.py",
    )
    assert int(output) >= 15


ATTEST = """
    import json
    from spanforge.core.compliance_mapping import ComplianceMappingEngine
    from spanforge.model_registry import deprecate_model, register_model, retire_model
    register_model("active", "N", "1", "high", "ml-platform", "chat")
    register_model("old", "N", "1", "low", "other team", "chat")
    register_model("gone", "N", "1", "critical", "third team", "chat")
    deprecate_model("old", reason="Successor available")
    retire_model("gone")
    found = {}
    for model in ("active", "old", "gone", "unknown"):
        package = ComplianceMappingEngine().generate_evidence_package(
            model_id=model, framework="soc2", from_date="2026-01-01", to_date="2026-12-31", audit_events=[]
        )
        found[model] = {key: value for key, value in json.loads(package.to_json()).items() if key.startswith("model_")}
        assert json.loads(package.attestation.to_json()).get("model_status") == package.attestation.model_status
    print(json.dumps(found))
"""


def test_their_compliance_engine_sees_our_entries(both: Environment) -> None:
    """Attestations of their engine have owner, risk tier and status of our entries, and warn of those out of use."""
    found = json.loads(both.run(ATTEST))
    warnings = {model: attested.pop("model_warnings", []) for model, attested in found.items()}
    assert found == {
        "active": {
            "model_id": "active",
            "model_owner": "ml-platform",
            "model_risk_tier": "high",
            "model_status": "active",
        },
        "old": {
            "model_id": "old",
            "model_owner": "other team",
            "model_risk_tier": "low",
            "model_status": "deprecated",
        },
        "gone": {
            "model_id": "gone",
            "model_owner": "third team",
            "model_risk_tier": "critical",
            "model_status": "retired",
        },
        "unknown": {"model_id": "unknown"},
    }
    assert warnings["active"] == []
    for model, word in (("old", "deprecated"), ("gone", "retired"), ("unknown", "not registered")):
        (warning,) = warnings[model]
        assert model in warning
        assert word in warning.lower()


def test_their_command_line_works_on_our_registry(theirs_first: Environment) -> None:
    """``spanforge model`` lists, registers, deprecates and retires, and reports our errors, with its exit codes."""
    output = theirs_first.run(
        """
        from spanforge._cli import main
        from spanforge.model_registry import get_model
        new = "--model-id a --name A --version 1 --risk-tier high --owner team --purpose chat".split()
        for arguments in (
            ["list"],
            ["register", *new],
            ["register", *new[:-1], "other"],
            ["deprecate", "--model-id", "a", "--reason", "old"],
            ["list"],
            ["retire", "--model-id", "a"],
            ["retire", "--model-id", "a"],
            ["deprecate", "--model-id", "b"],
        ):
            try:
                main(["model", *arguments])
            except SystemExit as exit:
                print("exit", exit.code)
        print(get_model("a").status, get_model("a").metadata["deprecation_reason"])
        """
    )
    lines = output.splitlines()
    assert [line for line in lines if line.startswith("exit")] == [f"exit {code}" for code in (0, 0, 1, 0, 0, 0, 1, 1)]
    assert "No models registered." in lines[0]
    assert "already registered" in output
    assert any("status=deprecated" in line and "owner=team" in line for line in lines)
    assert "already retired" in output
    assert "[!] model 'b' is not in the registry" in lines
    assert lines[-1] == "retired old"


def test_files_in_both_directions(theirs_first: Environment, tmp_path: Path) -> None:
    """A file written by either loads in the other, with the same entries, whatever letters they have."""
    output = theirs_first.run(
        THEIRS
        + """
    import json
    folder = sys.argv[2]
    def plain(registry):
        return [entry.to_dict() for entry in registry.list_all()]
    def fill(registry):
        for model_id in ("z", "größer", "gone"):
            registry.register(
                model_id, "Größe 東京", "1", "low", "Größe", "test", metadata={"x": [1, 0.5, True, {"y": None}]}
            )
        registry.deprecate("größer", reason="später")
        registry.retire("gone")
        return registry
    for writer, reader in ((theirs, ours), (ours, theirs)):
        source = fill(writer.ModelRegistry(auto_emit=False))
        path = f"{folder}/{writer.__name__}.json"
        source.save(path)
        target = reader.ModelRegistry(auto_emit=False)
        target.load(path)
        assert plain(target) == plain(source)
        target.retire("größer")
        target.save(path)
        source.load(path)
        assert plain(source) == plain(target)
        print(len(source.list_all()), source.get("größer").status)
    """,
        theirs_first.packages / "spanforge" / "model_registry.py",
        tmp_path,
    )
    assert output == "3 retired\n3 retired\n"


def test_without_ours_theirs_is_back(ours_first: Environment, tmp_path: Path) -> None:
    """Uninstalling ours gives the PyPI package its own module back."""
    left = ours_first.copy(tmp_path / "env")
    left.pip("uninstall", "--yes", "spanforge-model-registry")
    folder = left.packages / "spanforge"
    assert not (folder / "model_registry").exists()
    found, place = left.run(
        f"{ATTEST}    import spanforge.model_registry as found\n    print(found.__file__)"
    ).splitlines()[-2:]
    assert place == str(folder / "model_registry.py")
    assert json.loads(found)["old"]["model_owner"] == "other team"


def test_without_theirs_ours_works_alone(theirs_first: Environment, tmp_path: Path) -> None:
    """Uninstalling the PyPI package leaves ours, which needs nothing of it."""
    left = theirs_first.copy(tmp_path / "env")
    left.pip("uninstall", "--yes", "spanforge")
    folder = left.packages / "spanforge"
    assert not (folder / "__init__.py").exists()
    found = left.ask("registry.__file__, registry.register_model('m', 'N', '1', 'low', 'team', 'test').owner")
    assert found == [str(folder / "model_registry" / "__init__.py"), "team"]

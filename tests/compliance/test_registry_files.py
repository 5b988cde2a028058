"""The registry in a package: the files from which it was read, if they are unchanged, and its entries."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.evidence import FIELDS, make_entry, write_key_pair

from spanforge.model_registry import InvalidValueError, ModelRegistry, get_default_registry
from spanforge.model_registry._core.storage import encode_entries
from spanforge.model_registry.compliance import ComplianceMappingEngine, EvidencePackage, verify_package
from spanforge.model_registry.watch import FileWatcher, follow_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.evidence import EvidenceCase

YAML = b"# reviewed by the board\n- model_id: gpt\n"
YAML += "".join(f"  {key}: '{value}'\n" for key, value in FIELDS.items()).encode()
NO_FILES = "The package has the registry's entries at generation, but no registry file."


def generate(case: EvidenceCase, registry: ModelRegistry | None, **options: Any) -> EvidencePackage:
    return case.package(ComplianceMappingEngine(registry), **options)


def copies(made: EvidencePackage) -> list[tuple[str, bytes]]:
    """Return the names and bytes of the registry files in a package, after a check of how they are stated."""
    stated = made.attestation.registry.files
    for file, content in zip(stated, made.registry_files, strict=True):
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert bool(stated) != any(limit.startswith(NO_FILES) for limit in made.attestation.limits)
    return [(file.name, content) for file, content in zip(stated, made.registry_files, strict=True)]


def load(path: Path, content: bytes = YAML) -> ModelRegistry:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    registry = ModelRegistry(auto_emit=False)
    registry.load(path)
    return registry


def test_loaded_file_is_in_the_package(case: EvidenceCase) -> None:
    """The bytes of a file that was loaded are in the package, with its digest, and so are the entries as JSON."""
    registry = load(case.folder / "models.yaml")
    made = generate(case, registry)
    assert copies(made) == [("models.yaml", YAML)]
    printed = subprocess.run(["sha256sum", case.folder / "models.yaml"], check=True, stdout=-1, text=True).stdout
    assert made.attestation.registry.files[0].sha256 == printed.split()[0]
    assert made.registry_json == encode_entries(registry.list_all())
    assert made.attestation.registry.sha256 == hashlib.sha256(made.registry_json).hexdigest()


CHANGES: dict[str, Callable[[ModelRegistry, Path], Any]] = {
    "a comment": lambda _, path: path.write_bytes(YAML + b"# later\n"),
    "no file": lambda _, path: path.unlink(),
    "a pipe": lambda _, path: (path.unlink(), os.mkfifo(path)),
    "an operation": lambda registry, _: registry.retire("gpt"),
    "a new model": lambda registry, _: registry.register("new", **FIELDS),
    "no entries": lambda registry, _: registry.clear(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_registry_is_in_the_package_without_its_file(change: str, case: EvidenceCase) -> None:
    """If the file or the entries changed after loading, the package has only the entries, and a limit says so."""
    registry = load(case.folder / "models.yaml")
    CHANGES[change](registry, case.folder / "models.yaml")
    made = generate(case, registry)
    assert copies(made) == []
    assert made.registry_json == encode_entries(registry.list_all())


def test_operations_that_change_nothing_keep_the_file(case: EvidenceCase) -> None:
    """If code registers a model that a followed file defines, the file's entry stays in force and its file is kept."""
    (case.folder / "models.yaml").write_bytes(YAML)
    follow_settings(str(case.folder / "models.yaml"), 0)
    get_default_registry().register("gpt", **FIELDS | {"owner": "code"})
    assert copies(generate(case, None)) == [("models.yaml", YAML)]
    get_default_registry().register("new", **FIELDS)
    assert copies(generate(case, None)) == []


def test_registry_in_memory_has_no_file(case: EvidenceCase) -> None:
    """A registry that was made in code, or emptied, did not come from a file."""
    assert copies(generate(case, ModelRegistry(auto_emit=False))) == []
    registry = ModelRegistry(auto_emit=False)
    registry.register("gpt", **FIELDS)
    assert copies(generate(case, registry)) == []


def test_files_of_the_default_registry_are_in_the_package(case: EvidenceCase) -> None:
    """Files that the process-wide registry follows are in the package, also together with a loaded file."""
    paths = [case.folder / "a" / "models.json", case.folder / "b" / "models.json"]
    contents = [encode_entries([make_entry(model_id)]) for model_id in ("a", "b")]
    for path, content in zip(paths, contents, strict=True):
        path.parent.mkdir()
        path.write_bytes(content)
    follow_settings(os.pathsep.join(map(str, paths)), 0)
    files = list(zip(("a/models.json", "b/models.json"), contents, strict=True))
    assert copies(generate(case, None)) == files
    (case.folder / "app.yaml").write_bytes(YAML)
    get_default_registry().load(case.folder / "app.yaml")
    made = generate(case, None)
    assert copies(made) == [*files, ("app.yaml", YAML)]
    names = ["registry-1-models.json", "registry-2-models.json", "registry-3-app.yaml"]
    assert [file.file for file in made.attestation.registry.files] == names
    get_default_registry().load(paths[1])
    assert copies(generate(case, None)) == files
    get_default_registry().deprecate("a")
    assert copies(generate(case, None)) == []


def test_followed_file_that_changed_is_in_the_package(case: EvidenceCase) -> None:
    """After a look at a changed file, the package has its new bytes; before it, and while it is invalid, none."""
    path = case.folder / "models.yaml"
    path.write_bytes(YAML)
    registry = ModelRegistry(auto_emit=False)
    watcher = FileWatcher(registry, [str(path)], reload_interval=0)
    watcher.start()
    assert copies(generate(case, registry)) == [("models.yaml", YAML)]
    for content, expected in ((YAML + b"# later\n", True), (b"[", False)):
        path.write_bytes(content)
        assert copies(generate(case, registry)) == []
        watcher.look()
        watcher.look()
        assert copies(generate(case, registry)) == ([("models.yaml", content)] if expected else [])


@pytest.mark.parametrize(
    ("name", "file"),
    [("a b;\nü.yaml", "registry-1-a_b___.yaml"), ("x" * 150 + ".yaml", f"registry-1-{'x' * 95}.yaml")],
)
def test_names_of_copies_are_plain(case: EvidenceCase, name: str, file: str, tmp_path: Path) -> None:
    """The name of a copy has only plain characters and is short, and a package with it can be verified."""
    made = generate(case, load(case.folder / name))
    assert made.attestation.registry.files[0].file == file
    private, public = write_key_pair(tmp_path, Ed25519PrivateKey.generate())
    made.write(tmp_path / "made", private)
    assert (tmp_path / "made" / file).read_bytes() == YAML
    assert file in verify_package(tmp_path / "made", [public]).digests
    registry = ModelRegistry(auto_emit=False)
    registry.load(tmp_path / "made" / "registry.json")
    assert made.attestation.registry.models == len(registry)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have only names in UTF-8")
def test_name_that_is_not_unicode(case: EvidenceCase) -> None:
    """A file whose name is not UTF-8 has a name with replacement characters."""
    made = generate(case, load(Path(os.fsdecode(os.fsencode(case.folder) + b"/\xff.yaml"))))
    assert copies(made) == [("\ufffd.yaml", YAML)]
    made.to_json()


def test_source_revision_is_stated(case: EvidenceCase) -> None:
    """The attestation has the revision that the caller names, and the engine refuses one that is not a text."""
    assert case.attest().registry.source_revision is None
    assert case.attest(source_revision="4f2a9c1").registry.source_revision == "4f2a9c1"
    for wrong in ("", 5, "\ud800"):
        with pytest.raises(InvalidValueError, match="source_revision must be"):
            case.attest(source_revision=wrong)

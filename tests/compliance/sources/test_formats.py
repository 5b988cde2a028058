"""The telemetry formats: which reader opens a source, and how readers of files are named."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry._core.errors import TelemetryError
from spanforge.model_registry.compliance import ComplianceMappingEngine
from spanforge.model_registry.compliance import _attestation as attestation
from spanforge.model_registry.compliance._sources import formats
from spanforge.model_registry.compliance._sources.files import FileReader
from spanforge.model_registry.compliance._sources.formats import (
    FORMATS,
    Format,
    file_kind,
    open_file,
    open_sources,
    read_size,
)
from spanforge.model_registry.compliance._sources.jaeger import JaegerReader

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = Path(attestation.__file__).with_name("attestation.schema.json")


class FolderReader:
    """Reads the files of a folder, each of which is one request."""

    kind = "test_folder_of_requests"

    def __init__(self, path: str) -> None:
        self.path = self.name = path
        self.size, self.sha256 = 0, ""
        self.limits: list[str] = []

    def requests(self) -> Iterator[bytes]:
        for path in sorted(Path(self.path).iterdir()):
            yield path.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, otlp: Any) -> Path:
    """Give two folders with files."""
    for name in ("a", "b"):
        (tmp_path / name / "day").mkdir(parents=True)
        (tmp_path / name / "day" / "1.json").write_bytes(otlp.line(otlp.span("gpt-4o")))
    return tmp_path


def open_all(*telemetry: Any) -> list[tuple[type, str]]:
    """Return the type and the name of each reader."""
    return [(type(reader), reader.name) for reader in open_sources(telemetry, 1, 10**18)]


def test_format_opens_a_source(folder: Path) -> None:
    """An address is a Jaeger, a path or a glob is files, and a reader is used as it is."""
    own = FolderReader("x")
    files = str(folder / "a" / "day" / "*.json")
    assert open_all("http://localhost:1/", files, Path(files), own) == [
        (JaegerReader, "http://localhost:1/"),
        (FileReader, "1.json"),
        (FolderReader, "x"),
    ]
    with pytest.raises(TelemetryError, match=r"must be paths, globs, addresses or readers; got 5"):
        open_sources(5, 1, 2)  # type: ignore[arg-type]


def test_readers_of_paths_have_short_names(folder: Path) -> None:
    """Readers of one path are one input with a short name; a reader's own name stays."""
    paths = [str(folder / name / "day") for name in ("a", "b")]
    named = FolderReader(str(folder / "a"))
    named.name = "mine"
    assert open_all(*map(FolderReader, [*paths, f"{paths[0]}/../day"]), named, folder / "a" / "day" / "1.json") == [
        (FolderReader, "a/day"),
        (FolderReader, "b/day"),
        (FolderReader, "mine"),
        (FileReader, "1.json"),
    ]


def test_new_format_is_one_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its row, sources of a new format are opened, named and counted, also by other processes."""
    row = Format(
        lambda source: Path(source).is_dir() and Path(source, "1.json").exists(),
        lambda source, _start, _end: [FolderReader(source)],
        "folders of the test",
        FolderReader,
        lambda path: sum(file.stat().st_size for file in Path(path).iterdir()),
    )
    monkeypatch.setattr(formats, "FORMATS", {FolderReader.kind: row, **FORMATS})
    paths = [str(folder / name / "day") for name in ("a", "b")]
    made = ComplianceMappingEngine().generate_evidence_package(
        None, "soc2", "2026-01-01", "2026-01-02", telemetry=[*paths, str(folder / "a" / "day" / "1.json")]
    )
    inputs = [(one.name, one.kind, one.spans) for one in made.attestation.inputs]
    kind = FolderReader.kind
    assert inputs == [("a/day", kind, 1), ("b/day", kind, 1), ("1.json", "otlp_json", 1)]
    assert file_kind(FolderReader(paths[0])) == kind
    assert isinstance(open_file(kind, paths[0]), FolderReader)


def test_formats_of_paths_have_a_size(tmp_path: Path) -> None:
    """The size of a source that other processes can read is that of its files; a missing one has none."""
    folder, content = tmp_path / "folder", b"x" * 12_345
    folder.mkdir()
    for file in (tmp_path / "1.json.gz", folder / "1.json.gz"):
        file.write_bytes(content)
    asked = set()
    for source in (tmp_path / "1.json.gz", folder):
        with contextlib.suppress(TelemetryError):  # no format takes such a source
            for reader in open_sources(source, 1, 2):
                kind = file_kind(reader)
                assert kind is not None
                assert read_size(kind, reader.path) == len(content)  # type: ignore[attr-defined]
                assert read_size(kind, str(tmp_path / "missing")) == 0
                asked.add(kind)
    assert asked == {kind for kind, row in FORMATS.items() if row.read_file is not None}


@pytest.mark.parametrize("kind", [*FORMATS, "audit_events"])
def test_schema_explains_every_kind(kind: str) -> None:
    """The description of an input in the schema explains every kind."""
    described = json.loads(SCHEMA.read_text("utf-8"))["$defs"]["Input"]["properties"]["kind"]["description"]
    assert f"{kind} for " in described

"""Registry files: what is written, what is read, and what is left behind when either fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import stat
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry import (
    InvalidEntryError,
    ModelRegistry,
    ModelRegistryEntry,
    RegistryFileError,
    RegistryFileNotFoundError,
)
from spanforge.model_registry._core import json_entries
from spanforge.model_registry._core.lifecycle import STATUSES
from spanforge.model_registry._core.storage import MAX_FILE_SIZE
from spanforge.model_registry._core.values import parse_date

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENTRY: dict[str, Any] = {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "Kundendienst für Zürich 東京 🚆",
    "status": "active",
    "deployment_date": "2024-05-13",
    "decommission_date": None,
    "metadata": {"tags": ["a", {"b": None}], "share": 0.5, "count": -3, "on": True, "none": [], "nothing": {}},
}

WRITTEN = """\
[
  {
    "model_id": "gpt-4o",
    "name": "GPT-4o",
    "version": "2024-05",
    "risk_tier": "high",
    "owner": "ml-platform",
    "purpose": "Kundendienst für Zürich 東京 🚆",
    "status": "active",
    "deployment_date": "2024-05-13",
    "decommission_date": null,
    "metadata": {
      "tags": [
        "a",
        {
          "b": null
        }
      ],
      "share": 0.5,
      "count": -3,
      "on": true,
      "none": [],
      "nothing": {}
    }
  }
]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a place for a registry file, in a folder that holds nothing else."""
    return tmp_path / "models.json"


@pytest.fixture
def registry(path: Path) -> ModelRegistry:
    """Give a registry that holds ``ENTRY`` and emits nothing; ``path`` is free again."""
    registry = ModelRegistry(auto_emit=False)
    path.write_text(json.dumps([ENTRY]))
    registry.load(path)
    path.unlink()
    return registry


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that any user can reach: those of ``tmp_path`` belong to one user alone."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user for whom permissions count: they do not for root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def at_calls(action: Callable[[str], None], *functions: Callable[..., Any]) -> Iterator[None]:
    """Do something just before one of these functions, which are written in C, is called; it gets the name."""

    def observe(_frame: Any, event: str, called: Any) -> None:
        if event == "c_call" and called in functions:
            action(called.__name__)

    before = sys.getprofile()
    sys.setprofile(observe)
    try:
        yield
    finally:
        sys.setprofile(before)


class TestSave:
    """What ``save`` writes."""

    def test_the_bytes(self, registry: ModelRegistry, path: Path) -> None:
        """A file is an indented JSON array of payload objects in UTF-8, readable as it stands, with a final newline."""
        registry.save(path)
        assert path.read_bytes() == WRITTEN.encode()
        assert os.listdir(path.parent) == [path.name]

    def test_the_same_bytes_for_the_same_entries(self, registry: ModelRegistry, tmp_path: Path) -> None:
        """Saving again, and saving what was loaded, gives the same bytes, in the order of registration."""
        for model_id in ("z", "a", "m"):
            registry.register(model_id, "N", "1", "low", "team", "test", aliases=["x-*"], metadata={"z": 1, "a": 2})
        registry.deprecate("a", reason="old")
        first, second, third = (tmp_path / name for name in ("1.json", "2.json", "3.json"))
        registry.save(first)
        registry.save(second)
        copy = ModelRegistry(auto_emit=False)
        copy.load(second)
        copy.save(third)
        assert first.read_bytes() == second.read_bytes() == third.read_bytes()
        assert [item["model_id"] for item in json.loads(first.read_bytes())] == ["gpt-4o", "z", "a", "m"]
        assert copy.list_all() == registry.list_all()

    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
    def test_the_bytes_do_not_depend_on_how_many_are_encoded_at_once(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, number: int
    ) -> None:
        """The file is one array, as if it were encoded at once, and it loads."""
        monkeypatch.setattr(json_entries, "ENCODE_CHUNK", 2)
        plain = [{**ENTRY, "model_id": f"m{i}"} for i in range(number)]
        registry = ModelRegistry(auto_emit=False)
        path.write_text(json.dumps(plain))
        registry.load(path)
        registry.save(path)
        assert path.read_text() == json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
        assert json_entries._is_as_written(path.read_bytes(), registry.list_all())
        registry.load(path)
        assert [entry.to_dict() for entry in registry] == plain

    def test_no_entries(self, path: Path) -> None:
        """An empty registry is an empty array, and loads as one."""
        ModelRegistry(auto_emit=False).save(path)
        assert path.read_bytes() == b"[]\n"
        other = ModelRegistry(auto_emit=False)
        other.register("m", "N", "1", "low", "team", "test")
        other.load(path)
        assert other.list_all() == []

    @pytest.mark.parametrize("kind", [str, Path])
    def test_kinds_of_path(self, registry: ModelRegistry, path: Path, kind: Callable[[Path], Any]) -> None:
        """A path may be text or a path object, also for loading."""
        registry.save(kind(path))
        before = registry.list_all()
        registry.clear()
        registry.load(kind(path))
        assert registry.list_all() == before

    def test_a_path_relative_to_the_working_directory(
        self, registry: ModelRegistry, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A bare file name is a file in the working directory."""
        monkeypatch.chdir(path.parent)
        registry.save("models.json")
        assert path.read_text() == WRITTEN
        registry.load("models.json")

    def test_missing_folders_are_made(self, registry: ModelRegistry, tmp_path: Path) -> None:
        """Parent folders that do not exist are made."""
        path = tmp_path / "a" / "b" / "models.json"
        registry.save(path)
        assert path.read_text() == WRITTEN

    @pytest.mark.parametrize("mode", [0o640, 0o600, 0o444, 0o666])
    def test_the_mode_is_kept(self, registry: ModelRegistry, path: Path, mode: int) -> None:
        """A file that is there already keeps its mode, whatever the umask."""
        path.write_text("[]")
        path.chmod(mode)
        registry.save(path)
        assert path.read_text() == WRITTEN
        assert stat.S_IMODE(path.stat().st_mode) == mode

    @pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
    def test_a_new_file_honours_the_umask(self, registry: ModelRegistry, path: Path, umask: int, mode: int) -> None:
        """A new file has the mode that the umask gives it."""
        before = os.umask(umask)
        try:
            registry.save(path)
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == mode

    def test_nobody_else_reads_it_while_it_is_written(self, registry: ModelRegistry, path: Path) -> None:
        """The content of a private file is never in one that others may read."""
        path.write_text("[]")
        path.chmod(0o600)
        private: list[bool] = []

        def note(_name: str) -> None:
            found = [item.stat() for item in path.parent.iterdir()]
            private.extend(not item.st_mode & 0o077 or item.st_size == 0 for item in found)

        with at_calls(note, os.chmod, os.fsync, os.replace):
            registry.save(path)
        assert all(private)
        assert len(private) >= 6

    @pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
    @pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
    def test_a_symbolic_link_stays(
        self, registry: ModelRegistry, tmp_path: Path, *, absolute: bool, there: bool
    ) -> None:
        """A link, also one to a link, still points where it did; the file that it stands for has the new content."""
        (tmp_path / "real").mkdir()
        target = tmp_path / "real" / "models.json"
        if there:
            target.write_text("[]")
            target.chmod(0o640)
        middle = tmp_path / "middle.json"
        middle.symlink_to(target if absolute else "real/models.json")
        link = tmp_path / "link.json"
        link.symlink_to("middle.json")
        registry.save(link)
        assert os.readlink(link) == "middle.json"
        assert middle.is_symlink()
        assert target.read_text() == WRITTEN
        assert not there or stat.S_IMODE(target.stat().st_mode) == 0o640
        assert sorted(os.listdir(tmp_path)) == ["link.json", "middle.json", "real"]
        assert os.listdir(target.parent) == ["models.json"]

    def test_the_new_file_takes_the_place_of_the_old_one(self, registry: ModelRegistry, path: Path) -> None:
        """Who has the old file open goes on reading the old content."""
        path.write_text("[]")
        with path.open() as old:
            registry.save(path)
            assert old.read() == "[]"

    def test_it_is_durable(self, registry: ModelRegistry, path: Path) -> None:
        """The content is synced before it takes the file's place, and the folder afterwards."""
        calls: list[tuple[str, list[str]]] = []

        def note(name: str) -> None:
            calls.append((name, sorted((item.read_text() for item in path.parent.iterdir()), key=len)))

        path.write_text("[]")
        with at_calls(note, os.fsync, os.replace):
            registry.save(path)
        assert calls == [("fsync", ["[]", WRITTEN]), ("replace", ["[]", WRITTEN]), ("fsync", [WRITTEN])]


class TestSaveFails:
    """What is left when a file cannot be written: the old one, and nothing else."""

    @pytest.mark.parametrize("function", [os.chmod, os.fsync, os.replace], ids=lambda function: function.__name__)
    @pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
    def test_at_any_step(
        self, registry: ModelRegistry, path: Path, function: Callable[..., Any], error: BaseException
    ) -> None:
        """Whatever step fails or is interrupted, the old file is untouched and no temporary one is left."""

        def fail(_name: str) -> None:
            raise error

        path.write_text("[]")
        expected = RegistryFileError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected), at_calls(fail, function):
            registry.save(path)
        assert path.read_text() == "[]"
        assert os.listdir(path.parent) == [path.name]

    def test_a_folder_that_cannot_be_synced(self, registry: ModelRegistry, path: Path) -> None:
        """When only the folder cannot be synced, the error says that the file is written all the same."""
        calls = []

        def fail(name: str) -> None:
            calls.append(name)
            if len(calls) > 1:
                raise OSError(5, "Input/output error")

        path.write_text("[]")
        said = "is written, but may not survive a power failure: its folder cannot be synced: Input/output error"
        with pytest.raises(RegistryFileError, match=said), at_calls(fail, os.fsync):
            registry.save(path)
        assert path.read_text() == WRITTEN
        assert os.listdir(path.parent) == [path.name]

    def test_the_disk_is_full(self, registry: ModelRegistry, path: Path) -> None:
        """When the new content does not fit, the error says so, and the old file stays."""
        path.write_text("[]")
        registry.register("big", "N", "1", "low", "team", "test", metadata={"pad": "x" * 50_000})
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
        try:
            with pytest.raises(RegistryFileError, match="cannot be written: File too large") as caught:
                registry.save(path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert (caught.value.path, caught.value.index) == (str(path), None)
        assert path.read_text() == "[]"
        assert os.listdir(path.parent) == [path.name]

    def test_a_folder_that_may_not_be_written(self, registry: ModelRegistry, open_folder: Path) -> None:
        """In a read-only folder the old file stays, though the file itself might be written."""
        path = open_folder / "models.json"
        path.write_text("[]")
        path.chmod(0o666)
        open_folder.chmod(0o555)
        with unprivileged(), pytest.raises(RegistryFileError, match="cannot be written: Permission denied"):
            registry.save(path)
        open_folder.chmod(0o755)
        assert path.read_text() == "[]"
        assert os.listdir(open_folder) == ["models.json"]

    def test_a_folder_that_may_not_be_listed(self, registry: ModelRegistry, open_folder: Path) -> None:
        """In a folder that cannot be opened for syncing, a save works, or says that it did not and changes nothing."""
        path = open_folder / "models.json"
        path.write_text("[]")
        open_folder.chmod(0o333)
        expected = WRITTEN
        with unprivileged():
            try:
                registry.save(path)
            except RegistryFileError:
                expected = "[]"
        open_folder.chmod(0o755)
        assert path.read_text() == expected

    @pytest.mark.parametrize("name", ["folder", "file/models.json", "loop", "with\0null"])
    def test_what_is_no_place_for_a_file(self, registry: ModelRegistry, tmp_path: Path, name: str) -> None:
        """A folder, a path through a file, a link to itself, a name that no file can have: one error, nothing left."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").write_text("kept")
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(RegistryFileError, match="cannot be written"):
            registry.save(f"{tmp_path}/{name}")
        assert sorted(os.listdir(tmp_path)) == ["file", "folder", "loop"]
        assert (tmp_path / "file").read_text() == "kept"
        assert os.listdir(tmp_path / "folder") == []

    def test_the_longest_name(self, registry: ModelRegistry, tmp_path: Path) -> None:
        """A file may have the longest name that the file system allows."""
        path = tmp_path / ("x" * 250 + ".json")
        registry.save(path)
        assert path.read_text() == WRITTEN


def changed(**values: Any) -> bytes:
    """Return a file of two entries whose second one differs from ``ENTRY`` in these fields; ``...`` leaves one out."""
    fields = {**ENTRY, "model_id": "b", **values}
    return json.dumps([ENTRY, {key: value for key, value in fields.items() if value is not ...}]).encode()


def with_text(text: bytes) -> bytes:
    """Return such a file whose second entry has this text as the value of a key of its metadata."""
    return changed(metadata={"x": "HERE"}).replace(b'"HERE"', text)


def record(**values: Any) -> dict[str, Any]:
    return {"at": "2024-05-13T08:00:00Z", "status": "active", "owner": "a", "risk_tier": "low", **values}


NOT_JSON = "is not valid JSON"
UNKNOWN = "is an unknown field; an entry has the fields model_id, name, version"
BadFile = tuple[bytes, str, "int | None", "str | None", "str | None"]
"""Content, what is wrong with it, and where: the entry's index, its id, the field."""

BAD_FILES: dict[str, BadFile] = {
    "empty": (b"", NOT_JSON, None, None, None),
    "blank": (b" \n", NOT_JSON, None, None, None),
    "byte order mark only": (b"\xef\xbb\xbf", NOT_JSON, None, None, None),
    "two byte order marks": (b"\xef\xbb\xbf\xef\xbb\xbf[]", NOT_JSON, None, None, None),
    "more than one value": (b"[] []", NOT_JSON, None, None, None),
    "a comma too many": (b"[" + json.dumps(ENTRY).encode() + b",]", NOT_JSON, None, None, None),
    "single quotes": (b"[{'model_id': 'a'}]", NOT_JSON, None, None, None),
    "a comment": (b"[] // none", NOT_JSON, None, None, None),
    "UTF-16": (json.dumps([ENTRY]).encode("utf-16"), NOT_JSON, None, None, None),
    "UTF-16 without mark": (json.dumps([ENTRY]).encode("utf-16-le"), NOT_JSON, None, None, None),
    "Latin-1": (changed(owner="Zürich").replace(rb"\u00fc", b"\xfc"), NOT_JSON, None, None, None),
    "surrogate bytes": (changed(owner="OWNER").replace(b"OWNER", b"\xed\xa0\x80"), NOT_JSON, None, None, None),
    "control character": (changed(owner="OWNER").replace(b"OWNER", b"a\nb"), NOT_JSON, None, None, None),
    "null": (b"null", "must be a JSON array of entries; got null", None, None, None),
    "object": (json.dumps(ENTRY).encode(), "must be a JSON array of entries; got a mapping", None, None, None),
    "text": (b'"models"', "must be a JSON array of entries; got text", None, None, None),
    "entry is null": (b"[null]", "must be a mapping; got null", 0, None, None),
    "entry is an array": (b"[[]]", "must be a mapping; got a list", 0, None, None),
    "id is missing": (changed(model_id=...), "is missing", 1, None, "model_id"),
    "owner is missing": (changed(owner=...), "is missing", 1, "b", "owner"),
    "owner is empty": (changed(owner=""), "must be text that is not blank", 1, "b", "owner"),
    "owner is null": (changed(owner=None), "must be text that is not blank", 1, "b", "owner"),
    "id is a number": (changed(model_id=5), "must be text that is not blank", 1, None, "model_id"),
    "unknown field": (changed(ownr="x"), UNKNOWN, 1, "b", "ownr"),
    "unknown field of one": (b'[{"x": 1}]', UNKNOWN, 0, None, "x"),
    "tier": (changed(risk_tier="extreme"), "must be one of low, medium, high, critical", 1, "b", "risk_tier"),
    "tier is a list": (changed(risk_tier=["low"]), "must be one of low", 1, "b", "risk_tier"),
    "status": (changed(status="Active"), f"must be one of {', '.join(STATUSES)}", 1, "b", "status"),
    "status is null": (changed(status=None), "must be one of active", 1, "b", "status"),
    "date": (changed(deployment_date="May 2024"), "must be an RFC 3339 date", 1, "b", "deployment_date"),
    "date is a number": (changed(decommission_date=1715587200), "RFC 3339", 1, "b", "decommission_date"),
    "metadata is null": (changed(metadata=None), "must be a mapping with string keys", 1, "b", "metadata"),
    "metadata is a list": (changed(metadata=[]), "must be a mapping with string keys", 1, "b", "metadata"),
    "empty key": (changed(metadata={"": 1}), "must be a string that is not empty", 1, "b", "metadata key"),
    "NaN": (changed(metadata={"x": float("nan")}), "NaN is not a JSON number", None, None, None),
    "Infinity": (changed(metadata={"x": float("inf")}), "Infinity is not a JSON number", None, None, None),
    "-Infinity": (changed(metadata={"x": -float("inf")}), "-Infinity is not a JSON number", None, None, None),
    "1e999": (with_text(b"[0, 1e999]"), "a finite number", 1, "b", "metadata.x[1]"),
    "65 bits": (changed(metadata={"x": 2**63}), "must be an integer of 64 bits", 1, "b", "metadata.x"),
    "-65 bits": (changed(metadata={"x": -(2**63) - 1}), "must be an integer of 64 bits", 1, "b", "metadata.x"),
    "many digits": (with_text(b"7" * 4000), "64 bits", 1, "b", "metadata.x"),
    "surrogate": (changed(owner="\ud800"), "without lone surrogates; got '\\\\ud800'", 1, "b", "owner"),
    "surrogate in metadata": (changed(metadata={"x": {"y": "\udfff"}}), "surrogates", 1, "b", "metadata.x.y"),
    "surrogate as key": (changed(metadata={"\ud800": 1}), "surrogates", 1, "b", "metadata key"),
    "surrogate as field": (changed(**{"\ud800": 1}), UNKNOWN, 1, "b", "\ud800"),
    "surrogate as id": (changed(model_id="\udc00"), "surrogates", 1, "\udc00", "model_id"),
    "alias": (changed(metadata={"aliases": ["a", ""]}), "must be a name or glob", 1, "b", "metadata.aliases[1]"),
    "aliases": (changed(metadata={"aliases": "a"}), "must be a list", 1, "b", "metadata.aliases"),
    "provider": (changed(metadata={"provider": 1}), "must be text", 1, "b", "metadata.provider"),
    "sunset": (changed(metadata={"sunset_date": "soon"}), "RFC 3339", 1, "b", "metadata.sunset_date"),
    "history": (changed(metadata={"history": {}}), "must be a list", 1, "b", "metadata.history"),
    "record": (changed(metadata={"history": [{}]}), "must be a mapping with at, status", 1, "b", "metadata.history[0]"),
    "record's date": (
        changed(metadata={"history": [record(), record(at="")]}),
        "RFC 3339",
        1,
        "b",
        "metadata.history[1].at",
    ),
    "record's tier": (
        changed(metadata={"history": [record(risk_tier="x")]}),
        "must be one of low",
        1,
        "b",
        "metadata.history[0].risk_tier",
    ),
    "deep metadata": (
        with_text(b"[" * 17 + b"]" * 17),
        "is nested more than 16 levels deep",
        1,
        "b",
        "metadata.x" + "[0]" * 16,
    ),
    "too much": (
        changed(metadata={"x": "y" * 70_000}),
        "is too large: at most 65,536 characters and values in total",
        1,
        "b",
        "metadata",
    ),
    "history out of order at once": (
        changed(metadata={"history": [record(), record(at="2020-01-01")]}),
        "must be no earlier than that of the record before, ",
        1,
        "b",
        "metadata.history[1].at",
    ),
    "history out of order": (
        changed(metadata={"history": [record(), record(at="2026-01-01"), record(at="2026-01-01T00:30:00+01:00")]}),
        "must be no earlier than that of the record before, 2026-01-01",
        1,
        "b",
        "metadata.history[2].at",
    ),
    "a key twice": (with_text(b'[{}, {"y": 1, "y": 1}]'), "duplicate key 'y'", 1, "b", "metadata.x[1].y"),
    "an id twice": (
        json.dumps([ENTRY, {**ENTRY, "model_id": "b"}, ENTRY]).encode(),
        "must be unique; entry 0 has it too",
        2,
        "gpt-4o",
        "model_id",
    ),
}


class TestLoadFails:
    """What ``load`` says of a file that is not right; the registry stays as it was."""

    @pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES)
    def test_it_says_what_is_wrong_and_where(self, registry: ModelRegistry, path: Path, bad: BadFile) -> None:
        """The error names the file and, where there is one, the entry's index, its id and the field."""
        content, reason, index, model_id, field = bad
        before = registry.list_all()
        path.write_bytes(content)
        with pytest.raises(RegistryFileError, match=reason) as caught:
            registry.load(path)
        error = caught.value
        assert (error.path, error.index, error.model_id, error.field) == (str(path), index, model_id, field)
        sentence = str(error)
        assert sentence.startswith(str(path))
        assert index is None or f", entry {index}" in sentence
        assert model_id is None or f", model {model_id!r}" in sentence
        assert field is None or f", field {field!r}" in sentence
        assert len(sentence) < len(str(path)) + 600
        sentence.encode()
        assert isinstance(error, ValueError)
        assert all(entry is old for entry, old in zip(registry, before, strict=True))
        assert registry.resolve("gpt-4o").entry is before[0]

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            (b"", ", line 1, column 1: is not valid JSON: Expecting value"),
            (b'[\n  {"name": "\xc3\xa9" x}]', ", line 2, column 16: is not valid JSON: Expecting ',' delimiter"),
            (b"[] []", ", line 1, column 4: is not valid JSON: Extra data"),
        ],
    )
    def test_it_says_in_which_line(self, registry: ModelRegistry, path: Path, content: bytes, sentence: str) -> None:
        """Of a file that is no JSON, the error has line and column."""
        path.write_bytes(content)
        with pytest.raises(RegistryFileError) as caught:
            registry.load(path)
        assert str(caught.value) == f"{path}{sentence}"
        assert f", line {caught.value.line}, column {caught.value.column}: " in sentence

    DUPLICATES = (
        '[{%s, "owner": "a"}]',
        '[{%s,"owner":"ml-platform"}]',
        '[{%s, "own\\u0065r": "a"}]',
        '[{%s , \n "owner" \t : \r "a"}]',
        '[{"model_id": "x", %s}]',
        '[{%s, "metadata": {"x": 1, "x": 1}}]',
        '[{%s, "metadata": {"x": 1, "\\u0078" : 2}}]',
        '[{%s, "metadata": {"x\\\\": 1, "y": 2, "x\\\\" : 3}}]',
        '[{%s, "metadata": {"x\\"": ":", "x\\"":":"}}]',
        '[{%s, "metadata": {"a": ":b", "a":":\\",\\"c\\":"}}]',
        '[{%s, "metadata": {"a": [{"b": {}}, {"b": {"c": 1, "c": {}}}]}}]',
        '[{%s, "metadata": {"aliases": ["a"], "aliases": ["a"]}}]',
        '[{%s, "metadata": {}, "metadata": {}}]',
        '[{%s, "status": "active", "status": "retired"}]',
        '[{%s, "unknown": 1, "unknown": 2}]',
        '[{%s, "metadata": {"history": [{"at": "2024-05-13", "at": "2024-05-13"}]}}]',
        '[{%s, "metadata": {"\u00e9": 1, "\\u00e9": 2}}]',
    )

    @pytest.mark.parametrize("layout", [None, 2], ids=["as it is", "indented"])
    @pytest.mark.parametrize("text", DUPLICATES)
    def test_a_key_that_stands_twice(self, registry: ModelRegistry, path: Path, text: str, layout: int | None) -> None:
        """A key that an object has twice is an error, wherever it is and however it is spelt: one would get lost."""
        required = {key: ENTRY[key] for key in ("model_id", "name", "version", "risk_tier", "owner", "purpose")}
        text %= json.dumps(required, indent=layout)[1:-1]
        before = registry.list_all()
        path.write_text(text)
        with pytest.raises(RegistryFileError, match="duplicate key"):
            registry.load(path)
        assert registry.list_all() == before

    @pytest.mark.parametrize("key", ["model_id", "owner", "status", "metadata", "tags", "nothing"])
    @pytest.mark.parametrize("index", [0, 1, 2, 3, 4])
    def test_a_key_that_stands_twice_in_a_file_as_it_is_saved(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, index: int, key: str
    ) -> None:
        """A line that stands twice is found, in whichever entry it is and though all else is as ``save`` writes it."""
        monkeypatch.setattr(json_entries, "ENCODE_CHUNK", 2)
        saved = [json.dumps({**ENTRY, "model_id": f"m{i}"}, indent=2, ensure_ascii=False) for i in range(5)]
        other = "{}" if key in ("metadata", "nothing") else '"x"'
        saved[index] = re.sub(f'( *"{key}": )', rf"\1{other},\n\1", saved[index])
        content = "[\n" + ",\n".join(saved) + "\n]"
        path.write_text("\n".join(f"  {line}" if line not in "[]" else line for line in content.split("\n")) + "\n")
        with pytest.raises(RegistryFileError, match="duplicate key") as caught:
            ModelRegistry(auto_emit=False).load(path)
        assert caught.value.index == index

    def test_a_key_that_stands_twice_in_a_file_of_the_same_length(self, path: Path) -> None:
        """That a file has as many bytes as ``save`` would write does not mean that it has nothing else in it."""
        twice = '    "owner": "nobody",\n'
        content = WRITTEN.replace('    "owner"', twice + '    "owner"').replace("  ", "", len(twice) // 2)
        content = content.removesuffix("\n" * (len(twice) % 2))
        assert len(content) == len(WRITTEN)
        path.write_text(content)
        with pytest.raises(RegistryFileError, match="duplicate key"):
            ModelRegistry(auto_emit=False).load(path)

    def test_cut_off_at_any_byte(self, registry: ModelRegistry, path: Path) -> None:
        """A file that ends too early never loads."""
        before = registry.list_all()
        content = WRITTEN.encode()
        for length in range(len(content) - 1):
            path.write_bytes(content[:length])
            with pytest.raises(RegistryFileError, match=NOT_JSON):
                registry.load(path)
        assert registry.list_all() == before

    @pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
    @pytest.mark.parametrize("depth", [1_000, 200_000])
    @pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
    def test_nested_too_deeply(
        self, registry: ModelRegistry, path: Path, opening: str, depth: int, *, closed: bool
    ) -> None:
        """Any depth of nesting is an error of the file, in the metadata as elsewhere, and never one of the program."""
        closing = {"[": "]", "{": "}"}
        text = opening * depth
        if closed:
            text += "1" + "".join(closing[letter] for letter in reversed(opening) if letter in closing) * depth
        for content in (text, with_text(text.encode()).decode()):
            path.write_text(content)
            with pytest.raises(RegistryFileError):
                registry.load(path)

    def test_more_digits_than_python_reads(self, registry: ModelRegistry, path: Path) -> None:
        """A number of very many digits is an error of the file too."""
        for digits in (b"7" * 5_000, b"-" + b"7" * 100_000, b"7" * 400 + b".5"):
            path.write_bytes(with_text(digits))
            with pytest.raises(RegistryFileError):
                registry.load(path)

    def test_larger_than_the_limit(self, registry: ModelRegistry, path: Path) -> None:
        """A file beyond the limit is refused before it is parsed."""
        before = registry.list_all()
        with path.open("wb") as file:
            file.truncate(MAX_FILE_SIZE + 1)
        with pytest.raises(RegistryFileError, match=f"is larger than {MAX_FILE_SIZE:,} bytes"):
            registry.load(path)
        assert registry.list_all() == before

    @pytest.mark.parametrize("name", ["models.json", "no/such/folder.json", "broken"])
    def test_no_such_file(self, registry: ModelRegistry, tmp_path: Path, name: str) -> None:
        """A file that is not there is also a FileNotFoundError, with the system's facts."""
        (tmp_path / "broken").symlink_to("nowhere")
        before = registry.list_all()
        with pytest.raises(RegistryFileNotFoundError, match="no such file") as caught:
            registry.load(tmp_path / name)
        assert isinstance(caught.value, FileNotFoundError)
        assert isinstance(caught.value, RegistryFileError)
        assert (caught.value.path, caught.value.filename, caught.value.errno) == (
            str(tmp_path / name),
            str(tmp_path / name),
            2,
        )
        assert registry.list_all() == before

    @pytest.mark.parametrize("name", ["folder", "file/models.json", "loop", "with\0null", "x" * 300])
    def test_what_is_no_file(self, registry: ModelRegistry, tmp_path: Path, name: str) -> None:
        """A folder, a path through a file, a link to itself, a name that no file can have: the one error."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "file").write_text("[]")
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(RegistryFileError, match="cannot be read") as caught:
            registry.load(f"{tmp_path}/{name}")
        assert not isinstance(caught.value, FileNotFoundError)
        assert caught.value.path == f"{tmp_path}/{name}"

    @pytest.mark.parametrize("target", ["folder", "folder/models.json"])
    def test_without_permission(self, registry: ModelRegistry, open_folder: Path, target: str) -> None:
        """A file that may not be read, or is in a folder that may not be entered, is the one error."""
        path = open_folder / "folder" / "models.json"
        path.parent.mkdir()
        path.write_text("[]")
        (open_folder / target).chmod(0)
        try:
            with unprivileged(), pytest.raises(RegistryFileError, match="cannot be read: Permission denied"):
                registry.load(path)
        finally:
            (open_folder / target).chmod(0o755)
        assert len(registry) == 1


class TestLoad:
    """What ``load`` takes."""

    @pytest.mark.parametrize(
        "content",
        [
            b"\xef\xbb\xbf" + WRITTEN.encode(),
            WRITTEN.replace("\n", "\r\n").encode(),
            json.dumps([ENTRY]).encode(),
            json.dumps([dict(reversed(list(ENTRY.items())))], indent="\t").encode(),
            WRITTEN.replace('"name"', '"n\\u0061me"').replace("ml-platform", "ml\\u002dplatform").encode(),
            b" \n\t" + json.dumps([ENTRY], separators=(" , ", " :\r\n")).encode() + b"  ",
        ],
        ids=["byte order mark", "CRLF", "ASCII", "other order", "escapes", "white space"],
    )
    def test_any_way_of_writing_it(self, registry: ModelRegistry, path: Path, content: bytes) -> None:
        """Layout, order of fields, escapes and a byte order mark do not matter: hand-written files load."""
        before = registry.list_all()
        path.write_bytes(content)
        registry.load(path)
        assert registry.list_all() == before
        registry.save(path)
        assert path.read_text() == WRITTEN

    def test_a_pipe(self, path: Path) -> None:
        """What a shell's process substitution gives loads as a file does."""
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_text, args=(WRITTEN,))
        writer.start()
        registry = ModelRegistry(auto_emit=False)
        registry.load(path)
        writer.join()
        assert len(registry) == 1

    def test_what_may_be_left_out(self, registry: ModelRegistry, path: Path) -> None:
        """The optional fields may be missing: a hand-written file needs six."""
        required = {key: ENTRY[key] for key in ("model_id", "name", "version", "risk_tier", "owner", "purpose")}
        path.write_text(json.dumps([required]))
        registry.load(path)
        assert registry.list_all() == [ModelRegistryEntry(**required)]

    def test_it_replaces_everything(self, registry: ModelRegistry, path: Path) -> None:
        """What was there is gone, with its aliases; what is in the file is there, in the file's order."""
        old = ModelRegistry(auto_emit=False)
        old.register("gone", "N", "1", "low", "team", "test", aliases=["alias", "glob-*"])
        for model_id in ("b", "a"):
            registry.register(model_id, "N", "1", "low", "team", "test", aliases=[f"{model_id}-*", f"my {model_id}"])
        registry.save(path)
        old.load(path)
        assert [entry.model_id for entry in old] == ["gpt-4o", "b", "a"]
        assert [old.resolve(name).rule for name in ("gone", "alias", "glob-1")] == [None, None, None]
        assert [old.resolve(name).rule for name in ("a", "my a", "a-1")] == ["id", "alias", "glob"]

    def test_numbers_stay_what_they_are(self, registry: ModelRegistry, path: Path) -> None:
        """Integers stay integers, floats floats and booleans booleans, up to the limits of 64 bits."""
        numbers = [0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1, 1.0, -0.0, 0.1, 1e300, 5e-324, True, False]
        registry.register("n", "N", "1", "low", "team", "test", metadata={"x": numbers})
        registry.save(path)
        registry.load(path)
        entry = registry.get("n")
        assert entry is not None
        assert [repr(number) for number in entry.metadata["x"]] == [repr(number) for number in numbers]

    def test_the_longest_number_that_loads(self, registry: ModelRegistry, path: Path) -> None:
        """Digits beyond what a float holds are rounded, as in every JSON reader."""
        path.write_bytes(with_text(b"0." + b"1" * 5_000))
        registry.load(path)
        entry = registry.get("b")
        assert entry is not None
        assert entry.metadata["x"] == 0.1111111111111111

    def test_what_the_pypi_package_writes(self, registry: ModelRegistry, path: Path) -> None:
        """A file as the PyPI package spanforge writes it loads."""
        written = {
            **ENTRY,
            "status": "retired",
            "deployment_date": "2026-05-13T08:00:00.123456Z",
            "decommission_date": "2026-06-01T00:00:00.000000Z",
            "metadata": {"deprecation_reason": "alt, überholt"},
        }
        path.write_text(json.dumps([written], indent=2, default=str))
        registry.load(path)
        (entry,) = registry
        assert entry.to_dict() == written
        assert entry.warnings == ("model 'gpt-4o' is retired",)

    def test_operations_go_on_from_there(self, registry: ModelRegistry, path: Path) -> None:
        """A loaded entry goes on with its lifecycle, and its history with it."""
        registry.register("m", "N", "1", "low", "team", "test")
        registry.deprecate("m", reason="old", sunset_date="2099-01-01")
        registry.save(path)
        later = ModelRegistry(auto_emit=False)
        later.load(path)
        entry = later.retire("m")
        assert [item["status"] for item in entry.metadata["history"]] == ["active", "deprecated", "retired"]
        assert entry.metadata["sunset_date"] == "2099-01-01"

    def test_the_history_goes_on_after_the_clock_of_another_machine(self, registry: ModelRegistry, path: Path) -> None:
        """An operation comes after what is in the file, even when that was written by a clock that is ahead."""
        ahead = [record(at="2999-01-01T00:00:00Z"), record(at="2999-01-01T00:00:01Z", status="deprecated")]
        path.write_bytes(changed(status="deprecated", metadata={"history": ahead}))
        registry.load(path)
        entry = registry.retire("b")
        moments = [parse_date(item["at"], "at") for item in entry.metadata["history"]]
        assert moments == sorted(set(moments))
        state = entry.as_of("3000-01-01")
        assert state is not None
        assert state.status == "retired"

    def test_entries_are_checked_not_trusted(self, registry: ModelRegistry, path: Path) -> None:
        """What was loaded is as immutable as what was registered."""
        path.write_text(WRITTEN)
        registry.load(path)
        (entry,) = registry
        with pytest.raises(TypeError, match="immutable"):
            entry.metadata["tags"].append("c")
        with pytest.raises(AttributeError):
            entry.owner = "other"  # type: ignore[misc]
        with pytest.raises(InvalidEntryError):
            ModelRegistryEntry.from_dict({**entry.to_dict(), "owner": ""})

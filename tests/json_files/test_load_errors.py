"""Invalid registry files in JSON and their errors. The registry stays as it was."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.json_files import ENTRY, WRITTEN, changed, with_text
from support.permissions import without_privileges
from support.registry_files import refused

from spanforge.model_registry import ModelRegistry, RegistryFileError, RegistryFileNotFoundError
from spanforge.model_registry._core import json_entries
from spanforge.model_registry._core.settings import MAX_FILE_SIZE

if TYPE_CHECKING:
    from pathlib import Path


ONE_LIST = "several entries must be in one list, with commas between them"
NOT_JSON = "is not valid JSON"
UNKNOWN = "is unknown; keys of your own belong in metadata; the fields are model_id, name, version"
NOT_JSON_FILES = {
    "empty": b"",
    "blank": b" \n",
    "byte order mark only": b"\xef\xbb\xbf",
    "two byte order marks": b"\xef\xbb\xbf\xef\xbb\xbf[]",
    "more than one value": b"[] []",
    "a comma too many": b"[" + json.dumps(ENTRY).encode() + b",]",
    "single quotes": b"[{'model_id': 'a'}]",
    "a comment": b"[] // none",
    "UTF-16 cut off": json.dumps([ENTRY]).encode("utf-16")[:-1],
    "UTF-16 without mark": json.dumps([ENTRY]).encode("utf-16-le"),
    "Latin-1": changed(owner="Zürich").replace(rb"\u00fc", b"\xfc"),
    "surrogate bytes": changed(owner="OWNER").replace(b"OWNER", b"\xed\xa0\x80"),
    "control character": changed(owner="OWNER").replace(b"OWNER", b"a\nb"),
}


class BadFile(NamedTuple):
    """An invalid file: its content, the reason, and the invalid field with the index and the id of its entry."""

    content: bytes
    reason: str
    field: str | None
    index: int | None = 1
    model_id: str | None = "b"


BAD_FILES: dict[str, tuple[Any, ...]] = {
    **{name: (content, NOT_JSON, None, None, None) for name, content in NOT_JSON_FILES.items()},
    "null": (b"null", "must be a JSON array of entries; got null", None, None, None),
    "object": (json.dumps(ENTRY).encode(), "must be a JSON array of entries; got a mapping", None, None, None),
    "text": (b'"models"', "must be a JSON array of entries; got text", None, None, None),
    "entry is null": (b"[null]", "must be a mapping; got null", None, 0, None),
    "entry is an array": (b"[[]]", "must be a mapping; got a list", None, 0, None),
    "id is missing": (changed(model_id=...), "is missing", "model_id", 1, None),
    "owner is missing": (changed(owner=...), "is missing", "owner"),
    "id is a number": (changed(model_id=5), "must be text that is not blank", "model_id", 1, None),
    "unknown field": (changed(ownr="x"), r"is unknown; did you mean owner\?", "ownr"),
    "unknown field of one": (b'[{"x": 1}]', UNKNOWN, "x", 0, None),
    "NaN": (changed(metadata={"x": float("nan")}), "NaN is not a JSON number", None, None, None),
    "Infinity": (changed(metadata={"x": float("inf")}), "Infinity is not a JSON number", None, None, None),
    "-Infinity": (changed(metadata={"x": -float("inf")}), "-Infinity is not a JSON number", None, None, None),
    "1e999": (with_text(b"[0, 1e999]"), "a finite number", "metadata.x[1]"),
    "65 bits": (changed(metadata={"x": 2**63}), "must be an integer of 64 bits", "metadata.x"),
    "many digits": (with_text(b"7" * 4000), "64 bits", "metadata.x"),
    "surrogate": (changed(owner="\ud800"), "without lone surrogates; got '\\\\ud800'", "owner"),
    "surrogate in metadata": (changed(metadata={"x": {"y": "\udfff"}}), "surrogates", "metadata.x.y"),
    "surrogate as key": (changed(metadata={"\ud800": 1}), "surrogates", "metadata key"),
    "surrogate as field": (changed(**{"\ud800": 1}), UNKNOWN, "\ud800"),
    "surrogate as id": (changed(model_id="\udc00"), "surrogates", "model_id", 1, "\udc00"),
    "a key twice": (with_text(b'[{}, {"y": 1, "y": 1}]'), "duplicate key 'y'", "metadata.x[1].y"),
    "an id twice": (
        json.dumps([ENTRY, {**ENTRY, "model_id": "b"}, ENTRY]).encode(),
        "must be unique; line 1 has it too",
        "model_id",
        2,
        "gpt-4o",
    ),
}


@pytest.mark.parametrize("bad", BAD_FILES.values(), ids=BAD_FILES)
def test_invalid_file(path: Path, bad: tuple[Any, ...]) -> None:
    """The error has the path, and index, id and field of the invalid entry."""
    content, reason, field, index, model_id = BadFile(*bad)
    error = refused(path, content)
    assert (error.path, error.index, error.model_id, error.field) == (str(path), index, model_id, field)
    sentence = str(error)
    assert re.search(reason, sentence)
    assert sentence.startswith(str(path))
    assert (f", entry {index}" in sentence) is (index is not None and error.line is None)
    assert model_id is None or f", model {model_id!r}" in sentence
    assert field is None or f", field {field!r}" in sentence
    assert len(sentence) < len(str(path)) + 600
    sentence.encode()
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", ", line 1, column 1: is not valid JSON: Expecting value; the file is empty"),
        (b'[\n  {"name": "\xc3\xa9" x}]', ", line 2, column 16: is not valid JSON: Expecting ',' delimiter"),
        (
            b"[] []",
            f", line 1, column 4: is not valid JSON: Extra data; {ONE_LIST}",
        ),
    ],
)
def test_line_and_column(path: Path, content: bytes, sentence: str) -> None:
    """The error about text that is not JSON has line and column."""
    error = refused(path, content)
    assert str(error) == f"{path}{sentence}"
    assert f", line {error.line}, column {error.column}: " in sentence


@pytest.mark.parametrize("key", ["model_id", "owner", "status", "metadata", "tags", "nothing"])
@pytest.mark.parametrize("index", [0, 1, 2, 3, 4])
def test_duplicate_key_in_a_saved_file(path: Path, monkeypatch: pytest.MonkeyPatch, index: int, key: str) -> None:
    """A duplicate line is found in any entry of a file that ``save`` wrote."""
    monkeypatch.setattr(json_entries, "ENCODE_CHUNK", 2)
    saved = [json.dumps({**ENTRY, "model_id": f"m{i}"}, indent=2, ensure_ascii=False) for i in range(5)]
    other = "{}" if key in ("metadata", "nothing") else '"x"'
    saved[index] = re.sub(f'( *"{key}": )', rf"\1{other},\n\1", saved[index])
    lines = ("[\n" + ",\n".join(saved) + "\n]").split("\n")
    error = refused(path, "\n".join(f"  {line}" if line not in "[]" else line for line in lines) + "\n")
    assert "duplicate key" in str(error)
    assert error.index == index


def test_duplicate_key_in_a_file_of_the_saved_length(path: Path) -> None:
    """A duplicate key is found in a file that is as long as the saved one."""
    twice = '    "owner": "nobody",\n'
    content = WRITTEN.replace('    "owner"', twice + '    "owner"').replace("  ", "", len(twice) // 2)
    content = content.removesuffix("\n" * (len(twice) % 2))
    assert len(content) == len(WRITTEN)
    assert "duplicate key" in str(refused(path, content))


@pytest.mark.slow
def test_truncated_file(path: Path) -> None:
    """A file that ends too early never loads."""
    content = WRITTEN.encode()
    for length in range(len(content) - 1):
        assert NOT_JSON in refused(path, content[:length]).reason


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("depth", [1_000, 200_000])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_deep_nesting(path: Path, opening: str, depth: int, *, closed: bool) -> None:
    """Nesting of any depth is an error of the file."""
    closing = {"[": "]", "{": "}"}
    text = opening * depth
    if closed:
        text += "1" + "".join(closing[letter] for letter in reversed(opening) if letter in closing) * depth
    refused(path, text)
    refused(path, with_text(text.encode()))


@pytest.mark.parametrize("digits", [b"7" * 5_000, b"-" + b"7" * 100_000, b"7" * 400 + b".5"], ids=len)
def test_very_long_numbers(path: Path, digits: bytes) -> None:
    """A number with very many digits is an error of the file."""
    refused(path, with_text(digits))


def test_too_large_file(registry: ModelRegistry, path: Path) -> None:
    """A file above the limit is refused before it is parsed."""
    before = registry.list_all()
    with path.open("wb") as file:
        file.truncate(MAX_FILE_SIZE.default + 1)
    with pytest.raises(
        RegistryFileError,
        match=f"is larger than {MAX_FILE_SIZE.default:,} bytes; to read it, raise {MAX_FILE_SIZE.variable}",
    ):
        registry.load(path)
    assert registry.list_all() == before


@pytest.mark.parametrize("name", ["models.json", "no/such/folder.json", "broken"])
def test_missing_file(registry: ModelRegistry, tmp_path: Path, name: str) -> None:
    """A missing file is also a ``FileNotFoundError`` with errno and filename."""
    (tmp_path / "broken").symlink_to("nowhere")
    before = registry.list_all()
    with pytest.raises(RegistryFileNotFoundError, match="no such file") as caught:
        registry.load(tmp_path / name)
    error = caught.value
    assert isinstance(error, FileNotFoundError)
    assert isinstance(error, RegistryFileError)
    assert (error.path, error.filename, error.errno) == (str(tmp_path / name), str(tmp_path / name), 2)
    assert registry.list_all() == before


@pytest.mark.parametrize("name", ["folder", "file/models.json", "loop", "with\0null", "x" * 300])
def test_impossible_path(registry: ModelRegistry, tmp_path: Path, name: str) -> None:
    """A path at which no file can be is an error that is not a ``FileNotFoundError``."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("[]")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(RegistryFileError, match="cannot be read") as caught:
        registry.load(f"{tmp_path}/{name}")
    assert not isinstance(caught.value, FileNotFoundError)
    assert caught.value.path == f"{tmp_path}/{name}"


@pytest.mark.parametrize("target", ["folder", "folder/models.json"])
def test_file_without_permission(registry: ModelRegistry, open_folder: Path, target: str) -> None:
    """A file that may not be read, or whose folder may not be entered, is an error."""
    path = open_folder / "folder" / "models.json"
    path.parent.mkdir()
    path.write_text("[]")
    (open_folder / target).chmod(0)
    try:
        with without_privileges(), pytest.raises(RegistryFileError, match="cannot be read: Permission denied"):
            registry.load(path)
    finally:
        (open_folder / target).chmod(0o755)
    assert len(registry) == 1

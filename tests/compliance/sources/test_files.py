"""Files of telemetry: compression, damage, limits, globs and short names."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.evidence import limit_peak_memory

from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError
from spanforge.model_registry.compliance._sources import compressed, json_texts, layouts
from spanforge.model_registry.compliance._sources.files import FileReader, TelemetryReader, expand_paths, shorten_paths
from spanforge.model_registry.compliance._sources.wrong_files import SHOWN_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

LINES = [b'{"resourceSpans":[%d]}' % number for number in range(50)]
PLAIN = b"".join(line + b"\n" for line in LINES)


def framed(*requests: bytes) -> bytes:
    """Return requests as the Collector compresses them: the size of each, then the request."""
    return b"".join(len(data).to_bytes(4, "big") + data for data in map(zstd.compress, requests))


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "zst": zstd.compress,
    "frames": lambda content: framed(*content.splitlines()),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a file that is not there yet."""
    return tmp_path / "spans.jsonl"


def read(path: Path, content: bytes) -> tuple[list[bytes], list[str]]:
    """Return the lines and the limits of a file with such content; size and digest must be its own."""
    path.write_bytes(content)
    reader = FileReader(str(path))
    try:
        lines = list(reader.requests())
    except TelemetryError as error:
        return [], [error.reason.removeprefix("has no readable request: ")]
    assert (reader.size, reader.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    return lines, reader.limits


def sums(parts: Iterable[bytes]) -> set[int]:
    return set(itertools.accumulate(map(len, parts), initial=0))


WHOLE = {
    "plain": sums(PLAIN.splitlines(keepends=True)) | {end - 1 for end in sums(PLAIN.splitlines(keepends=True))},
    "gz": {0, len(gzip.compress(PLAIN))},
    "zst": {0, len(zstd.compress(PLAIN))},
    "frames": sums(map(framed, LINES)),
}
"""How much of a file looks whole."""


@pytest.mark.parametrize("form", COMPRESS)
def test_cut_off_files(path: Path, form: str) -> None:
    """The lines before the end of a file that is cut off are read, and the cut is a limit or a partial line."""
    content = COMPRESS[form](PLAIN)
    for length in {*range(0, len(content), 10), *range(12), *range(len(content) - 12, len(content) + 1)}:
        lines, limits = read(path, content[:length])
        known = lines if set(lines) <= set(LINES) else lines[:-1]
        assert known == LINES[: len(known)]
        assert bool(limits or known != lines) == (length not in WHOLE[form])


def test_lines_before_a_cut_are_read(path: Path) -> None:
    """All data before a cut is decompressed."""
    lines = [
        b'{"resourceSpans":["%b"]}' % hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(2_000)
    ]
    content = gzip.compress(b"\n".join(lines))
    found, limits = read(path, content[: len(content) // 2])
    assert len(lines) * 0.45 < len(found) < len(lines) * 0.55
    assert found[:-1] == lines[: len(found) - 1]
    assert len(limits) == 1
    assert limits[0].startswith("the compressed data ends early or is damaged: ")
    found, limits = read(path, content[:-8])  # without the checksum
    assert found == lines
    assert len(limits) == 1


@pytest.mark.parametrize("form", ["gz", "zst"])
def test_concatenated_files_are_read_to_the_end(path: Path, form: str) -> None:
    """All members of a file are read, also a line that begins in one and ends in the next."""
    half = len(PLAIN) // 2
    parts = [PLAIN[:half], b"", PLAIN[half:]]
    assert read(path, b"".join(map(COMPRESS[form], parts))) == (LINES, [])


@pytest.mark.parametrize("form", ["gz", "zst"])
@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f\x8b garbage", b"\x28\xb5\x2f\xfd garbage"])
def test_garbage_after_compressed_data_is_a_limit(path: Path, form: str, garbage: bytes) -> None:
    """Lines before other data are read, and the other data is a limit."""
    lines, limits = read(path, COMPRESS[form](PLAIN) + garbage)
    assert lines == LINES
    assert [limit.split(":")[0] for limit in limits] == ["the compressed data ends early or is damaged"]


@pytest.mark.parametrize("form", ["gz", "zst", "frames"])
def test_damaged_bytes_are_noticed(path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A changed byte is a limit or changes lines; size and digest are those of the file."""
    monkeypatch.setattr(compressed, "_CHUNK", 16)
    content = COMPRESS[form](PLAIN)
    noticed = 0
    for place in range(10, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        lines, limits = read(path, bytes(damaged))
        noticed += bool(limits) or lines != LINES
        assert len(limits) <= 3
    assert noticed > len(range(10, len(content), 7)) * 0.9


@pytest.mark.parametrize("form", ["gz", "zst", "frames"])
def test_data_after_damage_is_hashed(path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Data that cannot be decompressed counts for the size and the digest."""
    monkeypatch.setattr(compressed, "_CHUNK", 1_000)
    content = COMPRESS[form](random.Random(0).randbytes(2_000_000).hex().encode())
    begin = {"gz": content[:8], "zst": content[:8], "frames": framed(b"a") + b"\xff" * 4}[form]
    lines, limits = read(path, begin + b"\xff" * 100 + content)
    assert len(lines) <= 1
    assert limits


FLIPPED = bytearray(framed(LINES[1]))
FLIPPED[8] ^= 0xFF
TWICE = zstd.compress(LINES[1]) * 2
ENDS_EARLY = "the file ends in the middle of a request, or is damaged"
DAMAGED: list[tuple[bytes, list[int], str]] = [
    (framed(LINES[0]) + FLIPPED + framed(LINES[2]) + FLIPPED, [0, 2], "the compressed data is damaged: "),
    (
        framed(LINES[0]) + len(TWICE).to_bytes(4, "big") + TWICE + framed(LINES[2]),
        [0, 2],
        "the compressed data is damaged: the size of a request is wrong",
    ),
    (framed(LINES[0]) + bytes(4), [0], "the compressed data is damaged: "),
    *(
        (framed(LINES[0]) + tail, [0], ENDS_EARLY)
        for tail in (b"\0", b"\0\0\0", b"\0\0\0\5abc", b"\xff\xff\xff\xffabc")
    ),
]


@pytest.mark.parametrize(("content", "whole", "limit"), DAMAGED)
def test_damaged_requests_of_the_collector(path: Path, content: bytes, whole: list[int], limit: str) -> None:
    """The requests around a damaged one, one of two after one size, or one without its end are read, with one limit."""
    lines, limits = read(path, content)
    assert lines == [LINES[number] for number in whole]
    assert len(limits) == 1
    assert limits[0].startswith(limit)


@pytest.mark.parametrize("change", [-1, 1, -5, 100])
def test_wrong_size_of_a_request(path: Path, change: int) -> None:
    """A request whose size is wrong is not read, and is a limit."""
    data = zstd.compress(LINES[0])
    wrong = (len(data) + change).to_bytes(4, "big") + data
    lines, limits = read(path, framed(LINES[1]) + wrong + (b"\0" * change if change == 1 else b""))
    assert lines == [LINES[1]]
    assert limits
    lines, limits = read(path, framed(LINES[1]) + wrong + framed(LINES[2]))
    assert LINES[1] in lines
    assert limits


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        *((blank, []) for blank in (b"", b"\n", b"\n\r\n \t\n\n", b"\xef\xbb\xbf")),
        (b"a\n\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"\xef\xbb\xbfa\n", [b"a"]),
        (b"a" + LINES[0] + b"\nb", [b"a", LINES[0], b"b"]),
        ('"\u2028\x85\x0b"\n'.encode(), ['"\u2028\x85\x0b"'.encode()]),
        (b"\x1f", [b"\x1f"]),
    ],
)
def test_other_lines_are_documents(path: Path, content: bytes, lines: list[bytes]) -> None:
    """A line that is not JSON is a document, and a blank file has none."""
    assert read(path, content) == (lines, [])


def test_lines_across_chunks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of chunks does not change the lines."""
    for chunk in (1, 2, 3, 7, 64):
        monkeypatch.setattr(compressed, "_CHUNK", chunk)
        for form in COMPRESS.values():
            assert read(path, form(PLAIN)) == (LINES, [])


@pytest.mark.parametrize("line", [LINES[0], b"{" + b" " * 49 + LINES[0][1:]], ids=["short", "with spaces"])
def test_request_after_a_long_text(path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    """A request after a text that is left out is read, wherever a chunk ends."""
    monkeypatch.setattr(json_texts, "_LONG", 100)
    monkeypatch.setattr(compressed, "_CHUNK", 100)
    for size in range(SHOWN_BYTES, SHOWN_BYTES + 100):
        lines, _ = read(path, b"x" * size + line + b"\n" + LINES[1])
        assert lines[1:] == [line, LINES[1]]


LONG = "a request is longer than 100 bytes"


def limit_documents(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Limit the bytes of a document."""
    for module in (json_texts, layouts):
        monkeypatch.setattr(module, "MAX_DOCUMENT", limit)


def make_line(size: int, start: bytes = b'{"resourceMetrics":[') -> bytes:
    """Return a line of this many bytes."""
    return start + b"1" * (size - len(start) - 2) + b"]}"


@pytest.mark.parametrize("form", ["plain", "gz", "zst"])
@pytest.mark.parametrize("start", [b'{"resourceMetrics":[', b'{"x":[', b'{\n"resourceMetrics":['])
def test_long_documents_are_left_out(path: Path, monkeypatch: pytest.MonkeyPatch, form: str, start: bytes) -> None:
    """Documents beyond the limit are one limit of the file, and other documents are read."""
    limit_documents(monkeypatch, 100)
    monkeypatch.setattr(compressed, "_CHUNK", 30)
    compress, fits = COMPRESS[form], make_line(100)
    for size in (161, 1_000):
        long = make_line(size, start)
        content = b"\n".join([LINES[0], fits, long, LINES[1], long, fits])
        assert read(path, compress(content)) == ([LINES[0], fits, LINES[1], fits], [LONG])
        assert read(path, compress(LINES[0] + b"\n" + long)) == ([LINES[0]], [LONG])
    for before in range(31):  # the line may cross the end of a chunk
        content = b" " * before + b"\n" + fits + b"\n" + LINES[0]
        assert read(path, compress(content)) == ([fits, LINES[0]], [])


def test_long_document_is_read_in_parts(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resources of a document beyond the limit are documents, so that it may have any size."""
    limit_documents(monkeypatch, 100)
    monkeypatch.setattr(compressed, "_CHUNK", 30)
    resources = [b'{"scopeSpans":[%d]}' % number for number in range(50)]
    for start, end in ((b'{"resourceSpans":[', b"]}"), (b'{"result": {\n "resourceSpans" : [', b"]}}\n")):
        content = start + b",\n ".join(resources) + end
        lines, limits = read(path, content + content)
        assert ([line.strip() for line in lines], limits) == (resources * 2, [])


def test_long_requests_are_left_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests beyond the limit are a limit, and other requests are read."""
    limit_documents(monkeypatch, 100)
    content = framed(b"a", b"l" * 101, b"f" * 100, b"l" * 10_000)
    assert read(path, content) == ([b"a", b"f" * 100], [LONG])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "gz", "zst"])
@pytest.mark.parametrize("start", [b"x", b'{"resourceSpans":"'])
def test_long_line_takes_little_memory(path: Path, monkeypatch: pytest.MonkeyPatch, form: str, start: bytes) -> None:
    """A line beyond the limit is not kept in memory."""
    mib = 1024 * 1024
    limit_documents(monkeypatch, 2 * mib)
    with path.open("wb") as raw:
        file: Any = raw
        if form != "plain":
            file = gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1) if form == "gz" else zstd.ZstdFile(raw, "wb")
        file.write(start)
        for _ in range(30):
            file.write(b"x" * mib)
        file.write(b"\n" + LINES[0] + b"\n")
        file.close()
    reader = FileReader(str(path))
    with limit_peak_memory(14 * mib):
        assert list(reader.requests())[-1] == LINES[0]


@pytest.mark.parametrize("lie", [b"\xff" * 4 + b"abc", framed(bytes(100 * 1024 * 1024))])
def test_false_sizes_take_little_memory(path: Path, lie: bytes) -> None:
    """Neither a false size nor a request that is longer than its size takes memory."""
    path.write_bytes(framed(b"a") + lie)
    reader = FileReader(str(path))
    with limit_peak_memory(60 * 1024 * 1024):
        assert list(reader.requests()) == [b"a"]
    assert len(reader.limits) == 1


@pytest.mark.parametrize("form", COMPRESS)
def test_growing_file(path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A file is read up to its size at the start, and the digest is that of these bytes."""
    monkeypatch.setattr(compressed, "_CHUNK", 16)
    content = COMPRESS[form](PLAIN)
    path.write_bytes(content)
    reader = FileReader(str(path))
    lines = []
    for line in reader.requests():
        lines.append(line)
        with path.open("ab") as file:
            file.write(content)
    assert lines == LINES
    assert (reader.size, reader.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert reader.limits == []


def test_shrinking_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the new end, and the digest is that of the bytes that were read."""
    monkeypatch.setattr(compressed, "_CHUNK", 16)
    content = PLAIN * 100
    path.write_bytes(content)
    reader = FileReader(str(path))
    requests = reader.requests()
    assert next(requests) == LINES[0]
    os.truncate(path, 8)
    assert len(list(requests)) < 99 * len(LINES)
    assert reader.sha256 == hashlib.sha256(content[: reader.size]).hexdigest()


def test_reader_reads_again(path: Path) -> None:
    """A second reading gives the same lines, limits and size."""
    content = gzip.compress(PLAIN)[:-8]
    path.write_bytes(content)
    reader = FileReader(str(path))
    assert isinstance(reader, TelemetryReader)
    for _ in range(2):
        assert list(reader.requests()) == LINES
        assert len(reader.limits) == 1
        assert reader.size == len(content)


def test_names_of_readers(tmp_path: Path) -> None:
    """A reader has the given name or its path, as Unicode text."""
    assert FileReader("a.jsonl", "A").name == "A"
    assert FileReader("a.jsonl").name == "a.jsonl"
    assert FileReader(os.fsdecode(b"a\xff.jsonl")).name == "a\ufffd.jsonl"
    path = os.fsencode(tmp_path) + b"/\xff.jsonl"
    with open(path, "wb") as file:
        file.write(PLAIN)
    assert list(FileReader(os.fsdecode(path)).requests()) == LINES


def read_error(path: object) -> str:
    """Return the reason of the error that names this path."""
    with pytest.raises(TelemetryError) as caught:
        list(FileReader(str(path)).requests())
    assert caught.value.source == str(path)
    return caught.value.reason


def test_other_paths_are_errors(tmp_path: Path) -> None:
    """A missing file, a folder, a pipe and a device are errors at once."""
    os.mkfifo(tmp_path / "pipe")
    reason = "is not a file; pass files or a glob such as archive/*.jsonl*"
    assert read_error(tmp_path / "gone") == "cannot be read: No such file or directory"
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero", "/dev/null"):
        assert read_error(path) == reason
        with pytest.raises(TelemetryError, match=r"is not a file; pass files"):
            expand_paths([str(path)])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_missing_permission_is_an_error(path: Path) -> None:
    """A file without read permission is an error."""
    path.touch(0o000)
    assert read_error(path) == "cannot be read: Permission denied"


def test_read_error_in_the_middle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the middle of a file is an error of the reading."""
    path.write_bytes(gzip.compress(PLAIN))

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(compressed.HashedFile, "readinto", fail)
    assert read_error(path) == "cannot be read: Input/output error"


@pytest.mark.parametrize("form", ["zst", "frames"])
def test_missing_extra_for_zstd(path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A file that is compressed with zstd needs an extra, and other files do not."""
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    path.write_bytes(COMPRESS[form](PLAIN))
    with pytest.raises(MissingExtraError, match="compliance"):
        list(FileReader(str(path)).requests())
    assert read(path, gzip.compress(PLAIN)) == (LINES, [])


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the working folder, with some files in folders, beside a folder with another file."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "o.jsonl").write_bytes(PLAIN)
    root = tmp_path / "root"
    for name in ("b.jsonl", "a.jsonl", "d/c.jsonl", "d/e/a.jsonl", "d/note.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(PLAIN)
    monkeypatch.chdir(root)
    yield root
    assert (tmp_path / "outside" / "o.jsonl").read_bytes() == PLAIN


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([], []),
        (["b.jsonl", "a.jsonl"], ["b.jsonl", "a.jsonl"]),
        (["*.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["?.jsonl"], ["a.jsonl", "b.jsonl"]),
        (["[b].jsonl"], ["b.jsonl"]),
        (["*"], ["a.jsonl", "b.jsonl"]),
        (["d/**"], ["d/c.jsonl", "d/e/a.jsonl", "d/note.txt"]),
        (["**/*.jsonl"], ["a.jsonl", "b.jsonl", "d/c.jsonl", "d/e/a.jsonl"]),
        (["*/*/*.jsonl"], ["d/e/a.jsonl"]),
        (["d/../*.jsonl"], ["d/../a.jsonl", "d/../b.jsonl"]),
        (["b.jsonl", "*.jsonl", "./a.jsonl"], ["b.jsonl", "a.jsonl"]),
    ],
)
@pytest.mark.usefixtures("tree")
def test_globs_are_sorted(sources: list[str], expected: list[str]) -> None:
    """Files have the order of the sources, are sorted within a glob, and come once each."""
    assert expand_paths(sources) == expected


def test_absolute_globs(tree: Path) -> None:
    """A glob may be absolute, and a file that a relative path names too comes once."""
    assert expand_paths([f"{tree}/*.jsonl", "a.jsonl", "d/e/../../a.jsonl"]) == [f"{tree}/a.jsonl", f"{tree}/b.jsonl"]


def refuse(source: str) -> tuple[str, str]:
    """Return the source that is refused, and the reason."""
    with pytest.raises(TelemetryError) as caught:
        expand_paths(["a.jsonl", source])
    return caught.value.source, caught.value.reason


@pytest.mark.usefixtures("tree")
def test_sources_without_files_are_errors() -> None:
    """A missing file, a folder and a glob without matches are errors that name the source."""
    assert refuse("c.jsonl") == ("c.jsonl", "no such file")
    assert refuse("") == ("", "no such file")
    assert refuse("d") == ("d", "is not a file; pass files or a glob such as archive/*.jsonl*")
    assert refuse("*.gz") == ("*.gz", "matches no file")
    assert refuse("[d]") == ("[d]", "matches no file")


def test_globs_stay_in_their_folder(tree: Path) -> None:
    """Neither ``..`` after a wildcard nor a link leads out of the folder before the first wildcard."""
    assert refuse("*/../../outside/*") == ("*/../../outside/*", "must not contain .. after a wildcard")
    assert refuse("**/..") == ("**/..", "must not contain .. after a wildcard")
    (tree / "link.jsonl").symlink_to(tree.parent / "outside" / "o.jsonl")
    for glob in ("*.jsonl", f"{tree}/*.jsonl", "./*.jsonl"):
        name = glob.replace("*", "link")
        assert refuse(glob) == (name, f"is outside the folder of the glob {glob}")
    assert expand_paths(["link.jsonl"]) == ["link.jsonl"]  # who names it means it
    (tree / "link.jsonl").unlink()
    (tree / "d" / "link").symlink_to(tree.parent / "outside")
    assert refuse("d/*/*.jsonl") == ("d/link/o.jsonl", "is outside the folder of the glob d/*/*.jsonl")
    assert refuse("**/*.jsonl")[0] == "d/link/o.jsonl"
    (tree / "d-beside").mkdir()
    (tree / "d-beside" / "o.jsonl").touch()
    (tree / "d" / "link").unlink()
    (tree / "d" / "link").symlink_to(tree / "d-beside")
    assert refuse(f"{tree}/d/*/*.jsonl")[0] == f"{tree}/d/link/o.jsonl"


def test_links_within_the_folder(tree: Path) -> None:
    """A link to another file of the glob adds nothing, and the folder may be a link."""
    (tree / "link.jsonl").symlink_to(tree / "a.jsonl")
    (tree / "0.jsonl").symlink_to(tree / "d" / "c.jsonl")
    assert expand_paths(["*.jsonl"]) == ["0.jsonl", "a.jsonl", "b.jsonl"]
    (tree.parent / "alias").symlink_to(tree)
    assert expand_paths([f"{tree.parent}/alias/*.jsonl"]) == [f"{tree.parent}/alias/{name}.jsonl" for name in "0ab"]
    (tree / "gone.jsonl").symlink_to(tree / "nothing")
    assert refuse("*.jsonl") == ("gone.jsonl", "no such file")


def test_file_names_with_wildcards(tree: Path) -> None:
    """A source that is the exact name of a file is that file."""
    for name in ("[ab].jsonl", "*.json"):
        (tree / name).write_bytes(PLAIN)
        assert expand_paths([name]) == [name]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([], []),
        (["/x/a"], ["a"]),
        (["/x/a", "/x/b"], ["a", "b"]),
        (["/x/a", "/y/a"], ["x/a", "y/a"]),
        (["/x/a", "/y/a", "/y/b"], ["x/a", "y/a", "b"]),
        (["/1/x/a", "/2/x/a", "/2/y/a"], ["1/x/a", "2/x/a", "y/a"]),
        (["/a", "/x/a"], ["/a", "x/a"]),
        (["/x/y/../a", "/x/y/../b/a"], ["x/a", "b/a"]),
        (["/x/a", "/x/a"], ["/x/a", "/x/a"]),
        ([os.fsdecode(b"/x/\xff")], ["\ufffd"]),
    ],
)
def test_short_names(paths: list[str], names: list[str]) -> None:
    """A name has only the folders that distinguish it from the others."""
    assert shorten_paths(paths) == names


@pytest.mark.slow
def test_short_names_of_many_files() -> None:
    """A year of hourly files in several folders gets short names."""
    paths = [f"/archive/{host}/{hour:05}.jsonl.gz" for host in range(3) for hour in range(9_000)]
    assert shorten_paths(paths) == [path.removeprefix("/archive/") for path in paths]

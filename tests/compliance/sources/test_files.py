"""Files of telemetry: plain, compressed, damaged, growing; and which files a glob may name."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import os
import random
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from spanforge.model_registry._core.errors import MissingExtraError, TelemetryError
from spanforge.model_registry.compliance._sources import files as telemetry
from spanforge.model_registry.compliance._sources.files import FileReader, TelemetryReader, expand_paths, shorten_paths

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


WAYS: dict[str, Callable[[bytes], bytes]] = {
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
    lines = list(reader.requests())
    assert (reader.size, reader.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    return lines, reader.limits


@pytest.mark.parametrize("way", WAYS)
def test_whole_files(path: Path, way: str) -> None:
    """All lines of a file are read, with its size and digest, whatever it is compressed with."""
    assert read(path, WAYS[way](PLAIN)) == (LINES, [])


def sums(parts: Iterable[bytes]) -> set[int]:
    return set(itertools.accumulate(map(len, parts), initial=0))


WHOLE = {
    "plain": sums(PLAIN.splitlines(keepends=True)) | {end - 1 for end in sums(PLAIN.splitlines(keepends=True))},
    "gz": {0, len(gzip.compress(PLAIN))},
    "zst": {0, len(zstd.compress(PLAIN))},
    "frames": sums(map(framed, LINES)),
}
"""How much of a file looks whole."""


@pytest.mark.parametrize("way", WAYS)
def test_cut_files(path: Path, way: str) -> None:
    """Of a file that is cut off, the lines before the cut are read, and the cut shows, as a limit or a cut line."""
    content = WAYS[way](PLAIN)
    for length in {*range(0, len(content), 10), *range(12), *range(len(content) - 12, len(content) + 1)}:
        lines, limits = read(path, content[:length])
        known = lines if set(lines) <= set(LINES) else lines[:-1]
        assert known == LINES[: len(known)]
        assert bool(limits or known != lines) == (length not in WHOLE[way])


def test_what_is_left_of_a_cut_file(path: Path) -> None:
    """Nothing that can be decompressed before a cut is lost."""
    lines = [hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(2_000)]
    content = gzip.compress(b"\n".join(lines))
    found, limits = read(path, content[: len(content) // 2])
    assert len(lines) * 0.45 < len(found) < len(lines) * 0.55
    assert found[:-1] == lines[: len(found) - 1]
    assert len(limits) == 1
    assert limits[0].startswith("the compressed data ends early or is damaged: ")
    found, limits = read(path, content[:-8])  # without the checksum
    assert found == lines
    assert len(limits) == 1


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
def test_several_members(path: Path, compress: Callable[[bytes], bytes]) -> None:
    """Files that were put one behind the other are read to the end, also where a line lies across."""
    half = len(PLAIN) // 2
    parts = [PLAIN[:half], b"", PLAIN[half:]]
    assert read(path, b"".join(map(compress, parts))) == (LINES, [])


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f\x8b garbage", b"\x28\xb5\x2f\xfd garbage"])
def test_garbage_behind(path: Path, compress: Callable[[bytes], bytes], garbage: bytes) -> None:
    """What is no compressed data behind some that is takes nothing with it, and is said."""
    lines, limits = read(path, compress(PLAIN) + garbage)
    assert lines == LINES
    assert [limit.split(":")[0] for limit in limits] == ["the compressed data ends early or is damaged"]


@pytest.mark.parametrize("way", ["gz", "zst", "frames"])
def test_damage(path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A byte that is another one is noticed, wherever it matters; size and digest are those of the file still."""
    monkeypatch.setattr(telemetry, "_CHUNK", 16)
    content = WAYS[way](PLAIN)
    noticed = 0
    for place in range(10, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        lines, limits = read(path, bytes(damaged))
        noticed += bool(limits) or lines != LINES
        assert len(limits) <= 3
    assert noticed > len(range(10, len(content), 7)) * 0.9


@pytest.mark.parametrize("way", ["gz", "zst", "frames"])
def test_what_stands_behind_damage(path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """What cannot be read is part of the size and of the digest."""
    monkeypatch.setattr(telemetry, "_CHUNK", 1_000)
    content = WAYS[way](random.Random(0).randbytes(2_000_000).hex().encode())
    begin = {"gz": content[:8], "zst": content[:8], "frames": framed(b"a") + b"\xff" * 4}[way]
    lines, limits = read(path, begin + b"\xff" * 100 + content)
    assert len(lines) <= 1
    assert limits


def test_damage_in_one_of_the_collectors_requests(path: Path) -> None:
    """One that is damaged does not take those behind it with it."""
    parts = [framed(line) for line in LINES[:3]]
    damaged = bytearray(parts[1])
    damaged[8] ^= 0xFF
    lines, limits = read(path, parts[0] + bytes(damaged) + parts[2] + bytes(damaged))
    assert lines == [LINES[0], LINES[2]]
    assert len(limits) == 1
    assert limits[0].startswith("the compressed data is damaged: ")


@pytest.mark.parametrize("change", [-1, 1, -5, 100])
def test_sizes_of_the_collectors_requests_that_are_wrong(path: Path, change: int) -> None:
    """A request whose size is not what stands before it is not read, and that is said."""
    data = zstd.compress(LINES[0])
    wrong = (len(data) + change).to_bytes(4, "big") + data
    lines, limits = read(path, framed(LINES[1]) + wrong + (b"\0" * change if change == 1 else b""))
    assert lines == [LINES[1]]
    assert limits
    lines, limits = read(path, framed(LINES[1]) + wrong + framed(LINES[2]))
    assert LINES[1] in lines
    assert limits


@pytest.mark.parametrize("tail", [b"\0", b"\0\0\0", b"\0\0\0\0", b"\0\0\0\5abc", b"\xff\xff\xff\xffabc"])
def test_the_end_of_a_file_of_the_collectors(path: Path, tail: bytes) -> None:
    """A size without a request, or a request without its end, is a limit."""
    lines, limits = read(path, framed(LINES[0]) + tail)
    assert lines == LINES[:1]
    if tail != bytes(4):
        assert limits == ["the file ends in the middle of a request, or is damaged"]
    assert len(limits) == 1


def test_two_requests_behind_one_size(path: Path) -> None:
    """More than one request behind one size is damage, not a request that nobody counts."""
    data = zstd.compress(LINES[1]) * 2
    lines, limits = read(path, framed(LINES[0]) + len(data).to_bytes(4, "big") + data + framed(LINES[2]))
    assert lines == [LINES[0], LINES[2]]
    assert limits == ["the compressed data is damaged: the size of a request is wrong"]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", []),
        (b"\n\r\n \t\n\n", []),
        (b"a\n\nb\n", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a\r", b"b\r"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\n ", [b"a"]),
        (b"\xef\xbb\xbfa\n", [b"\xef\xbb\xbfa"]),
        ('"\u2028\x85\x0b"\n'.encode(), ['"\u2028\x85\x0b"'.encode()]),
        (b"\x1f", [b"\x1f"]),
    ],
)
def test_lines(path: Path, content: bytes, lines: list[bytes]) -> None:
    """Only a line feed ends a line; lines with nothing in them are none."""
    assert read(path, content) == (lines, [])


def test_lines_across_chunks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever what is read at once ends, lines are the same."""
    for chunk in (1, 2, 3, 7, 64):
        monkeypatch.setattr(telemetry, "_CHUNK", chunk)
        for way in WAYS.values():
            assert read(path, way(PLAIN)) == (LINES, [])


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress])
def test_lines_that_are_too_long(
    path: Path, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes]
) -> None:
    """They are left out and said once, those around them are read; one that is as long as may be is read."""
    monkeypatch.setattr(telemetry, "MAX_LINE", 100)
    monkeypatch.setattr(telemetry, "_CHUNK", 30)
    fits, long = b"f" * 100, b"l" * 131
    lines, limits = read(path, compress(b"\n".join([b"a", fits, long, b"b", long * 9, fits])))
    assert (lines, limits) == ([b"a", fits, b"b", fits], ["a line is longer than 100 bytes"])
    assert read(path, compress(b"a\n" + long)) == ([b"a"], limits)
    assert read(path, compress(long + b"\nb")) == ([b"b"], limits)
    for before in range(31):  # wherever what is read at once ends
        assert read(path, compress(b" " * before + b"\n" + fits + b"\nb")) == ([fits, b"b"], [])


def test_requests_that_are_too_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are left out and said, those around them are read."""
    monkeypatch.setattr(telemetry, "MAX_LINE", 100)
    content = framed(b"a", b"l" * 101, b"f" * 100, b"l" * 10_000)
    assert read(path, content) == ([b"a", b"f" * 100], ["a request is longer than 100 bytes"])


@pytest.mark.parametrize("way", ["plain", "gz", "zst"])
def test_a_long_line_in_little_memory(path: Path, way: str) -> None:
    """What is too long is not held: memory stays far below the line."""
    mib = 1024 * 1024
    with path.open("wb") as raw:
        file: Any = raw
        if way != "plain":
            file = gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1) if way == "gz" else zstd.ZstdFile(raw, "wb")
        for _ in range(100):
            file.write(b"x" * mib)
        file.write(b"\nb\n")
        file.close()
    reader = FileReader(str(path))
    tracemalloc.start()
    try:
        assert list(reader.requests()) == [b"b"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * mib
    assert len(reader.limits) == 1


@pytest.mark.parametrize("lie", [b"\xff" * 4 + b"abc", framed(bytes(100 * 1024 * 1024))])
def test_sizes_that_lie(path: Path, lie: bytes) -> None:
    """No memory is taken for what a size promises, or for a request that is far longer than its size."""
    path.write_bytes(framed(b"a") + lie)
    reader = FileReader(str(path))
    tracemalloc.start()
    try:
        assert list(reader.requests()) == [b"a"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * 1024 * 1024
    assert len(reader.limits) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_grows(path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """It is read as far as it reached at first, and the digest is that of just this."""
    monkeypatch.setattr(telemetry, "_CHUNK", 16)
    content = WAYS[way](PLAIN)
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


def test_a_file_that_shrinks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ends where the file now ends, with the digest of what was read."""
    monkeypatch.setattr(telemetry, "_CHUNK", 16)
    path.write_bytes(PLAIN)
    reader = FileReader(str(path))
    requests = reader.requests()
    assert next(requests) == LINES[0]
    os.truncate(path, 8)
    assert list(requests) in ([], [LINES[1][: reader.size - len(LINES[0]) - 1]])
    assert reader.sha256 == hashlib.sha256(PLAIN[: reader.size]).hexdigest()


def test_a_reader_reads_again(path: Path) -> None:
    """A second reading starts afresh."""
    content = gzip.compress(PLAIN)[:-8]
    path.write_bytes(content)
    reader = FileReader(str(path))
    assert isinstance(reader, TelemetryReader)
    for _ in range(2):
        assert list(reader.requests()) == LINES
        assert len(reader.limits) == 1
        assert reader.size == len(content)


def test_names(tmp_path: Path) -> None:
    """A reader has the name it is given, else that of its path, as text that is Unicode."""
    assert FileReader("a.jsonl", "A").name == "A"
    assert FileReader("a.jsonl").name == "a.jsonl"
    assert FileReader(os.fsdecode(b"a\xff.jsonl")).name == "a\ufffd.jsonl"
    path = os.fsencode(tmp_path) + b"/\xff.jsonl"
    with open(path, "wb") as file:
        file.write(PLAIN)
    assert list(FileReader(os.fsdecode(path)).requests()) == LINES


def failure(path: object) -> str:
    with pytest.raises(TelemetryError) as caught:
        list(FileReader(str(path)).requests())
    assert caught.value.source == str(path)
    return caught.value.reason


def test_what_is_no_file(tmp_path: Path) -> None:
    """A file that is gone, a folder, a pipe and a device are an error at once: nothing is waited for."""
    os.mkfifo(tmp_path / "pipe")
    reason = "is not a file; pass files or a glob such as archive/*.jsonl*"
    assert failure(tmp_path / "gone") == "cannot be read: No such file or directory"
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero", "/dev/null"):
        assert failure(path) == reason
        with pytest.raises(TelemetryError, match=r"is not a file; pass files"):
            expand_paths([str(path)])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(path: Path) -> None:
    """A file that may not be read is an error that says so."""
    path.touch(0o000)
    assert failure(path) == "cannot be read: Permission denied"


def test_a_disk_that_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the middle of a file is an error of the whole."""
    path.write_bytes(gzip.compress(PLAIN))

    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(telemetry.HashedFile, "readinto", fail)
    assert failure(path) == "cannot be read: Input/output error"


@pytest.mark.parametrize("way", ["zst", "frames"])
def test_without_the_library_for_zstd(path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A file that is compressed with zstd says which extra it needs; others need none."""
    for name in ("compression.zstd", "backports.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    path.write_bytes(WAYS[way](PLAIN))
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
def test_globs(sources: list[str], expected: list[str]) -> None:
    """Files come in the order of the sources, sorted within a glob, and each once."""
    assert expand_paths(sources) == expected


def test_absolute_globs(tree: Path) -> None:
    """A glob may be absolute; a file that a relative path names too counts once."""
    assert expand_paths([f"{tree}/*.jsonl", "a.jsonl", "d/e/../../a.jsonl"]) == [f"{tree}/a.jsonl", f"{tree}/b.jsonl"]


def refused(source: str) -> tuple[str, str]:
    with pytest.raises(TelemetryError) as caught:
        expand_paths(["a.jsonl", source])
    return caught.value.source, caught.value.reason


@pytest.mark.usefixtures("tree")
def test_sources_that_name_no_file() -> None:
    """A file that is not there, a folder, and a glob that matches no file are errors that name them."""
    assert refused("c.jsonl") == ("c.jsonl", "no such file")
    assert refused("") == ("", "no such file")
    assert refused("d") == ("d", "is not a file; pass files or a glob such as archive/*.jsonl*")
    assert refused("*.gz") == ("*.gz", "matches no file")
    assert refused("[d]") == ("[d]", "matches no file")


def test_globs_stay_in_their_folder(tree: Path) -> None:
    """Neither ``..`` behind a wildcard nor a link leads a glob out of the folder before its first wildcard."""
    assert refused("*/../../outside/*") == ("*/../../outside/*", "must not contain .. after a wildcard")
    assert refused("**/..") == ("**/..", "must not contain .. after a wildcard")
    (tree / "link.jsonl").symlink_to(tree.parent / "outside" / "o.jsonl")
    for glob in ("*.jsonl", f"{tree}/*.jsonl", "./*.jsonl"):
        name = glob.replace("*", "link")
        assert refused(glob) == (name, f"is outside the folder of the glob {glob}")
    assert expand_paths(["link.jsonl"]) == ["link.jsonl"]  # who names it means it
    (tree / "link.jsonl").unlink()
    (tree / "d" / "link").symlink_to(tree.parent / "outside")
    assert refused("d/*/*.jsonl") == ("d/link/o.jsonl", "is outside the folder of the glob d/*/*.jsonl")
    assert refused("**/*.jsonl")[0] == "d/link/o.jsonl"
    (tree / "d-beside").mkdir()
    (tree / "d-beside" / "o.jsonl").touch()
    (tree / "d" / "link").unlink()
    (tree / "d" / "link").symlink_to(tree / "d-beside")
    assert refused(f"{tree}/d/*/*.jsonl")[0] == f"{tree}/d/link/o.jsonl"


def test_links_within_the_folder(tree: Path) -> None:
    """A link to a file that the glob names anyway adds nothing; one in a folder that is a link itself is fine."""
    (tree / "link.jsonl").symlink_to(tree / "a.jsonl")
    (tree / "0.jsonl").symlink_to(tree / "d" / "c.jsonl")
    assert expand_paths(["*.jsonl"]) == ["0.jsonl", "a.jsonl", "b.jsonl"]
    (tree.parent / "alias").symlink_to(tree)
    assert expand_paths([f"{tree.parent}/alias/*.jsonl"]) == [f"{tree.parent}/alias/{name}.jsonl" for name in "0ab"]
    (tree / "gone.jsonl").symlink_to(tree / "nothing")
    assert refused("*.jsonl") == ("gone.jsonl", "no such file")


def test_names_with_wildcards(tree: Path) -> None:
    """A file whose very name has wildcards in it is that file."""
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
    """A name has as many folders as tell it from the others, and no more."""
    assert shorten_paths(paths) == names


def test_short_names_of_many_files() -> None:
    """Names of a year's hourly files in several folders are found at once."""
    paths = [f"/archive/{host}/{hour:05}.jsonl.gz" for host in range(3) for hour in range(9_000)]
    assert shorten_paths(paths) == [path.removeprefix("/archive/") for path in paths]

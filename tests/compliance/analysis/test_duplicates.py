"""Copies: spans that were written twice, found in bounded memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spanforge.model_registry._core.errors import TelemetryError
from spanforge.model_registry.compliance._analysis import duplicates
from spanforge.model_registry.compliance._analysis.duplicates import (
    RepeatedSpan,
    SpanIdWriter,
    find_part,
    find_records,
    find_repeated_spans,
    pack_ids,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SOURCES = 14
"""Enough inputs that one number is the start of another."""


class Record(NamedTuple):
    source: int
    trace_id: str
    span_id: str
    mark: int


def write_and_find(folder: Path, records: Iterable[Record], at_once: int = 3) -> list[RepeatedSpan]:
    """Return the repeated spans among records that inputs write, a few at once; no file may remain."""
    spills = [SpanIdWriter(str(folder), source) for source in range(SOURCES)]
    for record in records:
        spill = spills[record.source]
        waiting = spill.buckets[record.span_id[0]]
        waiting.append(f"{record.trace_id}{record.span_id}{SpanIdWriter.format_mark(record.mark)}")
        if len(waiting) % at_once == 0:
            spill.note_added(at_once)
    for spill in spills:
        spill.flush()
        spill.flush()
        assert not spill.buckets
    found = list(find_repeated_spans(str(folder), SOURCES))
    assert os.listdir(folder) == []
    return found


def plain(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else "?" for letter in text)


def find_in_a_list(records: Iterable[Record]) -> list[RepeatedSpan]:
    groups: dict[bytes, list[tuple[int, str]]] = {}
    for record in sorted(records, key=lambda record: record.source):
        known = pack_ids(plain(record.trace_id), plain(record.span_id))
        groups.setdefault(known, []).append((record.source, SpanIdWriter.format_mark(record.mark)))
    return [RepeatedSpan(ids, found) for ids, found in groups.items() if len(found) > 1]


def ids(length: int) -> st.SearchStrategy[str]:
    """Draw ids that are often the same, or differ only in case or in few digits somewhere."""
    hexadecimal = st.sampled_from("0123456789abcdefABCDEF")
    odd = st.sampled_from("g?\u0131\u0130\u017f\u212a\u00df\u00e9\u2028\U0001f600\ud800")
    few = st.tuples(st.sampled_from("0aAf"), st.integers(0, length - 1), hexadecimal | odd).map(
        lambda drawn: drawn[0] * drawn[1] + drawn[2] + drawn[0] * (length - 1 - drawn[1])
    )
    return few | st.text(hexadecimal, min_size=length, max_size=length) | st.text(odd, min_size=length, max_size=length)


RECORDS = st.lists(
    st.builds(Record, st.integers(0, SOURCES - 1), ids(32), ids(16), st.integers(0, 16**6 - 1)), max_size=40
).flatmap(lambda records: st.permutations(records + records[: len(records) // 2]))


ALL_THE_SAME = [Record(number % 2, "0" * 32, "0" * 16, number) for number in range(50)]
NUMBERS_BEGIN_ALIKE = [
    Record(source, f"{source:032x}", f"0{digit:x}{source:014x}", source)
    for source in (1, 10, 11, 12, 13)
    for digit in range(16)
]


UPPER_CASE_FIRST = [
    Record(0, "0" * 32, "A" * 16, 0),
    *(Record(0, digit * 32, digit * 16, number) for number, digit in enumerate("aAaA")),
]


@example(records=UPPER_CASE_FIRST, buffered=20, together=1_000, read=5)
@example(records=[], buffered=20, together=1_000, read=5)
@example(records=ALL_THE_SAME, buffered=20, together=1, read=5)
@example(records=[*NUMBERS_BEGIN_ALIKE, *NUMBERS_BEGIN_ALIKE[:3]], buffered=20, together=1, read=5)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=RECORDS, buffered=st.integers(1, 20), together=st.sampled_from([0, 1, 2, 5, 1_000]), read=st.integers(1, 5)
)
def test_copies_are_those_of_a_list(  # noqa: PLR0913 - the limits are arguments
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: list[Record], buffered: int, together: int, read: int
) -> None:
    """The copies are those that a list in memory has, in their order, for any limits."""
    monkeypatch.setattr(duplicates, "_BUFFERED_RECORDS", buffered)
    monkeypatch.setattr(duplicates, "_COMPARED_RECORDS", together)
    monkeypatch.setattr(duplicates, "_READ_RECORDS", read)
    assert sorted(write_and_find(tmp_path, records)) == sorted(find_in_a_list(records))


def test_records_are_written_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a limit, records are written to a file for each first digit of span ids."""
    monkeypatch.setattr(duplicates, "_BUFFERED_RECORDS", 3)
    spill = SpanIdWriter(str(tmp_path), 12)
    for digit, waiting in zip("3aAéz", (1, 2, 0, 1, 2), strict=True):
        spill.buckets[digit].append("0" * 32 + digit * 16 + spill.format_mark(1))
        spill.note_added(1)
        assert sum(map(len, spill.buckets.files.values())) == waiting
    spill.flush()
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"3-12": 32, "a-12": 64, "f-12": 64}


def test_records_are_found_by_their_ids(tmp_path: Path) -> None:
    """The records with wanted ids are found in all inputs, each with its own mark."""
    spill = {number: SpanIdWriter(str(tmp_path), number) for number in (0, 1)}
    for number, span, mark in ((0, 1, 7), (0, 2, 8), (1, 1, 9), (1, 3, 10)):
        spill[number].buckets["a"].append("0" * 32 + f"a{span:015x}" + SpanIdWriter.format_mark(mark))
        spill[number].note_added(1)
    for each in spill.values():
        each.flush()
    wanted = pack_ids("0" * 32, f"a{1:015x}")
    found = list(find_records(str(tmp_path), find_part(wanted), 2, [wanted]))
    assert found == [(wanted, (0, SpanIdWriter.format_mark(7))), (wanted, (1, SpanIdWriter.format_mark(9)))]


@pytest.mark.slow
def test_compared_records_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many records are compared at once as the limit allows, if their ids differ."""
    monkeypatch.setattr(duplicates, "_COMPARED_RECORDS", 20)
    monkeypatch.setattr(duplicates, "_READ_RECORDS", 7)
    sizes = []
    repeated = duplicates._find_repeated_span_ids

    def watched(files: list[tuple[int, str]]) -> set[int]:
        sizes.append(sum(os.path.getsize(file) for _, file in files) // 32)
        return repeated(files)

    monkeypatch.setattr(duplicates, "_find_repeated_span_ids", watched)
    records = [Record(number % 3, "0" * 32, f"{number:016x}", 1) for number in range(1_000)]
    assert write_and_find(tmp_path, records) == []
    assert sum(sizes) == 1_000
    assert max(sizes) <= 20


def test_unwritable_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a folder that cannot be written names the ids of spans."""
    spill = SpanIdWriter(str(tmp_path / "gone"), 0)
    spill.buckets["a"].append("a" * 64)
    with pytest.raises(TelemetryError, match=r"gone/a-0: the ids of spans cannot be written: No such file"):
        spill.flush()
    monkeypatch.setattr(duplicates, "_BUFFERED_RECORDS", 1)
    spill.buckets["a"].append("a" * 64)
    with pytest.raises(TelemetryError):
        spill.note_added(1)

"""Properties of changes of registry files: only the changed entry's lines differ, and ruamel.yaml agrees."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from support.file_edits import change

from spanforge.model_registry._core.validation import RESERVED

if TYPE_CHECKING:
    from support.file_edits import Operate


ODD_TEXTS = (
    *("no", "Null", "~", "0125", "1.10", "2024-05-01", "12:30:45", "1e3", "0x1F", "=", "<<", ".nan", "a: b", "a #b"),
    *("- a", "[x", "{", "*a", "&a", "!x", "'", '"', "it's", 'say "x"', "back\\slash", "%", "@a", "`", "|", ">", "?"),
    *("a\nb", "tab\there", "ünï", "😀", "\u2028x", "\u0085x", "\ufeffx", "x" * 200, "a,b", "k: v # c", " padded"),
)
"""Texts that YAML could read as something else."""
TEXTS = st.sampled_from(ODD_TEXTS) | st.text("ab:#-'\" \\é\n,[]{}&*!|>%@0.", min_size=1, max_size=12).filter(str.strip)
PLAIN = st.sampled_from(["chat-team", "no", "0125", "1.10", "2024-05-01", "12:30:45", "answers customers", "ünï x"])
COMMENTS = st.sampled_from(["", '  # why: it\'s "so"', " # *"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([0.5, 1e300, -1.5e-7]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def written_texts(draw: st.DrawFn) -> str:
    """Return a text as YAML, in one of the styles in which people write it."""
    style = draw(st.sampled_from(["plain", "single", "double"]))
    if style == "plain":
        return draw(PLAIN)
    text = draw(TEXTS)
    if style == "single" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else '"x"'


@st.composite
def yaml_entries(draw: st.DrawFn, number: int) -> str:
    """Return one entry of a YAML file as people write it: with comments, blank lines, quotes, blocks and brackets."""
    value, comment = lambda: draw(written_texts()), lambda: draw(COMMENTS)
    step = draw(st.sampled_from([2, 3]))
    lines = [f"- model_id: m{number}{comment()}"]
    if draw(st.booleans()):
        lines.insert(0, draw(st.sampled_from(["# about it", "", "    # far", "# - model_id: old"])))
    fields = [f"  {field}:  {value()}{comment()}" for field in ("name", "version", "owner")]
    purpose = draw(st.sampled_from(["purpose: >-\n      folded\n      text\n", "purpose: |+\n   kept\n", "purpose: p"]))
    lines += [*fields, f"  {purpose}", f"  risk_tier: low{comment()}"]
    lines += draw(
        st.lists(st.sampled_from(["  status: active", "  deployment_date: 2024-05-01", "  # gone", ""]), unique=True)
    )
    inner = " " * (2 + step)
    aliases = draw(
        st.sampled_from(
            ["[x, 'y']", f"\n{inner}- x  # one\n{inner}- y", f"[\n{inner}  x, # one\n{inner}  y,\n{inner}]", "[]"]
        )
    )
    block = [f"{inner}aliases: {aliases}", f"{inner}contact: {value()}{comment()}", f"{inner}team: {{a: [1, 2]}}"]
    metadata = draw(st.sampled_from(["", "  metadata: {}", "  metadata: {aliases: [x, y], team: 1.10}", "block"]))
    if metadata == "block":
        metadata = "\n".join(["  metadata:", *draw(st.permutations(block)), f"{inner}# end"])
    return "\n".join([*lines, *([metadata] if metadata else [])])


@st.composite
def yaml_files(draw: st.DrawFn) -> tuple[list[str], bytes, str]:
    """Return the texts of three entries with the lines around them, the byte order mark, and the line break."""
    start = draw(st.sampled_from(["", "# head\n", "---\n", "%YAML 1.2\n---\n# head\n\n"]))
    end = draw(st.sampled_from(["\n", "", "\n\n# tail\n", "\n...\n", "\n    # far\n"]))
    entries = [draw(yaml_entries(number)) for number in range(3)]
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    texts = [start, *(f"{text}\n" for text in entries[:2]), entries[2], end]
    return [text.replace("\n", newline) for text in texts], draw(st.sampled_from([b"", b"\xef\xbb\xbf"])), newline


@st.composite
def operations(draw: st.DrawFn) -> Operate:
    """Return an operation on the second model of three, or the registration of a fourth."""
    kind = draw(st.sampled_from(["deprecate", "retire", "replace", "register"]))
    text, other, values = draw(TEXTS), draw(TEXTS), draw(st.dictionaries(TEXTS, JSON_VALUES, max_size=3))
    aliases = draw(st.sampled_from([[], ["x"], ["x", "y", "z"], ["new", "a, b"], ["z"]]))
    provider = draw(st.sampled_from([None, "openai", ["openai", "azure"]]))
    if kind == "deprecate":
        return lambda registry: registry.deprecate("m1", reason=text, successor=other, sunset_date="2027-01-31")
    if kind == "retire":
        return lambda registry: registry.retire("m1", reason=text, actor=other)
    model_id = "m1" if kind == "replace" else "m3"
    metadata = {key: value for key, value in values.items() if key not in RESERVED}
    return lambda registry: registry.register(
        model_id, text, other, "high", text, other, metadata=metadata, aliases=aliases, provider=provider, replace=True
    )


def read_with_ruamel(content: bytes) -> Any:
    return YAML(typ="safe", pure=True).load(io.BytesIO(content))


def equals_ruamel(value: Any, read: Any) -> bool:
    """Check whether ruamel.yaml reads a value as it was written; days without quotes are dates there."""
    if isinstance(read, (dt.date, dt.datetime)):
        return str(read) == value
    if isinstance(read, dict):
        return read.keys() == value.keys() and all(equals_ruamel(value[key], read[key]) for key in read)
    return bool(read == value)


@given(file=yaml_files(), operate=operations())
def test_yaml_keeps_everything_else(file: tuple[list[str], bytes, str], operate: Operate) -> None:
    """Only lines of the entry differ. The comments stay, and ruamel.yaml reads the new values as we do."""
    (start, first, second, third, end), mark, newline = file
    content = mark + f"{start}{first}{second}{third}{end}".encode()
    new, after = change("models.yaml", content, operate)
    text = new.removeprefix(mark).decode()
    assert new.startswith(mark)
    if after.model_id == "m3":
        assert text.startswith(start + first + second + third)
        assert text.endswith(end) or text.startswith(start + first + second + third + end.rstrip())
    else:
        assert text.startswith(start + first)
        assert text.endswith(third + end)
        kept = [line for line in second.splitlines() if line.strip().startswith("#")]
        assert all(line in text.splitlines() for line in kept)
    assert newline == "\n" or text.count("\n") == text.count("\r\n")
    read = read_with_ruamel(new)[{"m1": 1, "m3": 3}[after.model_id]]
    written = after.to_dict()
    assert equals_ruamel(written["metadata"]["history"][-1], read["metadata"]["history"][-1])
    if after.model_id == "m3":
        assert equals_ruamel({key: written[key] for key in read}, read)


@given(
    indent=st.sampled_from([None, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
    texts=st.lists(TEXTS, min_size=6, max_size=6),
    values=st.dictionaries(TEXTS, JSON_VALUES, max_size=2),
    operate=operations(),
)
def test_json_keeps_everything_else(
    *, indent: int | str | None, ascii_only: bool, texts: list[str], values: dict[str, Any], operate: Operate
) -> None:
    """The file keeps its indentation, and only lines of the entry differ."""
    plain = [
        {
            "model_id": f"m{i}",
            "name": texts[i],
            "version": "1",
            "risk_tier": "low",
            "owner": texts[i + 3],
            "purpose": "p",
        }
        for i in range(3)
    ]
    plain[1]["metadata"] = {"aliases": ["x", "y"], **{f"own {key}": value for key, value in values.items()}}  # type: ignore[assignment]
    content = json.dumps(plain, indent=indent, ensure_ascii=ascii_only).encode()
    new, after = change("models.json", content, operate)
    before = json.loads(content)
    assert json.loads(new)[0] == before[0]
    expected = json.dumps(json.loads(new), indent=indent, ensure_ascii=ascii_only).encode()
    assert new == expected or (not ascii_only or content.isascii())
    if ascii_only is False or not new.isascii():
        assert new.decode() == json.dumps(json.loads(new), indent=indent, ensure_ascii=False)
    assert after.model_id in {entry["model_id"] for entry in json.loads(new)}

"""Reports as blocks: on a terminal and in Markdown, no text can be more than text."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.commands import fits_terminal

from spanforge.model_registry._cli.blocks import (
    MAX_CELL,
    Block,
    CellTable,
    FactList,
    Heading,
    ItemList,
    Paragraph,
    print_blocks,
    render_markdown,
    shorten_cell,
)
from spanforge.model_registry._cli.terminal import Styled

if TYPE_CHECKING:
    from collections.abc import Callable

MARKDOWN = MarkdownIt("commonmark", {"linkify": False}).enable("table").enable("strikethrough")
HOSTILE = st.text(max_size=60) | st.text("\\`*_{}[]()<>#+-=.!|~&$^@:/wh1 \n\t\x1b\u202e'\"", max_size=30)
KINDS: list[Callable[[str], Block]] = [
    Heading,
    lambda text: Paragraph(Styled(text, "error")),
    lambda text: FactList([("label", text)]),
    lambda text: CellTable(("a", text), [(text, "b")]),
    lambda text: ItemList([text, "last"]),
]
"""Blocks with a text."""


@settings(deadline=None)
@given(HOSTILE, st.sampled_from(KINDS))
@example("\x1b[31m\n\u202e", Heading)
@example("x" * 400, KINDS[3])
def test_no_text_controls_the_terminal(text: str, kind: Callable[[str], Block]) -> None:
    """A report fits 80 columns, ends each line without blanks, and has no character that controls the terminal."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_blocks([kind(text), Paragraph("end")])
    lines = printed.getvalue()
    assert fits_terminal(lines)
    assert lines.endswith("end\n")
    assert not any(line.endswith(" ") for line in lines.splitlines())


@settings(deadline=None)
@given(HOSTILE)
@example("1. one")
@example("- [x] `a` <b> & &amp; **c** ~~d~~ | e https://evil.example www.evil.example a@evil.example")
@example("---")
def test_no_text_is_markdown(text: str) -> None:
    """A reader of Markdown shows the text as it is, without any format, link or HTML."""
    shown = " ".join(shorten_cell(text).split())
    for kind in (Heading, Paragraph, lambda text: ItemList([text])):
        tokens = MARKDOWN.parse(render_markdown([kind(text)]))
        inline = [child for token in tokens for child in token.children or ()]
        assert {child.type for child in inline} <= {"text", "softbreak"}
        assert " ".join("".join(child.content for child in inline).split()) == shown
    assert len([token for token in tokens if token.type == "list_item_open"]) == 1


@settings(deadline=None)
@given(st.lists(HOSTILE, min_size=2, max_size=2))
def test_a_cell_stays_in_its_column(cells: list[str]) -> None:
    """A row of a table in Markdown has the cells that it was given."""
    tokens = MARKDOWN.parse(render_markdown([CellTable(("a", "b"), [cells])]))
    inline = [token for token in tokens if token.type == "inline"]
    found = ["".join(child.content for child in token.children or ()) for token in inline[2:]]
    assert [" ".join(text.split()) for text in found] == [" ".join(shorten_cell(cell).split()) for cell in cells]


def test_a_long_text_is_cut_off() -> None:
    """A text beyond the limit ends with an ellipsis."""
    assert shorten_cell("x" * (MAX_CELL + 1)) == "x" * MAX_CELL + "…"
    assert shorten_cell("x" * MAX_CELL) == "x" * MAX_CELL

"""The check of prose: long sentences, banned phrases and openings, in pages and in Python modules."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = Path(__file__).parent.parent / "tools"
PHRASES = runpy.run_path(str(TOOLS / "prose_phrases.py"))["PHRASES"]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(TOOLS)
    check: Callable[[str, str], list[Any]] = runpy.run_path(str(TOOLS / "prose.py"))["check"]


def words(number: int) -> str:
    """Return a sentence of so many words."""
    return f"{'word ' * (number - 1)}end."


SHORT = f"{words(10)} " * 9
"""Nine sentences, beside which one may be long."""
TABLE = "<!-- table: x -->\n| head | {} |\n| --- | --- |\n| cell | {} |\n<!-- end -->\n"


def faults(path: str, text: str) -> list[tuple[int, str, str]]:
    return [(fault.line, fault.rule, fault.detail.split("; ")[0]) for fault in check(path, text)]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        pytest.param(f"{SHORT}\n{words(41)}\n", [(2, "length", "41 words")], id="a sentence over the limit"),
        pytest.param(
            f"{SHORT}{words(26)}\n{words(26)}", [(1, "length", "26 words"), (2, "length", "26 words")], id="two"
        ),
        pytest.param(f"# {words(30)}\n\n{SHORT}\n", [], id="headings are no sentences"),
        pytest.param(f"{words(5)}\n\n- {words(20)}\n- {words(25)}\n", [], id="an item is a block"),
        pytest.param("- yes\n" * 30 + f"\n{words(26)}", [(32, "length", "26 words")], id="labels hide no sentences"),
        pytest.param(TABLE.format(words(20), words(25)), [], id="a cell is a block"),
        pytest.param(TABLE.format("x", words(41)), [(4, "length", "41 words")], id="generated tables count"),
        pytest.param(TABLE.format("x", "1.5 " * 50), [], id="figures"),
        pytest.param(f"A [link]({'x/' * 50} 't') <!-- {words(50)} --> and `{words(50)}` end.", [], id="no prose"),
        pytest.param(f"```text\n{words(50)} whoever\n```\n\nUse `whoever`.\n", [], id="code may say anything"),
        pytest.param("It\nis\n\nfor whoever\ncomes.\n", [(4, "phrase", "'whoever'")], id="a phrase"),
        pytest.param("It is\ntold.\n", [(1, "phrase", "'is told'")], id="a phrase on two lines"),
        pytest.param(TABLE.format("x", "It stands for y."), [(4, "phrase", "'stands for'")], id="a phrase in a cell"),
        pytest.param("- Each [comes\n  to](x.md) an end.\n- It is made of tables, e.g. two.\n", [], id="good prose"),
    ],
)
def test_pages(page: str, expected: list[tuple[int, str, str]]) -> None:
    """Long sentences and banned phrases of a page are faults with their lines; code, targets and comments are not."""
    assert faults("docs/page.md", page) == expected


BANNED = """\
Whoever is killed leaves the old file.
It is what one asks for.
Write it in one's own words.
The mark stands for a span.
The event stands under the heading.
It is how things stand.
A child is told of the fork.
What is not said is a default.
A change comes to every worker.
It finds what has to do with files.
It is what the layer makes of it.
All are to be kept.
Governed models are kept.
It believes the sender.
A stranger sent it.
Somebody retired it.
It is ever another model.
The first so many are kept.
It is what the provider answered with.
It answers inside every trace.
It waits until it is good.
The page says how.
It does not tell whether it ran.
It lets only senders say so.
It bears a name.
"""
"""An example for each banned phrase, in the order of the table."""
GOOD = """\
Everyone reads what one model writes and another refuses.
The entry of each one's owner stands.
It stands alone.
The server answered with an error.
The file came to an end.
Do this to do without it.
A table is made of rows.
The goal is to be fast.
It is governed by the licence.
Anybody may say what they want.
Say how.
You can tell whether it ran.
Ids tell models apart, and can be told apart.
If it is better, use it.
It lets you write.
A bear came.
"""
"""Similar sentences of good prose."""


def test_phrases() -> None:
    """Each banned phrase is found in an example of it, and none in good prose."""
    for sentence, instead in zip(BANNED.splitlines(), PHRASES.values(), strict=True):
        assert [fault.instead for fault in check("page.md", sentence)] == [f"write {instead}"], sentence
    assert faults("page.md", GOOD) == []


MODULE = '''"""A module for somebody."""

NAME = 1
"""What it stands for."""


def whoever(value):  # governed
    """{docstring}

    Args:
        value: The value ``is told``.
        strangers: {long}
    """
    # noqa: X100 - one's
    # own reason
    raise ValueError(f"{{value}} is told to be, says {{value}}")
'''


def test_python_modules() -> None:
    """Docstrings, comments and strings are checked, names and code are not."""
    text = MODULE.format(docstring="Return whether it is so.", long=words(41))
    documented = [
        (1, "phrase", "'somebody'"),
        (4, "phrase", "'stands for'"),
        (7, "phrase", "'governed'"),
        (8, "opening", "'Return whether'"),
        (12, "length", "41 words"),
        (14, "phrase", "'one's own'"),
    ]
    assert faults("tools/module.py", text) == documented
    assert faults("src/module.py", text) == [*documented, (16, "phrase", "'is told'")]


@pytest.mark.parametrize("docstring", ["Return the whatever-value.", "Check whether it is so.", "Return whatsit."])
def test_openings_are_whole_words(docstring: str) -> None:
    """A docstring may start with any other verb."""
    assert faults("tools/module.py", f'def f():\n    """{docstring}"""\n') == []


@given(lengths=st.lists(st.integers(4, 60), min_size=1, max_size=30), ends=st.sampled_from([" ", "\n", "\n\n", "\n- "]))
def test_a_page_has_faults_if_one_sentence_or_too_many_are_long(lengths: list[int], ends: str) -> None:
    """A page is good if no sentence has more than 40 words and a tenth at most has more than 25."""
    long = [length for length in lengths if length > 25]
    is_good = max(lengths) <= 40 and len(long) <= len(lengths) // 10
    found = check("page.md", ends.join(map(words, lengths)))
    assert (found == []) == is_good
    assert {fault.detail.split()[0] for fault in found} <= {str(length) for length in long}


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """The command prints a line for each fault and fails, or one line if there are none."""
    page = tmp_path / "page.md"
    command = [sys.executable, TOOLS / "prose.py", page]
    page.write_text("It is for somebody.\n", "utf-8")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    line = f"{page}:1: phrase: It is for somebody. ('somebody'); write name the role, as in 'an operator'\n"
    assert (result.returncode, result.stdout) == (1, line)
    page.write_text("It is for operators.\n", "utf-8")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "prose: no faults (files: 1)\n")

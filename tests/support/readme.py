"""The quick start of the README: its blocks, and an application as the README assumes it."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
_BLOCK = re.compile(r"^( *)<!-- readme: ([\w.]+) -->\n *```\w+\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
BLOCKS = {name: textwrap.dedent(block) for _, name, block in _BLOCK.findall(README)}
"""The blocks that have a name, each without its indentation."""
INSTALL, *START = BLOCKS["shell"].splitlines()
"""The line that installs packages, and the lines that start the application."""
ANSWERS = {"support-chat": "acme-chat-1-2026-05-13"}
"""The request model of the application, and the model that answers."""
APPLICATION = """
import openai

client = openai.OpenAI()
client.chat.completions.create(model="support-chat", messages=[{"role": "user", "content": "hello"}])
"""


def write_application(folder: Path) -> None:
    """Write the registry file of the README and the application into a folder."""
    (folder / "models.yaml").write_text(BLOCKS["models.yaml"], "utf-8")
    (folder / "app.py").write_text(APPLICATION, "utf-8")


def read_spans(output: str) -> Iterator[dict[str, Any]]:
    """Yield the spans that the console exporter printed."""
    decoder, at = json.JSONDecoder(), output.find("{")
    while at >= 0:
        span, end = decoder.raw_decode(output, at)
        yield span
        at = output.find("{", end)


def check_span(output: str) -> None:
    """Check that the call's span has the attributes that the README shows, with no other of the registry."""
    (attributes,) = [span["attributes"] for span in read_spans(output) if span["name"] == "chat support-chat"]
    shown = json.loads("{" + BLOCKS["span"] + "}")
    assert attributes.items() >= shown.items()
    assert {key for key in attributes if key.startswith("model_registry.")} <= set(shown)

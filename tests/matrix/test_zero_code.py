"""The README's zero-code start, as written, in a fresh environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.models_api import serving_models

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.matrix

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
START = "<!-- zero-code start -->\n```console\n"
APPLICATION = """
import openai

client = openai.OpenAI()
client.chat.completions.create(model="support-chat", messages=[{"role": "user", "content": "hello"}])
print("ends")
"""


def read_spans(output: str) -> Iterator[dict[str, Any]]:
    """Yield the spans that the console exporter printed."""
    decoder, at = json.JSONDecoder(), output.find("{")
    while at >= 0:
        span, end = decoder.raw_decode(output, at)
        yield span
        at = output.find("{", end)


def test_the_block_of_the_readme(environ: dict[str, str], wheel: Path, tmp_path: Path) -> None:
    """The block, with the wheel instead of the package's name, gives an LLM span its owner, tier and status.

    Only the application's own client and the exporter's settings are not in the block.
    """
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
    subprocess.run([python, "-m", "pip", "--quiet", "install", "openai"], check=True)
    block = README.partition(START)[2].partition("```")[0]
    registry = re.search(r"`models\.json`:\n\n```json\n(.*?)```", README, re.DOTALL)
    assert registry is not None
    (tmp_path / "models.json").write_text(registry[1])
    (tmp_path / "app.py").write_text(APPLICATION)
    assert "pip install spanforge-model-registry " in block
    script = block.replace("spanforge-model-registry", str(wheel), 1)
    with serving_models() as url:
        settings = {
            "PATH": f"{python.parent}{os.pathsep}{environ['PATH']}",
            "PYTHONPATH": "",
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "none",
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        }
        done = subprocess.run(
            ["/bin/sh", "-e"],
            input=script,
            env={**environ, **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    printed = done.stdout[done.stdout.index("ends") :]
    (attributes,) = [span["attributes"] for span in read_spans(printed) if "gen_ai.request.model" in span["attributes"]]
    assert (
        attributes.items()
        >= {
            "model_registry.model_id": "acme-chat-1",
            "model_registry.owner": "chat-team",
            "model_registry.risk_tier": "high",
            "model_registry.status": "active",
        }.items()
    )
    assert "no span named a model" not in done.stderr

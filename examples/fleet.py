"""An application that calls models repeatedly, so that dashboards have data.

``opentelemetry-instrument`` runs it, with a registry file, in ``collector-config/compose.yaml``. A local server
replaces the model's API. The application ends on SIGTERM or Ctrl-C, and OpenTelemetry then sends the remaining spans.
"""

from __future__ import annotations

import itertools
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import openai
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

sys.path.insert(0, str(Path(__file__).parent / "support_agent"))

from models_api import serving

MODELS = ("gpt-4o", "gpt-4o", "gpt-4o", "gpt-3.5-turbo", "gpt-4o", "gpt-4.1-nano", "gpt-4o", "text-davinci-003")
"""Models that are active, deprecated and unregistered, and one that the provider refuses."""
PAUSE = 1.0
"""Seconds between two calls."""


def main() -> None:
    """Call one model after another."""
    OpenAIInstrumentor().instrument()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), serving() as api, openai.OpenAI(base_url=api, api_key="none-needed") as client:
        for model in itertools.cycle(MODELS):
            with suppress(openai.NotFoundError):
                client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": "My router blinks red."}]
                )
            time.sleep(PAUSE)


if __name__ == "__main__":
    main()

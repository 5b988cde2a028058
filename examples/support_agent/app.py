"""The application: a support agent that handles one ticket with several models.

It is the ordinary code of an instrumented application, except for ``register_models`` and the line in ``telemetry.py``
that adds the processor. ``run.py`` starts it once for each instrumentation.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import openai
from opentelemetry import trace
from telemetry import instrument, traced

from spanforge.model_registry import deprecate_model, get_default_registry, register_model, retire_model

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

TICKET: list[ChatCompletionMessageParam] = [{"role": "user", "content": "My router blinks red since this morning."}]


def register_models() -> None:
    """Register the models that this organisation runs, at the start of the application."""
    register_model(
        "gpt-4o",
        "GPT-4o",
        "2024-08-06",
        "high",
        "ml-platform",
        "answers customers",
        aliases=["gpt-4o-20??-??-??"],
        actor="ci",
    )
    register_model(
        "gpt-4o-mini", "GPT-4o mini", "2024-07-18", "medium", "ml-platform", "drafts replies", aliases=["support-chat"]
    )
    register_model("text-embedding-3-small", "Embedding 3", "small", "low", "search-team", "searches the manual")
    register_model("gpt-3.5-turbo", "GPT-3.5 Turbo", "0125", "medium", "support-team", "sums tickets up")
    register_model("text-davinci-003", "Davinci", "003", "critical", "support-team", "first prototype")
    retire_model("text-davinci-003", reason="prototype has ended")


def handle_ticket(client: openai.OpenAI) -> None:
    """Handle a ticket in one request, with a span for each step."""
    step = trace.get_tracer("support-agent").start_as_current_span
    chat = client.chat.completions.create
    with step("handle ticket"):
        with step("search manual"):
            client.embeddings.create(model="text-embedding-3-small", input="router blinks red")
        with step("answer"):
            chat(model="gpt-4o", messages=TICKET)
        with step("draft, streamed"):
            for _ in chat(model="support-chat", messages=TICKET, stream=True):
                pass
        with step("sum up"):
            chat(model="gpt-3.5-turbo", messages=TICKET)
        with step("old prompt"), suppress(openai.NotFoundError):  # the provider no longer serves this model
            chat(model="text-davinci-003", messages=TICKET)
        with step("translate"):
            chat(model="gpt-4.1-nano", messages=TICKET)


def review_models() -> None:
    """Deprecate a model inside a request, as an administrator would. The event is added to the request's span."""
    with trace.get_tracer("support-agent").start_as_current_span("review models"):
        deprecate_model(
            "gpt-3.5-turbo", reason="no longer improved", successor="gpt-4o-mini", sunset_date="2027-03-31", actor="kim"
        )


def main(instrumentation: str, api: str, file: str, models: str) -> None:
    """Run the application once, and save its registry to a file."""
    with traced(file):
        instrument(instrumentation)
        register_models()
        review_models()
        direct = openai.DefaultHttpxClient(trust_env=False)  # loopback, without the proxies of the environment
        with openai.OpenAI(base_url=api, api_key="none-needed", max_retries=0, http_client=direct) as client:
            handle_ticket(client)
    get_default_registry().save(models)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A loopback server that replaces the paid APIs of OpenAI, Anthropic, Google and Amazon Bedrock. Its clients are real.

Like the real APIs, it answers with another model name than the requested one, and refuses an unknown model.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

sys.path.append(str(Path(__file__).parents[2] / "examples" / "support_agent"))

from models_api import listening

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

ANSWERED_BY = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "text-embedding-3-small": "text-embedding-3-small",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-3-haiku": "claude-3-haiku-20240307",
    "amazon.nova-lite-v1:0": "amazon.nova-lite-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5-20250929",
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0": (
        "claude-sonnet-4-5-20250929"
    ),
    "gemini-2.5-flash": "gemini-2.5-flash",
    "team-chat": "gpt-4o-2024-08-06",
}
"""The models that are served, and the names under which they answer."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a call of a model."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/traces"):  # what vendors' own exporters send
            self.send("", kind="application/x-protobuf")
            return
        request = json.loads(body)
        path, _, operation = self.path.partition("?")[0].rpartition("/")
        name, _, method = operation.partition(":")  # as Google writes it
        in_path = unquote(path.rpartition("/")[2] if operation in {"converse", "invoke"} else name)
        asked = in_path if "/model" in path else request["model"]
        model = ANSWERED_BY.get(asked)
        if model is None:
            self.refuse(asked)
        elif operation == "converse":
            self.send(json.dumps(converse()))
        elif operation == "invoke":
            self.send(json.dumps(message(model)))
        elif method == "streamGenerateContent":
            self.send(f"data: {json.dumps(content(model))}\n\n", kind="text/event-stream")
        elif method:
            self.send(json.dumps(content(model)))
        elif self.path.endswith("/embeddings"):
            self.send(json.dumps(embedding(model)))
        elif self.path.endswith("/messages"):
            self.answer(request, message(model), anthropic_events(model))
        else:
            self.answer(request, completion(model), openai_events(model))

    def answer(self, request: dict[str, Any], whole: dict[str, Any], events: list[str]) -> None:
        """Answer whole or, where that is asked for, as a stream."""
        if request.get("stream"):
            self.send("".join(events), kind="text/event-stream")
        else:
            self.send(json.dumps(whole))

    def refuse(self, asked: str) -> None:
        """Say that there is no such model, in a form that all the clients read."""
        error: dict[str, Any] = {
            "message": f"no model {asked}",
            "type": "not_found_error",
            "param": None,
            "code": "model_not_found",
        }
        if ":" in self.path.rpartition("/")[2]:  # Google's codes are numbers
            error = {"message": f"no model {asked}", "status": "NOT_FOUND", "code": 404}
        self.send(json.dumps({"type": "error", "error": error, "message": error["message"]}), status=404)

    def send(self, text: str, status: int = 200, kind: str = "application/json") -> None:
        """Send a response."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-ErrorType", "ResourceNotFoundException")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Keep quiet."""


def completion(model: str) -> dict[str, Any]:
    """Return OpenAI's chat completion."""
    reply = {"role": "assistant", "content": "hello", "refusal": None}
    choices = [{"index": 0, "message": reply, "finish_reason": "stop", "logprobs": None}]
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": model}
    return {**head, "choices": choices, "usage": usage}


def openai_events(model: str) -> list[str]:
    """Return OpenAI's chat completion as server-sent events."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    parts = [({"role": "assistant", "content": "hello"}, None), ({}, "stop")]
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]} for delta, end in parts]
    return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]


def embedding(model: str) -> dict[str, Any]:
    """Return OpenAI's embedding."""
    item = {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}
    return {"object": "list", "data": [item], "model": model, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def message(model: str) -> dict[str, Any]:
    """Return Anthropic's message."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    end = {"stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1}}
    return {**head, "content": [{"type": "text", "text": "hello"}], **end}


def anthropic_events(model: str) -> list[str]:
    """Return Anthropic's message as server-sent events."""
    events = [
        {"type": "message_start", "message": {**message(model), "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def converse() -> dict[str, Any]:
    """Return Bedrock's answer of ``Converse``, which names no model."""
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4},
        "metrics": {"latencyMs": 1},
    }


def content(model: str) -> dict[str, Any]:
    """Return Google's answer of ``generateContent``."""
    candidate = {"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "1"}


def serving() -> AbstractContextManager[str]:
    """Serve on a free port of loopback; give its URL."""
    return listening(Handler)

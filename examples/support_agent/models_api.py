"""A local replacement of a provider's paid API: chat completions, streamed or not, and embeddings.

As the real API does, it responds with dated model names, such as ``gpt-4o-2024-08-06`` for ``gpt-4o``. It refuses
models that it no longer serves with a 404. Its texts are fixed; everything else in the demo is real.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERED_BY = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "support-chat": "gpt-4o-mini-2024-07-18",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "text-embedding-3-small": "text-embedding-3-small",
}
"""The models that are served. ``support-chat`` is the name of a deployment, as gateways use them."""

WORDS = ("Please", "restart", "the", "router", "and", "tell", "us", "what", "the", "lamp", "does.")
USAGE = {"prompt_tokens": 21, "completion_tokens": len(WORDS), "total_tokens": 21 + len(WORDS)}


class Handler(BaseHTTPRequestHandler):
    """Responds to one request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Respond to a call of a model."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = ANSWERED_BY.get(request["model"])
        if model is None:
            message = f"The model `{request['model']}` does not exist or you do not have access to it."
            error = {"message": message, "type": "invalid_request_error", "param": None, "code": "model_not_found"}
            self._send(404, "application/json", json.dumps({"error": error}))
        elif self.path.endswith("/embeddings"):
            self._send(200, "application/json", json.dumps(embedding(model)))
        elif request.get("stream"):
            chunks = [f"data: {json.dumps(chunk)}\n\n" for chunk in stream(model)]
            self._send(200, "text/event-stream", "".join([*chunks, "data: [DONE]\n\n"]))
        else:
            self._send(200, "application/json", json.dumps(completion(model)))

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


def completion(model: str) -> dict[str, Any]:
    """Return a chat completion."""
    message = {"role": "assistant", "content": " ".join(WORDS), "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [choice],
        "usage": USAGE,
    }


def stream(model: str) -> Iterator[dict[str, Any]]:
    """Yield a chat completion word by word, and the usage at the end."""
    head = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": model}
    for word in WORDS:
        delta = {"role": "assistant", "content": f"{word} "}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {**head, "choices": [], "usage": USAGE}


def embedding(model: str) -> dict[str, Any]:
    """Return an embedding of three numbers."""
    item = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}
    return {"object": "list", "data": [item], "model": model, "usage": {"prompt_tokens": 8, "total_tokens": 8}}


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port of loopback, and yield the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@contextmanager
def serving() -> Iterator[str]:
    """Serve on a free port of loopback, and yield the base URL for a client."""
    with listening(Handler) as url:
        yield f"{url}/v1"

"""A web service that asks a model. It knows nothing of the model registry, nor of OpenTelemetry."""

from __future__ import annotations

import os

import openai
from fastapi import FastAPI

app = FastAPI()
client = openai.AsyncOpenAI()


@app.get("/ask")
async def ask(question: str) -> dict[str, int | str | None]:
    """Answer a question, and say which worker did."""
    answer = await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}])
    return {"worker": os.getpid(), "answer": answer.choices[0].message.content}

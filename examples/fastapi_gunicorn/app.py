"""A web service that calls a model. Its code uses neither the model registry nor OpenTelemetry."""

from __future__ import annotations

import os

import openai
from fastapi import FastAPI

app = FastAPI()
client = openai.AsyncOpenAI()


@app.get("/ask")
async def ask(question: str) -> dict[str, int | str | None]:
    """Answer a question, and return the process id of the worker with the answer."""
    answer = await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": question}])
    return {"worker": os.getpid(), "answer": answer.choices[0].message.content}

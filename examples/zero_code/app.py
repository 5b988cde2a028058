"""An application that calls models. Its code uses neither the model registry nor OpenTelemetry."""

from __future__ import annotations

import openai

QUESTION = "My router blinks red since this morning."


def main() -> None:
    """Send the same question to three models."""
    with openai.OpenAI() as client:
        for model in ("gpt-4o", "gpt-3.5-turbo", "gpt-4.1-nano"):
            answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}])
            print(f"{model} says: {answer.choices[0].message.content}")


if __name__ == "__main__":
    main()

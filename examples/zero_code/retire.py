"""Retires a model, as an administrator or a pipeline would: its event goes where the application's spans go."""

from spanforge.model_registry import retire_model

retire_model("gpt-3.5-turbo", reason="contract has ended", actor="kim")

"""A script that retires a model, as an administrator or a pipeline would. The backend of spans receives the event."""

from spanforge.model_registry import retire_model

retire_model("gpt-3.5-turbo", reason="contract has ended", actor="kim")

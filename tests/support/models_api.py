"""The stand-in for a provider's API that the examples use."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FILE = Path(__file__).parents[2] / "examples" / "support_agent" / "models_api.py"


@contextmanager
def serving_models(answers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the stand-in, and give its URL.

    Args:
        answers: Further models that it serves, each with the model that answers.
    """
    spec = importlib.util.spec_from_file_location("models_api", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ANSWERED_BY.update(answers or {})
    with module.serving() as url:
        yield url

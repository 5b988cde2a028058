"""Files of unfinished entries, completed as ``UnfinishedEntry.check`` assumes."""

from __future__ import annotations

import re

from spanforge.model_registry._cli.unfinished_entries import FILL_IN


def fill_in(text: str) -> str:
    """Write the values that ``UnfinishedEntry.check`` assumes into each empty field."""

    def write_value(match: re.Match[str]) -> str:
        return f"{match[1]}{match[2]}: {'low' if match[2] == 'risk_tier' else 'unknown'}"

    return re.sub(rf"^(  |- )(\w+):  {FILL_IN}.*$", write_value, text, flags=re.MULTILINE)

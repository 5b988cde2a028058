"""A generator of the blocks in the Collector's configuration that repeat tables of the code.

A block is between the comments ``# generated: <name>`` and ``# end``. With ``--check``, the program only compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.conventions import CONVENTIONS, NOT_CALLS, PROVIDER_KEYS
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS, RISK_TIERS, STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FILE: Final = Path(__file__).resolve().parent.parent / "collector-config" / "collector.yaml"
BLOCK: Final = re.compile(r"^( *)# generated: (\w+)\n.*?^\1# end\n", re.DOTALL | re.MULTILINE)

TIERS: Final = [tier for tier in RISK_TIERS if tier in FLAGGED_TIERS]
STATUSES_ON_SPANS: Final = [*(status for status in STATUSES if status in FLAGGED_STATUSES), UNREGISTERED]
FURTHER_FACTS: Final = ("gen_ai.response.id", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "error.type")
"""The attributes of the archive that are not the registry's and do not name a model, a provider or a kind of span."""
REQUEST_MODEL: Final = "gen_ai.request.model"


def attribute(key: str) -> str:
    """Return the path of a span's attribute."""
    return f'span.attributes["{key}"]'


def one_of(values: Iterable[str]) -> str:
    """Return a regular expression that matches only these texts."""
    return f'"^({"|".join(values)})$"'


def model_names() -> Iterator[str]:
    """Yield the conditions that a span names a model."""
    for row in CONVENTIONS:
        scope = "" if row.scope is None else f' and scope.name == "{row.scope}"'
        yield f"- {attribute(row.key)} != nil{scope}"


def flagged() -> Iterator[str]:
    """Yield the conditions that the model of a span is flagged."""
    yield f"- IsMatch({attribute(f'{PREFIX}status')}, {one_of(STATUSES_ON_SPANS)})"
    yield f"- IsMatch({attribute(f'{PREFIX}risk_tier')}, {one_of(TIERS)})"


def flagged_tiers() -> Iterator[str]:
    """Yield the flagged risk tiers, for tail sampling."""
    yield f"values: [{', '.join(TIERS)}]"


def flagged_statuses() -> Iterator[str]:
    """Yield the flagged statuses, for tail sampling."""
    yield f"values: [{', '.join(STATUSES_ON_SPANS)}]"


def parameters() -> Iterator[str]:
    """Yield the statements that reduce JSON parameters to the model's name."""
    cached = 'span.cache["parameters"]'
    for row in CONVENTIONS:
        if row.member is not None:
            value, member = attribute(row.key), row.member
            yield "- statements:"
            yield f"    - set({cached}, ParseJSON({value})) where IsString({value})"
            yield f'    - delete_key(span.attributes, "{row.key}")'
            yield f'    - keep_keys({cached}, ["{member}"]) where IsMap({cached})'
            yield f'    - set({value}, String({cached})) where IsMap({cached}) and IsString({cached}["{member}"])'


def archived_attributes() -> Iterator[str]:
    """Yield the statements that remove all attributes of spans except those of the archive."""
    keys = dict.fromkeys((*(row.key for row in CONVENTIONS), *PROVIDER_KEYS, *NOT_CALLS, *FURTHER_FACTS))
    patterns = [f"{PREFIX}*", *keys]
    expression = one_of(key.replace(".", r"\\.").replace("*", ".*") for key in patterns)
    yield "- >-"
    yield f"  keep_matching_keys(span.attributes, {expression})"
    for row in CONVENTIONS:
        if row.scope is not None:
            yield f'- delete_key(span.attributes, "{row.key}") where scope.name != "{row.scope}"'


def not_calls() -> Iterator[str]:
    """Yield the conditions with which a span that names a model is not a call."""
    for key, values in NOT_CALLS.items():
        yield f"- IsMatch({attribute(key)}, {one_of(sorted(values))})"
    for row in CONVENTIONS:
        if row.scope is not None:
            others = f'{attribute(REQUEST_MODEL)} == nil and scope.name == "{row.scope}"'
            yield f"- {attribute(row.key)} != nil and {others}"


def model_label() -> Iterator[str]:
    """Yield the statements that set the label with the model's name: that of the request, else that of the response."""
    rows = [row for row in CONVENTIONS if row.scope is row.member is None]
    rows.sort(key=lambda row: (row.response, row.by_gateway))
    values = ",\n  ".join(attribute(key) for key in (*(row.key for row in rows), f"{PREFIX}model_id"))
    yield "- >-"
    yield from f"  set({attribute(REQUEST_MODEL)}, Coalesce([\n  {values}]))".splitlines()


BLOCKS: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "archived_attributes": archived_attributes,
    "flagged": flagged,
    "flagged_statuses": flagged_statuses,
    "flagged_tiers": flagged_tiers,
    "model_label": model_label,
    "model_names": model_names,
    "not_calls": not_calls,
    "parameters": parameters,
}


def update(text: str) -> str:
    """Return the configuration with its generated blocks up to date."""

    def render(block: re.Match[str]) -> str:
        indent, name = block.groups()
        lines = [f"# generated: {name}", *BLOCKS[name](), "# end"]
        return "".join(f"{indent}{line}\n" for line in lines)

    return BLOCK.sub(render, text)


def main(arguments: list[str]) -> int:
    """Update the configuration, or with ``--check`` report that it is out of date."""
    text = FILE.read_text("utf-8")
    if update(text) == text:
        return 0
    if "--check" in arguments:
        print(f"collector-config/{FILE.name} is out of date: run make docs", file=sys.stderr)
        return 1
    FILE.write_text(update(text), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A generator of the blocks in the Collector's configuration that repeat tables of the code.

A block is between the comments ``# generated: <name>`` and ``# end``. With ``--check``, the program only compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spanforge.model_registry._core.attributes import PREFIX
from spanforge.model_registry._core.collector_paths import attribute
from spanforge.model_registry._core.conventions import CONVENTIONS, DECIDING_KEYS, PROVIDER_KEYS
from spanforge.model_registry._core.lifecycle import FLAGGED_STATUSES, FLAGGED_TIERS, RISK_TIERS, STATUSES
from spanforge.model_registry._core.resolution import UNREGISTERED
from spanforge.model_registry._core.span_kinds import CALL_EVIDENCE, INFRASTRUCTURE, NOT_CALLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from spanforge.model_registry._core.conventions import Convention

FILE: Final = Path(__file__).resolve().parent.parent / "collector-config" / "collector.yaml"
BLOCK: Final = re.compile(r"^( *)# generated: (\w+)\n.*?^\1# end\n", re.DOTALL | re.MULTILINE)

TIERS: Final = [tier for tier in RISK_TIERS if tier in FLAGGED_TIERS]
STATUSES_ON_SPANS: Final = [*(status for status in STATUSES if status in FLAGGED_STATUSES), UNREGISTERED]
FURTHER_FACTS: Final = ("gen_ai.response.id", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "error.type")
"""The attributes of the archive that are not the registry's and do not name a model, a provider or a kind of span."""
REQUEST_MODEL: Final = "gen_ai.request.model"
DOT: Final = r"\\."
"""A dot in a regular expression, in a string of OTTL."""
JSON_QUOTE: Final = r"\"?"
"""What may be around a value in a regular expression, in a string of OTTL: MLflow writes values as JSON."""


def one_of(values: Iterable[str], quote: str = "") -> str:
    """Return a regular expression that matches only these texts, with what may be around them."""
    return f'"^{quote}({"|".join(value.replace(".", DOT) for value in values)}){quote}$"'


def is_set(key: str) -> str:
    """Return the condition that a span has an attribute."""
    return f"{attribute(key)} != nil"


def in_scope(row: Convention) -> str:
    """Return the condition that a span has the key of a convention in the convention's scope."""
    return is_set(row.key) if row.scope is None else f'{is_set(row.key)} and scope.name == "{row.scope}"'


def model_names() -> Iterator[str]:
    """Yield the conditions that a span names a model."""
    yield from dict.fromkeys(f"- {in_scope(row)}{also(row)}" for row in CONVENTIONS)


def also(row: Convention) -> str:
    """Return the further condition of a convention, if it has one."""
    if row.when is None:
        return ""
    if not row.when.values:
        return f" and {is_set(row.when.key)}"
    return f" and IsMatch({attribute(row.when.key)}, {one_of(row.when.values, JSON_QUOTE)})"


def flagged() -> Iterator[str]:
    """Yield the conditions that the model of a span is flagged."""
    yield f"- IsMatch({attribute(f'{PREFIX}status')}, {one_of(STATUSES_ON_SPANS)})"
    yield f"- IsMatch({attribute(f'{PREFIX}risk_tier')}, {one_of(TIERS)})"
    yield f"- {attribute(f'{PREFIX}response_registered')} == false"


def flagged_tiers() -> Iterator[str]:
    """Yield the flagged risk tiers, for tail sampling."""
    yield f"values: [{', '.join(TIERS)}]"


def flagged_statuses() -> Iterator[str]:
    """Yield the flagged statuses, for tail sampling."""
    yield f"values: [{', '.join(STATUSES_ON_SPANS)}]"


def parameters() -> Iterator[str]:
    """Yield the statements that reduce JSON parameters to the model's names."""
    cached = 'span.cache["parameters"]'
    for key in dict.fromkeys(row.key for row in CONVENTIONS if row.member is not None):
        value, members = attribute(key), [row.member for row in CONVENTIONS if row.key == key and row.member]
        names = ", ".join(f'"{member}"' for member in members)
        yield "- conditions:"
        yield f"    - {is_set(key)}"
        yield "  statements:"
        yield f"    - set({cached}, ParseJSON({value})) where IsString({value})"
        yield f'    - delete_key(span.attributes, "{key}")'
        yield f"    - keep_keys({cached}, [{names}]) where IsMap({cached})"
        for member in members:
            found = f'{cached}["{member}"]'
            yield f'    - delete_key({cached}, "{member}") where IsMap({cached}) and not IsString({found})'
        yield f"    - set({value}, String({cached})) where IsMap({cached}) and Len({cached}) > 0"


def archived_attributes() -> Iterator[str]:
    """Yield the statements that remove all attributes of spans except those of the archive."""
    facts = dict.fromkeys((*(row.key for row in CONVENTIONS), *PROVIDER_KEYS, *NOT_CALLS, *sorted(DECIDING_KEYS)))
    keys = dict.fromkeys((*facts, *FURTHER_FACTS))
    expression = "|".join((f"{PREFIX}*".replace(".", DOT).replace("*", ".*"), *(key.replace(".", DOT) for key in keys)))
    yield "- >-"
    yield f'  keep_matching_keys(span.attributes, "^({expression})$")'
    for key in dict.fromkeys(row.key for row in CONVENTIONS if row.scope is not None):
        scopes = " and ".join(f'scope.name != "{row.scope}"' for row in CONVENTIONS if row.key == key)
        yield f'- delete_key(span.attributes, "{key}") where {scopes}'


def not_calls() -> Iterator[str]:
    """Yield the conditions with which a span that names a model is not a call."""
    for key, values in NOT_CALLS.items():
        yield f"- IsMatch({attribute(key)}, {one_of(sorted(values), JSON_QUOTE)})"
    for row in CONVENTIONS:
        if row.calls_have is not None:
            missing = dict.fromkeys((row.calls_have, REQUEST_MODEL))
            yield f"- {' and '.join((in_scope(row), *(f'{attribute(key)} == nil' for key in missing)))}"
    rows = [" and ".join(map(is_set, dict.fromkeys(row))) for row in INFRASTRUCTURE]
    yield "- >-"
    yield f"  ({' or '.join(rows)})"
    for key in CALL_EVIDENCE:
        yield f"  and {attribute(key)} == nil"


def model_label() -> Iterator[str]:
    """Yield the statements that set the label with the model's name: that of the request, else that of the response."""
    rows = [row for row in CONVENTIONS if row.scope is row.member is None and row.when is None]
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

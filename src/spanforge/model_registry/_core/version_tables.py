"""Tables of what may follow the base name of a model: tags, snapshots and revisions; and of placeholders."""

from __future__ import annotations

from typing import Final

import msgspec


class Tag(msgspec.Struct, frozen=True, gc=False):
    """One row of ``NAME_TAGS``: text behind a colon or an at sign that does not change the model.

    Attributes:
        text: The text behind the colon or the at sign.
        moving: Whether the name means the newest snapshot.
        source: Where the text is documented.
        example: A name with the text.
        base: The base name of the example.
    """

    text: str
    moving: bool
    source: str
    example: str
    base: str


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """One row of ``SNAPSHOTS``: a date at the end of a name.

    Attributes:
        form: The date as the documentation shows it.
        pattern: Its regular expression, with ``{Y}`` and ``{y}`` for a year of four or two digits, ``{M}`` and ``{D}``.
        source: Where the form is documented, or where it was seen.
        example: A name with the date.
        base: The base name of the example.
        snapshot: The snapshot of the example.
    """

    form: str
    pattern: str
    source: str
    example: str
    base: str
    snapshot: str


class Revision(msgspec.Struct, frozen=True, gc=False):
    """One row of ``REVISIONS``: a version number at the end of a name, which a provider adds to a model's own name.

    Attributes:
        form: The number as the documentation shows it.
        pattern: Its regular expression. The group is the number; a form without a group is only removed.
        at_bedrock: Whether only Bedrock writes it. Then it needs Bedrock's route, or a vendor before a dot.
        source: Where the form is documented.
        example: A name with the number.
        base: The base name of the example.
    """

    form: str
    pattern: str
    at_bedrock: bool
    source: str
    example: str
    base: str


_BEDROCK_IDS = "https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html"
_VARIANTS = "https://openrouter.ai/docs/guides/routing/model-variants"
NAME_TAGS: Final = (
    Tag("latest", True, "https://ollama.com/library; Vertex AI", "llama3.3:latest", "llama3-3"),
    Tag("default", True, "https://cloud.google.com/vertex-ai/docs", "claude-opus-4-6@default", "claude-opus4-6"),
    Tag("beta", False, f"{_VARIANTS} (former)", "anthropic/claude-3.5-sonnet:beta", "claude3-5-sonnet"),
    Tag("batch", False, f"{_VARIANTS}; litellm 1.104.5", "openai/gpt-4o:batch", "gpt4o"),
    Tag("free", False, _VARIANTS, "deepseek/deepseek-r1:free", "deepseek-r1"),
    Tag("nitro", False, _VARIANTS, "openai/gpt-4o:nitro", "gpt4o"),
    Tag("floor", False, _VARIANTS, "openai/gpt-4o:floor", "gpt4o"),
    Tag("exacto", False, _VARIANTS, "moonshotai/kimi-k2:exacto", "kimi-k2"),
    Tag("fastest", False, "https://huggingface.co/docs/inference-providers", "Qwen/Qwen3-32B:fastest", "qwen3-32b"),
    Tag("cheapest", False, "https://huggingface.co/docs/inference-providers", "Qwen/Qwen3-32B:cheapest", "qwen3-32b"),
    Tag("preferred", False, "https://huggingface.co/docs/inference-providers", "Qwen/Qwen3-32B:preferred", "qwen3-32b"),
)
"""The tags of gateways and clouds. Those that are not moving need a vendor's organisation before the model."""

_NO_SIZE = "(?!0512|1024|1216)"
_OPENAI = "https://platform.openai.com/docs/models"
_MISTRAL = "https://docs.mistral.ai/getting-started/models"

SNAPSHOTS: Final = (
    Snapshot("-YYYY-MM-DD", "{Y}-{M}-{D}", _OPENAI, "gpt-4o-2024-08-06", "gpt4o", "2024-08-06"),
    Snapshot("-YYYY-MM", "{Y}-{M}", "litellm 1.110.2", "gigaembeddings-3b-2025-09", "gigaembeddings3b", "2025-09"),
    Snapshot(
        "-YYYYMMDD, @YYYYMMDD",
        "{Y}{M}{D}",
        "https://docs.claude.com/en/docs/about-claude/models; Vertex AI",
        "claude-sonnet-4-5@20250929",
        "claude-sonnet4-5",
        "2025-09-29",
    ),
    Snapshot(
        "-MM-YYYY",
        "{M}-{Y}",
        "https://docs.cohere.com/docs/models; Gemini API",
        "command-r-plus-08-2024",
        "command-r-plus",
        "2024-08",
    ),
    Snapshot("-YYMMDD", "{y}{M}{D}", "Volcengine Ark", "kimi-k2-thinking-251104", "kimi-k2-thinking", "2025-11-04"),
    Snapshot("-MMDD", f"{_NO_SIZE}{{M}}{{D}}", _OPENAI, "gpt-4-0613", "gpt4", "06-13"),
    Snapshot("-YYMM", f"{_NO_SIZE}{{y}}{{M}}", _MISTRAL, "mistral-large-2411", "mistral-large", "2024-11"),
    Snapshot(
        "-MM-DD",
        "(?:(?<=-preview-)|(?<=-exp-)){M}-{D}",
        "https://ai.google.dev/gemini-api/docs/models",
        "gemini-2.5-pro-preview-05-06",
        "gemini2-5-pro-preview",
        "05-06",
    ),
)
"""The dates of snapshots. 0512, 1024 and 1216 are sizes."""

REVISIONS: Final = (
    Revision("-vN:0", "-(v[0-9]{1,3}):0", False, _BEDROCK_IDS, "amazon.nova-pro-v1:0", "nova-pro"),
    Revision("-1:0", "(?<![0-9])-(1):0", True, _BEDROCK_IDS, "openai.gpt-oss-120b-1:0", "gpt-oss120b"),
    Revision(":0", ":0", False, _BEDROCK_IDS, "cohere.rerank-v3-5:0", "rerank3-5"),
    Revision("-vN", "-(v[0-9]{1,3})", True, _BEDROCK_IDS, "anthropic.claude-opus-4-6-v1", "claude-opus4-6"),
    Revision(
        "-YYYYMMDD-vN",
        "(?<=-20[0-9]{6})-(v[0-9]{1,3})",
        False,
        "OpenLLMetry 0.62.4, which cuts the end off Bedrock's names",
        "claude-sonnet-4-5-20250929-v1",
        "claude-sonnet4-5",
    ),
    Revision(
        "-001, @001",
        "-(0[0-9]{2})",
        False,
        "https://cloud.google.com/vertex-ai/generative-ai/docs/learn/model-versions",
        "gemini-1.5-pro-002",
        "gemini1-5-pro",
    ),
)
"""The numbers of revisions."""

PLACEHOLDERS: Final = frozenset(
    {
        "",
        "-",
        "<unknown>",
        "_other",
        "other",
        "n/a",
        "na",
        "nil",
        "no model",
        "none",
        "not specified",
        "null",
        "undefined",
        "unknown",
        "unknown model",
        "unknown-model",
        "unknown_model",
        "unspecified",
    }
)
"""Values of model attributes that name no model, in lower case."""

"""Strategies for model names and registries: any text, and real names whose forms and globs are in conflict."""

from __future__ import annotations

from hypothesis import strategies as st

from spanforge.model_registry import ModelRegistryEntry
from spanforge.model_registry._core.provider_tables import PROVIDERS

WORDS = """
a x v p 0 1 4 9 0613 2024 20240513 -05 -13 001 -v1 :0 - -- _ . : @ / " \\ latest default -maas databricks- free
openai/ openai: us. anthropic. deepseek. azure/ eu/ models/ projects/ arn: ft: gpt-35- meta-llama- system.ai. :together
"""
PIECES = st.sampled_from([*WORDS.split(), " ", "\n", "\x00", "\ud800", "İ", "Σ", "é", "٣"])
NAMES = st.text(max_size=40) | st.lists(PIECES, max_size=12).map("".join)
SPAN_PROVIDERS = st.none() | st.sampled_from([row.name for row in PROVIDERS])

REAL_IDS = (
    "gpt-4o",
    "azure/gpt-4o",
    "gpt-4o-2024-05-13",
    "GPT-4o",
    "claude-sonnet-4-5",
    "claude-4.5-sonnet",
    "nova-v1",
)
REAL_NAMES = (
    *REAL_IDS,
    "azure/gpt-4o-2024-05-13",
    "openai/gpt-4o-2024-08-06",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gpt-4o-mini",
    "nova-v2:0",
)
REAL_ALIASES = st.sampled_from([*REAL_NAMES, "gpt-4o*", "gpt-*", "*-2024-05-*", "*sonnet*", "azure/*", "*"])
ENTRIES = st.lists(
    st.builds(
        lambda model_id, aliases, provider: ModelRegistryEntry(
            model_id, "N", "1", "low", "t", "p", metadata={"aliases": aliases, "provider": provider}
        ),
        st.sampled_from(REAL_IDS),
        st.lists(REAL_ALIASES, max_size=2),
        st.sampled_from([None, "azure", "azure.ai.openai", "openai", ["aws.bedrock", "openai"]]),
    ),
    unique_by=lambda entry: entry.model_id,
    max_size=5,
)

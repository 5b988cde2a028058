"""Tables of the routes of model names: paths, segments, geographies, and the words that providers add."""

from __future__ import annotations

from typing import Final

import msgspec

from spanforge.model_registry._core.provider_tables import (
    AZURE,
    BEDROCK,
    DATABRICKS,
    GOOGLE,
    GRADIENT,
    OCI,
    SNOWFLAKE,
)


class Path(msgspec.Struct, frozen=True, gc=False):
    """One row of ``PATHS``: the parts before a model in a cloud's resource name.

    Attributes:
        template: The parts, with ``*`` for any part.
        provider: The provider whose path it is; ``None`` if several use it.
        source: Where the path is documented, or where it was seen.
        example: A name with the path.
        base: The base name of the example.
    """

    template: str
    provider: str | None
    source: str
    example: str
    base: str


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One row of ``SEGMENTS``: a part of a name that only has a meaning behind one provider's route.

    Attributes:
        pattern: The regular expression of the whole part.
        provider: The provider.
        source: Where the part is documented, or where it was seen.
        example: A name with the part.
        base: The base name of the example.
    """

    pattern: str
    provider: str
    source: str
    example: str
    base: str


class Word(msgspec.Struct, frozen=True, gc=False):
    """One row of ``PROVIDER_WORDS``: text at the start or the end of a name that a provider adds or writes differently.

    Attributes:
        text: The text as written. It ends with a hyphen at the start of a name, and starts with one at the end.
        means: The text that replaces it.
        provider: The provider that writes it; ``None`` if it means the same everywhere.
        marks: Whether the text alone shows the provider. Otherwise, the route or the span must name the provider.
        source: Where the text is documented, or where it was seen.
        example: A name with the text.
        base: The base name of the example.
    """

    text: str
    means: str
    provider: str | None
    marks: bool
    source: str
    example: str
    base: str


class Documented(msgspec.Struct, frozen=True, gc=False):
    """One value of ``DOCUMENTED_NAMES``.

    Attributes:
        means: The name that the provider's documentation gives to the model.
        source: The documentation.
    """

    means: str
    source: str


_VERTEX = "Vertex AI resource names, https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference"
_BEDROCK_MODELS = "https://docs.aws.amazon.com/bedrock/latest/userguide/models-supported.html"
_LITELLM = "litellm 1.110.2"

PATHS: Final = (
    Path(
        "projects/*/locations/*/publishers/*/models",
        GOOGLE,
        _VERTEX,
        "projects/p1/locations/us-central1/publishers/google/models/gemini-2.5-pro",
        "gemini2-5-pro",
    ),
    Path("publishers/*/models", GOOGLE, _VERTEX, "publishers/anthropic/models/claude-3-haiku", "claude3-haiku"),
    Path("publishers/*", GOOGLE, "OpenLLMetry 0.62.4", "publishers/google/gemini-2.5-flash", "gemini2-5-flash"),
    Path("models", None, "https://ai.google.dev/api/models", "models/gemini-2.5-flash", "gemini2-5-flash"),
    Path(
        "accounts/fireworks/models",
        "fireworks_ai",
        "https://docs.fireworks.ai/getting-started/concepts",
        "accounts/fireworks/models/llama-v3p3-70b-instruct",
        "llama3-3-70b-instruct",
    ),
    Path("library", None, "https://ollama.com/library", "library/llama3.3:latest", "llama3-3"),
    Path("hf.co", None, "https://huggingface.co/docs/hub/ollama", "hf.co/google/gemma-3-4b-it", "gemma3-4b-it"),
    Path("huggingface.co", None, "https://huggingface.co", "huggingface.co/Qwen/Qwen3-32B", "qwen3-32b"),
    Path("gateway", None, "https://ai.pydantic.dev/gateway", "gateway/openai:gpt-4o", "gpt4o"),
    Path("litellm_proxy", None, _LITELLM, "litellm_proxy/azure/gpt-4o", "gpt4o"),
)
"""The paths of clouds and hubs."""

OPAQUE: Final = frozenset({"projects", "publishers", "accounts", "tunedmodels", "endpoints", "deployments"})
"""First parts of resource names that do not tell the model, unless they fit one of ``PATHS``."""

SEGMENTS: Final = (
    Segment(
        r"eu|us|us-gov|apac|global|global-standard|data-zone-standard",
        AZURE,
        f"{_LITELLM}: regions and deployment types of Azure",
        "azure/eu/gpt-4o",
        "gpt4o",
    ),
    Segment(
        r"invoke|converse|converse_like|claude_platform",
        BEDROCK,
        f"https://docs.litellm.ai/docs/providers/bedrock; {_LITELLM}",
        "bedrock/converse/us.amazon.nova-pro-v1:0",
        "nova-pro",
    ),
    Segment(
        r"[a-z]{2}(?:-[a-z]+){1,2}-[0-9]|\*",
        BEDROCK,
        f"https://docs.aws.amazon.com/general/latest/gr/bedrock.html; {_LITELLM}",
        "bedrock/us-gov-west-1/amazon.nova-pro-v1:0",
        "nova-pro",
    ),
    Segment(r"@oi", "openinfer", _LITELLM, "openinfer/@oi/GLM-5.3-Flash", "glm5-3-flash"),
    Segment(r"ps", "pinstripes", _LITELLM, "pinstripes/ps/glm-4.5-air", "glm4-5-air"),
    Segment(
        r"[0-9]+-month-commitment",
        BEDROCK,
        f"{_LITELLM}: provisioned throughput of Bedrock",
        "bedrock/eu-central-1/6-month-commitment/anthropic.claude-v2:1",
        "claude2-1",
    ),
)
"""The parts between a provider's route and the model."""

GEOGRAPHIES: Final = frozenset({"us", "us-gov", "eu", "apac", "jp", "au", "ca", "global"})
"""The prefixes of Bedrock's inference profiles, from
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html."""

PROVIDER_WORDS: Final = (
    Word(
        "system.ai.",
        "",
        DATABRICKS,
        True,
        "https://docs.databricks.com/gcp/en/generative-ai/foundation-models",
        "system.ai.gpt-oss-20b",
        "gpt-oss20b",
    ),
    Word(
        "databricks-meta-",
        "",
        DATABRICKS,
        True,
        "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/supported-models",
        "databricks-meta-llama-3-3-70b-instruct",
        "llama3-3-70b-instruct",
    ),
    Word(
        "databricks-",
        "",
        DATABRICKS,
        True,
        "https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/supported-models",
        "databricks-claude-sonnet-4-5",
        "claude-sonnet4-5",
    ),
    Word(
        "alibaba-",
        "",
        GRADIENT,
        False,
        "https://docs.digitalocean.com/products/inference/details/models",
        "gradient_ai/alibaba-qwen3-32b",
        "qwen3-32b",
    ),
    Word(
        "anthropic-",
        "",
        GRADIENT,
        False,
        "https://docs.digitalocean.com/products/inference/details/models",
        "gradient_ai/anthropic-claude-3.5-sonnet",
        "claude3-5-sonnet",
    ),
    Word(
        "openai-",
        "",
        GRADIENT,
        False,
        "https://docs.digitalocean.com/products/inference/details/models",
        "gradient_ai/openai-gpt-4o-mini",
        "gpt4o-mini",
    ),
    Word(
        "openai-",
        "",
        SNOWFLAKE,
        False,
        "https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api",
        "snowflake/openai-gpt-4.1",
        "gpt4-1",
    ),
    Word(
        "cohere-",
        "",
        AZURE,
        False,
        "https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/models-sold-directly-by-azure",
        "azure_ai/Cohere-rerank-v4.0-pro",
        "rerank4-0-pro",
    ),
    Word(
        "fw-", "", AZURE, False, f"{_LITELLM}: Fireworks at Azure AI Foundry", "azure_ai/FW-GPT-OSS-120B", "gpt-oss120b"
    ),
    Word(
        "gpt-35-",
        "gpt-3-5-",
        AZURE,
        True,
        "https://learn.microsoft.com/azure/ai-foundry/openai/concepts/models",
        "azure/gpt-35-turbo-16k",
        "gpt3-5-turbo16k",
    ),
    Word(
        "meta-llama-",
        "llama-",
        None,
        True,
        "https://huggingface.co/meta-llama: Meta-Llama-3.1-8B-Instruct is the former name of Llama-3.1-8B-Instruct",
        "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "llama3-1-8b-instruct",
    ),
    Word(
        "-maas",
        "",
        GOOGLE,
        True,
        "https://cloud.google.com/vertex-ai/generative-ai/docs/maas/use-open-models",
        "meta/llama-3.3-70b-instruct-maas",
        "llama3-3-70b-instruct",
    ),
)
"""The words of providers. The first row that fits is used."""

PROVIDERS_BEFORE_COLON: Final = frozenset(
    {
        "anthropic",
        "azure",
        "azure_ai",
        "azure_openai",
        "bedrock",
        "bedrock_converse",
        "cerebras",
        "cohere",
        "deepseek",
        "fireworks",
        "github",
        "google",
        "google-cloud",
        "google-gla",
        "google-vertex",
        "google_genai",
        "google_vertexai",
        "groq",
        "heroku",
        "huggingface",
        "mistralai",
        "moonshotai",
        "nebius",
        "nvidia",
        "ollama",
        "openai",
        "openai-chat",
        "openai-responses",
        "openrouter",
        "ovhcloud",
        "perplexity",
        "sambanova",
        "together",
        "vercel",
        "xai",
    }
)
"""The providers before a colon, as pydantic-ai (https://ai.pydantic.dev/models) and LangChain's ``init_chat_model``
write them. A provider whose name is also a model at Ollama is left out, such as ``mistral`` and ``qwen``."""

DOCUMENTED_NAMES: Final = {
    "deepseek.v3-v1:0": Documented("deepseek-v3.1", _BEDROCK_MODELS),
}
"""Names that their provider documents as another model than they say, in lower case and without a route."""

OWN_WORD: Final = {"deepseek": _BEDROCK_MODELS}
"""Vendor prefixes before a dot that are also the model's first word: ``deepseek.r1`` is DeepSeek-R1."""

NOT_BEDROCK: Final = frozenset({OCI})
"""Providers that write a vendor before a dot as Bedrock does, but no revisions."""

"""Tables of the providers that serve models, the vendors that make them, and the frameworks that call them."""

from __future__ import annotations

from typing import Final

import msgspec


class Provider(msgspec.Struct, frozen=True, gc=False):
    """One row of ``PROVIDERS``.

    Attributes:
        name: The canonical name. It is OpenTelemetry's value of ``gen_ai.provider.name``, if there is one.
        spellings: Further values of provider attributes, and first parts of model names, in lower case. Some are short
            names, or have other separators, as people write them in entries.
        source: Where the spellings are documented, or the package that writes them.
    """

    name: str
    spellings: tuple[str, ...]
    source: str


class Vendor(msgspec.Struct, frozen=True, gc=False):
    """One row of ``VENDORS``.

    Attributes:
        name: The vendor's name.
        organisations: The vendor's organisations before a slash, in lower case.
        dotted: The vendor's prefixes before a dot, as Bedrock and OCI write them.
        source: Where the organisations are documented.
    """

    name: str
    organisations: tuple[str, ...]
    dotted: tuple[str, ...]
    source: str


AZURE: Final = "azure.ai.openai"
BEDROCK: Final = "aws.bedrock"
DATABRICKS: Final = "databricks"
GOOGLE: Final = "gcp.gen_ai"
GRADIENT: Final = "gradient_ai"
OCI: Final = "oci"
SNOWFLAKE: Final = "snowflake"

_SEMCONV = "OpenTelemetry gen_ai.provider.name"
_LITELLM_PROVIDERS = "litellm 1.110.2, litellm_provider"
_GENERAL = f"{_SEMCONV}; {_LITELLM_PROVIDERS}; OpenInference; OpenLLMetry; Vercel AI SDK; pydantic-ai"

_ONE_SPELLING = """
abliteration ai21 aiand aihubmix anyscale assemblyai aws_polly baseten bespoke black_forest_labs clf_ai_gateway
cognition coralbricks crusoe darkbloom deepgram elevenlabs empiriolabs eu_jev fal_ai gigachat heroku
hostinger_router inception inferenceapis jina_ai kyma laya lemonade libertai llamafile llamagate
microsoft_365_copilot minimax morph nace nlp_cloud nscale openinfer parallel_ai pinstripes prism publicai recraft
reducto refuseless runwayml sail sarvam scaledown scx-ai sglang soniox stability strands_decider streamlake
tencent tensormesh tgi typesafe v0 wally writer xiaomi_mimo xinference zerogpu
"""

PROVIDERS: Final = (
    Provider(
        "openai",
        (
            "chatgpt",
            "openai-chat",
            "openai-responses",
            "openai_compatible",
            "openai-compatible",
            "custom_openai",
            "text-completion-openai",
        ),
        _GENERAL,
    ),
    Provider("anthropic", ("anthropic_text",), _GENERAL),
    Provider(
        AZURE,
        (
            "azure",
            "azure.ai.inference",
            "azure.openai",
            "azure-openai",
            "az.ai.openai",
            "az.ai.inference",
            "az",
            "azure_ai",
            "azure-ai",
            "azure_openai",
            "azure_openai_llm",
            "azure_text",
            "azureopenai",
            "azure_ai_foundry",
        ),
        f"{_GENERAL}; Azure SDK",
    ),
    Provider(
        BEDROCK,
        (
            "aws",
            "bedrock",
            "amazon-bedrock",
            "amazon_bedrock",
            "aws_bedrock",
            "aws-bedrock",
            "bedrock_converse",
            "bedrock-converse",
            "bedrock_mantle",
        ),
        _GENERAL,
    ),
    Provider("aws.sagemaker", ("sagemaker", "sagemaker_chat"), _LITELLM_PROVIDERS),
    Provider(
        GOOGLE,
        (
            "gcp.gemini",
            "gcp.vertex_ai",
            "gcp.vertex.agent",
            "gemini",
            "google",
            "google_ai_studio",
            "google_genai",
            "google_vertexai",
            "googleai",
            "google-gla",
            "google-vertex",
            "google-cloud",
            "google.generative-ai",
            "google.vertex",
            "google.vertex.anthropic",
            "vertex",
            "vertex_ai",
            "vertex_ai_beta",
            "vertex-ai",
            "vertexai",
        ),
        _GENERAL,
    ),
    Provider("cohere", ("cohere_chat",), _GENERAL),
    Provider("deepseek", (), _GENERAL),
    Provider("groq", (), _GENERAL),
    Provider("ibm.watsonx.ai", ("watsonx", "watsonx_text", "ibm", "ibm_watsonx"), f"{_SEMCONV}; {_LITELLM_PROVIDERS}"),
    Provider("mistral_ai", ("mistral", "mistralai", "codestral", "text-completion-codestral"), _GENERAL),
    Provider("perplexity", ("perplexity_ai",), _GENERAL),
    Provider("x_ai", ("xai", "x-ai", "grok"), _GENERAL),
    Provider("moonshot_ai", ("moonshot", "moonshotai"), f"{_SEMCONV}; {_LITELLM_PROVIDERS}"),
    Provider("aiml", ("aiml_api",), _LITELLM_PROVIDERS),
    Provider("alibaba", ("dashscope", "qwencloud", "qwen_ai_platform", "alibaba_cloud", "aliyun"), _LITELLM_PROVIDERS),
    Provider("amazon_nova", ("amazon-nova",), _LITELLM_PROVIDERS),
    Provider("cerebras", (), _LITELLM_PROVIDERS),
    Provider("cloudflare", ("workers-ai", "workers_ai", "cloudflare_workers_ai", "@cf", "@hf"), _LITELLM_PROVIDERS),
    Provider(DATABRICKS, (), _LITELLM_PROVIDERS),
    Provider("deepinfra", ("deep-infra",), _LITELLM_PROVIDERS),
    Provider("featherless_ai", ("featherless-ai",), _LITELLM_PROVIDERS),
    Provider(
        "fireworks_ai",
        ("fireworks", "fireworks-ai", "text-completion-fireworks"),
        f"{_LITELLM_PROVIDERS}; Hugging Face",
    ),
    Provider("friendliai", ("friendli",), _LITELLM_PROVIDERS),
    Provider("github", ("github_models", "github-models"), f"{_LITELLM_PROVIDERS}; pydantic-ai"),
    Provider("github_copilot", ("github-copilot",), _LITELLM_PROVIDERS),
    Provider("gmi", ("gmicloud",), _LITELLM_PROVIDERS),
    Provider(GRADIENT, ("gradient-ai", "digitalocean"), _LITELLM_PROVIDERS),
    Provider("huggingface", ("hugging_face", "hf-inference", "hf_inference"), f"{_LITELLM_PROVIDERS}; Hugging Face"),
    Provider("hyperbolic", (), _LITELLM_PROVIDERS),
    Provider("lambda_ai", ("lambda", "lambda-ai"), _LITELLM_PROVIDERS),
    Provider("lm_studio", ("lmstudio", "lm-studio"), _LITELLM_PROVIDERS),
    Provider("meta_llama", ("meta-llama-api", "llama_api"), _LITELLM_PROVIDERS),
    Provider("nebius", (), f"{_LITELLM_PROVIDERS}; Hugging Face"),
    Provider("novita", ("novita-ai",), f"{_LITELLM_PROVIDERS}; Hugging Face"),
    Provider("nvidia_nim", ("nvidia-nim", "nim"), _LITELLM_PROVIDERS),
    Provider(OCI, ("oracle", "oci_genai"), _LITELLM_PROVIDERS),
    Provider("ollama", ("ollama_chat", "registry.ollama.ai"), f"{_LITELLM_PROVIDERS}; OpenLLMetry writes Ollama"),
    Provider("openrouter", ("open_router",), _LITELLM_PROVIDERS),
    Provider("opencode", ("opencode_go", "opencode-zen"), _LITELLM_PROVIDERS),
    Provider("ovhcloud", ("ovh",), f"{_LITELLM_PROVIDERS}; Hugging Face"),
    Provider("predibase", (), _LITELLM_PROVIDERS),
    Provider("replicate", (), _LITELLM_PROVIDERS),
    Provider("sambanova", (), f"{_LITELLM_PROVIDERS}; Hugging Face"),
    Provider("sap", ("sap_ai_core",), "SAP generative AI hub; litellm 1.110.2"),
    Provider("scaleway", (), f"{_LITELLM_PROVIDERS}; Hugging Face"),
    Provider(SNOWFLAKE, ("snowflake_cortex", "cortex"), _LITELLM_PROVIDERS),
    Provider("together_ai", ("together", "togetherai", "together-ai"), f"{_LITELLM_PROVIDERS}; Hugging Face"),
    Provider(
        "vercel",
        ("vercel_ai_gateway", "vercel-ai-gateway"),
        f"{_LITELLM_PROVIDERS}; pydantic-ai",
    ),
    Provider("vllm", ("hosted_vllm",), _LITELLM_PROVIDERS),
    Provider("volcengine", ("volcano_engine",), _LITELLM_PROVIDERS),
    Provider("voyage", ("voyageai", "voyage_ai"), _LITELLM_PROVIDERS),
    Provider("wandb", ("weights_and_biases",), _LITELLM_PROVIDERS),
    Provider("zai", ("z.ai", "bigmodel", "zhipuai"), _LITELLM_PROVIDERS),
    *(Provider(name, (), _LITELLM_PROVIDERS) for name in _ONE_SPELLING.split()),
)
"""The providers, each with every spelling that was seen."""

NOT_PROVIDERS: Final = {
    "ag2": "AG2",
    "agno": "Agno",
    "autogen": "AutoGen",
    "beeai": "BeeAI",
    "claude-agent-sdk": "Claude Agent SDK",
    "crewai": "CrewAI",
    "dspy": "DSPy",
    "gateway": "pydantic-ai's gateway, or Vercel's",
    "google_adk": "Google ADK",
    "haystack": "Haystack",
    "instructor": "Instructor",
    "langchain": "LangChain",
    "langgraph": "LangGraph",
    "litellm": "litellm, which only passes calls on",
    "litellm_proxy": "litellm, which only passes calls on",
    "llamaindex": "LlamaIndex",
    "llama_index": "LlamaIndex",
    "mastra": "Mastra",
    "microsoft.agent_framework": "Microsoft Agent Framework",
    "openai_agents": "OpenAI Agents",
    "openai-agents": "OpenAI Agents",
    "pydantic_ai": "pydantic-ai",
    "pydantic-ai": "pydantic-ai",
    "semantic_kernel": "Semantic Kernel",
    "semantic-kernel": "Semantic Kernel",
    "smolagents": "smolagents",
    "spring_ai": "Spring AI",
    "strands-agents": "Strands Agents",
    "strands_agents": "Strands Agents",
    "traceloop": "OpenLLMetry",
}
"""Values of provider attributes that are frameworks or gateways, not providers."""

_HUB = "Hugging Face, OpenRouter and Vercel AI Gateway"
_CLOUD = "Amazon Bedrock and OCI model ids"

VENDORS: Final = (
    Vendor("AI21 Labs", ("ai21", "ai21labs"), ("ai21",), f"{_HUB}; {_CLOUD}"),
    Vendor("Alibaba", ("qwen", "alibaba", "alibaba-nlp"), ("qwen",), f"{_HUB}; {_CLOUD}"),
    Vendor("Allen AI", ("allenai",), (), _HUB),
    Vendor("Amazon", ("amazon",), ("amazon",), f"{_HUB}; {_CLOUD}"),
    Vendor("Anthropic", ("anthropic",), ("anthropic",), f"{_HUB}; {_CLOUD}"),
    Vendor("Arcee", ("arcee-ai",), (), _HUB),
    Vendor("BAAI", ("baai",), (), _HUB),
    Vendor("Baidu", ("baidu", "paddlepaddle"), (), _HUB),
    Vendor("Black Forest Labs", ("black-forest-labs",), (), _HUB),
    Vendor("ByteDance", ("bytedance", "bytedance-seed"), (), _HUB),
    Vendor("Cohere", ("cohere", "coherelabs", "cohereforai"), ("cohere",), f"{_HUB}; {_CLOUD}"),
    Vendor("DeepSeek", ("deepseek", "deepseek-ai"), ("deepseek",), f"{_HUB}; {_CLOUD}"),
    Vendor("Google", ("google",), ("google",), f"{_HUB}; {_CLOUD}"),
    Vendor("IBM", ("ibm", "ibm-granite"), ("ibm",), _HUB),
    Vendor("Inception", ("inception",), (), _HUB),
    Vendor("Jina AI", ("jinaai", "jina-ai"), (), _HUB),
    Vendor("Liquid AI", ("liquid", "liquidai"), (), _HUB),
    Vendor("Luma", ("luma",), ("luma",), _CLOUD),
    Vendor(
        "Meta",
        ("meta", "meta-llama", "meta-models", "facebook", "codellama"),
        ("meta",),
        f"{_HUB}; {_CLOUD}",
    ),
    Vendor("Microsoft", ("microsoft",), (), _HUB),
    Vendor("MiniMax", ("minimax", "minimaxai"), ("minimax",), f"{_HUB}; {_CLOUD}"),
    Vendor("Mistral AI", ("mistral", "mistralai"), ("mistral",), f"{_HUB}; {_CLOUD}"),
    Vendor("Moonshot AI", ("moonshotai", "moonshot"), ("moonshotai", "moonshot"), f"{_HUB}; {_CLOUD}"),
    Vendor("Nomic", ("nomic-ai",), (), _HUB),
    Vendor("Nous Research", ("nousresearch",), (), _HUB),
    Vendor("NVIDIA", ("nvidia",), ("nvidia",), f"{_HUB}; {_CLOUD}"),
    Vendor("OpenAI", ("openai",), ("openai",), f"{_HUB}; {_CLOUD}"),
    Vendor("OpenBMB", ("openbmb",), (), _HUB),
    Vendor("Perplexity", ("perplexity", "perplexity-ai"), (), _HUB),
    Vendor("Stability AI", ("stabilityai", "stability"), ("stability",), f"{_HUB}; {_CLOUD}"),
    Vendor("StepFun", ("stepfun", "stepfun-ai"), (), _HUB),
    Vendor("Swiss AI", ("swiss-ai",), (), _HUB),
    Vendor("Tencent", ("tencent",), (), _HUB),
    Vendor("TII", ("tiiuae",), (), _HUB),
    Vendor("TwelveLabs", ("twelvelabs",), ("twelvelabs",), _CLOUD),
    Vendor("Writer", ("writer",), ("writer",), _CLOUD),
    Vendor("xAI", ("xai", "x-ai"), ("xai",), f"{_HUB}; {_CLOUD}"),
    Vendor("Baichuan", ("baichuan", "baichuan-inc"), (), _HUB),
    Vendor("BigScience", ("bigscience",), (), _HUB),
    Vendor("Canopy Labs", ("canopylabs",), (), _HUB),
    Vendor("Core42", ("core42",), (), _HUB),
    Vendor("inclusionAI", ("inclusionai",), (), _HUB),
    Vendor("JetBrains", ("jetbrains",), (), _HUB),
    Vendor("Kwaipilot", ("kwaipilot",), (), _HUB),
    Vendor("LG AI Research", ("lgai-exaone",), (), _HUB),
    Vendor("Reflection", ("reflection",), (), _HUB),
    Vendor("Salesforce", ("salesforce",), (), _HUB),
    Vendor("SDAIA", ("sdaia",), (), _HUB),
    Vendor("Skywork", ("skywork",), (), _HUB),
    Vendor("Thinking Machines", ("thinkingmachines",), (), _HUB),
    Vendor("Upstage", ("upstage",), (), _HUB),
    Vendor("Xiaomi", ("xiaomi", "xiaomimimo"), (), _HUB),
    Vendor("Zhipu AI", ("zai", "zai-org", "z-ai", "thudm"), ("zai",), f"{_HUB}; {_CLOUD}"),
    Vendor("01.AI", ("01-ai",), (), _HUB),
)
"""The vendors whose organisations are routes. Any other organisation publishes other models."""

"""The hosts that need no more than a credential: one row each, data only.

One rule: a host that deviates is described here, never in a dialect. Base URLs follow each vendor's own convention: OpenAI-style
hosts include the version (`…/v1`), Anthropic's and Gemini's do not, because their dialects' paths do.
"""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import urljoin

import msgspec

from gatewright.ir.blocks import DialectName

Auth = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "none"]
"""How a credential travels: the header, or nowhere. `bearer` is `Authorization: Bearer …`."""

Need = Literal["required", "optional", "none"]

Forward = Literal[
    "embeddings",
    "images",
    "audio",
    "moderations",
    "rerank",
    "completions",
    "files",
    "batches",
    "any",  # whatever else the host answers under its base URL
]


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One host's facts. What the operator may change stands in the configuration under the same names."""

    name: str
    title: str
    base_url: str
    """Empty: the operator must say it."""
    dialects: tuple[DialectName, ...]
    """What it speaks. A client of none of these is served in the first."""
    auth: Auth = "bearer"
    key: Need = "required"
    """`optional`: local servers, which check a key only when they were given one."""
    env_keys: tuple[str, ...] = ()
    """Environment variables that hold the credential; the first that is set wins."""
    env_base_urls: tuple[str, ...] = ()
    bases: Mapping[DialectName, str] = {}
    """Dialects that live under another base: a reference relative to the base URL (RFC 3986), so that a mirror keeps the layout.
    `.` is the base URL without its last segment."""
    forwards: tuple[Forward, ...] = ()
    """Endpoints it has beside the dialects', forwarded as they are."""
    names: tuple[str, ...] = ()
    """Patterns of its own models' names: without a configuration they may be asked for bare."""
    stores_responses: bool = False
    """Whether it keeps Responses items itself, so that `previous_response_id` may be passed to it."""
    docs: str = ""

    def base_of(self, dialect: DialectName, base_url: str) -> str:
        """The base for one dialect when the host's base URL is `base_url`; never ends in a slash."""
        elsewhere = self.bases.get(dialect)
        return (urljoin(base_url, elsewhere) if elsewhere else base_url).rstrip("/")


CATALOG: tuple[Host, ...] = (
    Host(
        name="openai",
        title="OpenAI",
        base_url="https://api.openai.com/v1",
        dialects=("openai_responses", "openai_chat"),
        env_keys=("OPENAI_API_KEY",),
        env_base_urls=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        names=("gpt-*", "chatgpt-*", "o1*", "o3*", "o4*", "codex-*"),
        forwards=("embeddings", "images", "audio", "moderations", "completions", "files", "batches", "any"),
        stores_responses=True,
        docs="https://platform.openai.com/docs/api-reference",
    ),
    Host(
        name="anthropic",
        title="Anthropic",
        base_url="https://api.anthropic.com",
        dialects=("anthropic",),
        auth="x-api-key",
        names=("claude-*",),
        env_keys=("ANTHROPIC_API_KEY",),
        env_base_urls=("ANTHROPIC_BASE_URL",),
        forwards=("completions", "files", "batches", "any"),
        docs="https://docs.claude.com/en/api/overview",
    ),
    Host(
        name="gemini",
        title="Google Gemini",
        base_url="https://generativelanguage.googleapis.com",
        dialects=("gemini",),
        auth="x-goog-api-key",
        names=("gemini-*", "gemma-*"),
        env_keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        env_base_urls=("GEMINI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"),
        forwards=("embeddings", "files", "batches", "any"),
        docs="https://ai.google.dev/api",
    ),
    Host(
        name="openrouter",
        title="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        dialects=("openai_chat", "openai_responses", "anthropic"),
        bases={"anthropic": "."},
        env_keys=("OPENROUTER_API_KEY",),
        env_base_urls=("OPENROUTER_BASE_URL",),
        forwards=("embeddings", "completions", "any"),
        docs="https://openrouter.ai/docs/api-reference/overview",
    ),
    Host(
        name="groq",
        title="Groq",
        base_url="https://api.groq.com/openai/v1",
        dialects=("openai_chat", "openai_responses"),
        env_keys=("GROQ_API_KEY",),
        env_base_urls=("GROQ_BASE_URL",),
        forwards=("audio", "files", "batches", "any"),
        docs="https://console.groq.com/docs/api-reference",
    ),
    Host(
        name="mistral",
        title="Mistral",
        base_url="https://api.mistral.ai/v1",
        dialects=("openai_chat",),
        env_keys=("MISTRAL_API_KEY",),
        env_base_urls=("MISTRAL_BASE_URL",),
        forwards=("embeddings", "moderations", "audio", "files", "batches", "any"),
        docs="https://docs.mistral.ai/api",
    ),
    Host(
        name="deepseek",
        title="DeepSeek",
        base_url="https://api.deepseek.com",
        dialects=("openai_chat", "openai_responses", "anthropic"),
        bases={"anthropic": "/anthropic"},
        env_keys=("DEEPSEEK_API_KEY",),
        env_base_urls=("DEEPSEEK_BASE_URL",),
        forwards=("any",),
        docs="https://api-docs.deepseek.com",
    ),
    Host(
        name="xai",
        title="xAI",
        base_url="https://api.x.ai/v1",
        dialects=("openai_responses", "openai_chat"),
        env_keys=("XAI_API_KEY",),
        env_base_urls=("XAI_BASE_URL",),
        forwards=("embeddings", "images", "files", "batches", "any"),
        stores_responses=True,
        docs="https://docs.x.ai/docs/api-reference",
    ),
    Host(
        name="together",
        title="Together AI",
        base_url="https://api.together.xyz/v1",
        dialects=("openai_chat",),
        env_keys=("TOGETHER_API_KEY", "TOGETHERAI_API_KEY"),
        env_base_urls=("TOGETHER_BASE_URL",),
        forwards=("embeddings", "images", "audio", "rerank", "completions", "files", "batches", "any"),
        docs="https://docs.together.ai/reference",
    ),
    Host(
        name="fireworks",
        title="Fireworks AI",
        base_url="https://api.fireworks.ai/inference/v1",
        dialects=("openai_chat", "openai_responses", "anthropic"),
        bases={"anthropic": "."},
        env_keys=("FIREWORKS_API_KEY",),
        env_base_urls=("FIREWORKS_BASE_URL",),
        forwards=("embeddings", "rerank", "completions", "any"),
        stores_responses=True,
        docs="https://docs.fireworks.ai/api-reference/introduction",
    ),
    Host(
        name="cerebras",
        title="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        dialects=("openai_chat",),
        env_keys=("CEREBRAS_API_KEY",),
        env_base_urls=("CEREBRAS_BASE_URL",),
        forwards=("completions", "any"),
        docs="https://inference-docs.cerebras.ai/api-reference",
    ),
    Host(
        name="perplexity",
        title="Perplexity",
        base_url="https://api.perplexity.ai",
        dialects=("openai_chat",),
        env_keys=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
        env_base_urls=("PERPLEXITY_BASE_URL",),
        forwards=("any",),
        docs="https://docs.perplexity.ai/api-reference",
    ),
    Host(
        name="nvidia",
        title="NVIDIA NIM",
        base_url="https://integrate.api.nvidia.com/v1",
        dialects=("openai_chat",),
        env_keys=("NVIDIA_API_KEY",),
        env_base_urls=("NVIDIA_BASE_URL",),
        forwards=("embeddings", "completions", "any"),
        docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
    ),
    Host(
        name="huggingface",
        title="Hugging Face Inference Providers",
        base_url="https://router.huggingface.co/v1",
        dialects=("openai_chat", "openai_responses"),
        env_keys=("HF_TOKEN", "HUGGINGFACE_API_KEY"),
        env_base_urls=("HF_BASE_URL", "HUGGINGFACE_BASE_URL"),
        forwards=("any",),
        docs="https://huggingface.co/docs/inference-providers",
    ),
    Host(
        name="moonshot",
        title="Moonshot AI",
        base_url="https://api.moonshot.ai/v1",
        dialects=("openai_chat", "anthropic"),
        bases={"anthropic": "/anthropic"},
        env_keys=("MOONSHOT_API_KEY",),
        env_base_urls=("MOONSHOT_BASE_URL",),
        forwards=("files", "any"),
        docs="https://platform.moonshot.ai/docs",
    ),
    Host(
        name="zai",
        title="Z.ai",
        base_url="https://api.z.ai/api/paas/v4",
        dialects=("openai_chat", "anthropic"),
        bases={"anthropic": "/api/anthropic"},
        env_keys=("ZAI_API_KEY", "Z_AI_API_KEY"),
        env_base_urls=("ZAI_BASE_URL",),
        forwards=("embeddings", "images", "any"),
        docs="https://docs.z.ai/api-reference",
    ),
    Host(
        name="minimax",
        title="MiniMax",
        base_url="https://api.minimax.io/v1",
        dialects=("openai_chat", "anthropic"),
        bases={"anthropic": "/anthropic"},
        env_keys=("MINIMAX_API_KEY",),
        env_base_urls=("MINIMAX_BASE_URL",),
        forwards=("any",),
        docs="https://platform.minimax.io/docs/api-reference",
    ),
    Host(
        name="alibaba",
        title="Alibaba Model Studio",
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        dialects=("openai_chat",),
        env_keys=("DASHSCOPE_API_KEY",),
        env_base_urls=("DASHSCOPE_BASE_URL",),
        forwards=("embeddings", "files", "batches", "any"),
        docs="https://www.alibabacloud.com/help/en/model-studio",
    ),
    Host(
        name="cohere",
        title="Cohere",
        base_url="https://api.cohere.ai/compatibility/v1",
        dialects=("openai_chat",),
        env_keys=("COHERE_API_KEY", "CO_API_KEY"),
        env_base_urls=("COHERE_BASE_URL",),
        forwards=("embeddings", "any"),
        docs="https://docs.cohere.com/docs/compatibility-api",
    ),
    Host(
        name="deepinfra",
        title="DeepInfra",
        base_url="https://api.deepinfra.com/v1/openai",
        dialects=("openai_chat",),
        env_keys=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN"),
        env_base_urls=("DEEPINFRA_BASE_URL",),
        forwards=("embeddings", "images", "audio", "completions", "any"),
        docs="https://deepinfra.com/docs/openai_api",
    ),
    Host(
        name="sambanova",
        title="SambaNova",
        base_url="https://api.sambanova.ai/v1",
        dialects=("openai_chat",),
        env_keys=("SAMBANOVA_API_KEY",),
        env_base_urls=("SAMBANOVA_BASE_URL",),
        forwards=("embeddings", "audio", "any"),
        docs="https://docs.sambanova.ai",
    ),
    Host(
        name="ollama",
        title="Ollama",
        base_url="http://127.0.0.1:11434/v1",
        dialects=("openai_chat", "openai_responses", "anthropic"),
        key="optional",
        bases={"anthropic": "."},
        env_keys=("OLLAMA_API_KEY",),
        env_base_urls=("OLLAMA_BASE_URL",),
        forwards=("embeddings", "completions", "any"),
        docs="https://docs.ollama.com/api/openai-compatibility",
    ),
    Host(
        name="vllm",
        title="vLLM",
        base_url="http://127.0.0.1:8000/v1",
        dialects=("openai_chat", "openai_responses", "anthropic"),
        key="optional",
        bases={"anthropic": "."},
        env_keys=("VLLM_API_KEY",),
        env_base_urls=("VLLM_BASE_URL",),
        forwards=("embeddings", "audio", "rerank", "completions", "any"),
        docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    Host(
        name="lmstudio",
        title="LM Studio",
        base_url="http://127.0.0.1:1234/v1",
        dialects=("openai_chat", "openai_responses", "anthropic"),
        key="optional",
        bases={"anthropic": "."},
        env_keys=("LMSTUDIO_API_KEY",),
        env_base_urls=("LMSTUDIO_BASE_URL",),
        forwards=("embeddings", "completions", "any"),
        stores_responses=True,
        docs="https://lmstudio.ai/docs/developer",
    ),
    Host(
        name="llamacpp",
        title="llama.cpp server",
        base_url="http://127.0.0.1:8080/v1",
        dialects=("openai_chat", "anthropic"),
        key="optional",
        bases={"anthropic": "."},
        env_keys=("LLAMACPP_API_KEY",),
        env_base_urls=("LLAMACPP_BASE_URL",),
        forwards=("embeddings", "rerank", "completions", "any"),
        docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    ),
    Host(
        name="custom",
        title="Any OpenAI-compatible server",
        base_url="",
        dialects=("openai_chat",),
        key="optional",
        forwards=("embeddings", "images", "audio", "moderations", "rerank", "completions", "files", "batches", "any"),
    ),
    Host(
        name="demo",
        title="Built-in demo model",
        base_url="http://demo.invalid",
        dialects=("openai_chat", "openai_responses", "anthropic", "gemini"),
        auth="none",
        key="none",
        names=("*",),
    ),
)

HOSTS: dict[str, Host] = {host.name: host for host in CATALOG}
"""By name."""

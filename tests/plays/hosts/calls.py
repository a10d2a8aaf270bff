"""How each host of the catalogue is called, written out after the hosts' own documents: never made from the catalogue.

One rule: whole URLs, so that a wrong segment, version or name of a host shows.
"""

from dataclasses import dataclass, field

KEY = "host-key-1234567890"
BEARER = ("authorization", f"Bearer {KEY}")
MODELS = {
    "openai_chat": "m-1",
    "openai_responses": "m-1",
    "anthropic": "claude-m-1",
    "gemini": "gemini-m-1",
    "bedrock_converse": "amazon.m-1",
}


@dataclass(frozen=True, kw_only=True)
class Called:
    """One host as an operator has it: `urls` is dialect → URL, or (URL of a whole answer, URL of a stream)."""

    urls: dict[str, str | tuple[str, str]]
    kind: str = ""
    """The row of the catalogue. Default: the play's own name."""
    settings: dict[str, str] = field(default_factory=dict)
    auth: tuple[str, str] = BEARER
    models: dict[str, str] = field(default_factory=dict)
    first: str = ""
    """The dialect for clients of any other. Default: the first of `urls`."""
    recorded: str = ""
    """Whose recordings to answer with, where there are any. Default: the play's own name."""
    without: tuple[str, ...] = ()
    """Fields that the dialect would send and this host must not get."""
    with_: dict[str, object] = field(default_factory=dict)
    """Fields that this host gets beside the dialect's."""

    def url(self, dialect: str, *, stream: bool) -> str:
        told = self.urls[dialect]
        return told if isinstance(told, str) else told[stream]

    def model(self, dialect: str) -> str:
        return {**MODELS, **self.models}[dialect]


def openai_style(base: str, *, responses: str | bool = False, anthropic: str = "", **more) -> Called:
    """A host with Chat Completions under `base`, Responses beside it, Messages under another base."""
    urls = {"openai_chat": f"{base}/chat/completions"}
    if responses:
        urls["openai_responses"] = f"{base if responses is True else responses}/responses"
    if anthropic:
        urls["anthropic"] = f"{anthropic}/v1/messages"
    return Called(urls=urls, **more)


GEMINI = "generateContent", "streamGenerateContent?alt=sse"
RAW = "rawPredict", "streamRawPredict"
PLACE = "projects/acme-1/locations/europe-west4"


def vertex(host: str, place: str) -> dict[str, str | tuple[str, str]]:
    google, claude = f"https://{host}/v1beta1/{place}publishers/google", f"https://{host}/v1/{place}publishers/anthropic"
    return {
        "gemini": tuple(f"{google}/models/gemini-m-1:{method}" for method in GEMINI),
        "anthropic": tuple(f"{claude}/models/claude-m-1:{method}" for method in RAW),
        "openai_chat": f"https://{host}/v1/{place}endpoints/openapi/chat/completions",
    }


CLAUDE_ON_VERTEX = {"anthropic_version": "vertex-2023-10-16"}

CALLED: dict[str, Called] = {
    # Makers.
    "openai": openai_style("https://api.openai.com/v1", responses=True, first="openai_responses"),
    "anthropic": Called(urls={"anthropic": "https://api.anthropic.com/v1/messages"}, auth=("x-api-key", KEY)),
    "gemini": Called(
        urls={"gemini": tuple(f"https://generativelanguage.googleapis.com/v1beta/models/gemini-m-1:{method}" for method in GEMINI)},
        auth=("x-goog-api-key", KEY),
    ),
    "mistral": openai_style("https://api.mistral.ai/v1", without=("stream_options",)),
    "deepseek": openai_style("https://api.deepseek.com", responses=True, anthropic="https://api.deepseek.com/anthropic"),
    "xai": openai_style("https://api.x.ai/v1", responses=True, first="openai_responses"),
    "cohere": openai_style("https://api.cohere.ai/compatibility/v1"),
    "perplexity": openai_style("https://api.perplexity.ai"),
    "moonshot": openai_style("https://api.moonshot.ai/v1", anthropic="https://api.moonshot.ai/anthropic"),
    "zai": openai_style("https://api.z.ai/api/paas/v4", anthropic="https://api.z.ai/api/anthropic"),
    "zai-coding": openai_style("https://api.z.ai/api/coding/paas/v4", anthropic="https://api.z.ai/api/anthropic", recorded="zai"),
    "minimax": openai_style("https://api.minimax.io/v1", anthropic="https://api.minimax.io/anthropic"),
    "alibaba": openai_style(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        responses="https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1",
        anthropic="https://dashscope-intl.aliyuncs.com/apps/anthropic",
    ),
    # Who hosts other people's models.
    "openrouter": openai_style("https://openrouter.ai/api/v1", responses=True, anthropic="https://openrouter.ai/api"),
    "groq": openai_style("https://api.groq.com/openai/v1", responses=True),
    "together": openai_style("https://api.together.xyz/v1"),
    "fireworks": openai_style(
        "https://api.fireworks.ai/inference/v1", responses=True, anthropic="https://api.fireworks.ai/inference"
    ),
    "cerebras": openai_style("https://api.cerebras.ai/v1"),
    "nvidia": openai_style("https://integrate.api.nvidia.com/v1"),
    "huggingface": openai_style("https://router.huggingface.co/v1", responses=True),
    "deepinfra": openai_style("https://api.deepinfra.com/v1/openai", anthropic="https://api.deepinfra.com/anthropic"),
    "sambanova": openai_style("https://api.sambanova.ai/v1", responses=True, anthropic="https://api.sambanova.ai"),
    "novita": openai_style("https://api.novita.ai/openai/v1", anthropic="https://api.novita.ai/anthropic"),
    "github": openai_style("https://models.github.ai/inference"),
    "crusoe": openai_style("https://api.inference.crusoecloud.com/v1"),
    # Clouds.
    "azure": openai_style(
        "https://acme.openai.azure.com/openai/v1", responses=True, settings={"resource": "acme"}, auth=("api-key", KEY),
        first="openai_responses",
    ),
    "azure, deployments": Called(
        kind="azure",
        settings={"base_url": "https://acme.openai.azure.com/openai/", "api_version": "2025-03-01-preview"},
        urls={
            "openai_chat": "https://acme.openai.azure.com/openai/deployments/m-1/chat/completions?api-version=2025-03-01-preview",
            "openai_responses": "https://acme.openai.azure.com/openai/responses?api-version=2025-03-01-preview",
        },
        auth=("api-key", KEY),
        recorded="azure",
    ),
    "azure, token": openai_style(
        "https://acme.openai.azure.com/openai/v1", responses=True, kind="azure", recorded="azure",
        settings={"resource": "acme", "auth": "bearer"}, first="openai_responses",
    ),
    "azure-ai": Called(
        settings={"resource": "acme"},
        urls={"openai_chat": "https://acme.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview"},
        auth=("api-key", KEY),
    ),
    "foundry": Called(
        settings={"resource": "acme"},
        urls={"anthropic": "https://acme.services.ai.azure.com/anthropic/v1/messages"},
        auth=("x-api-key", KEY),
        recorded="anthropic",
    ),
    "vertex": Called(
        settings={"project": "acme-1", "location": "europe-west4", "auth": "bearer"},
        urls=vertex("europe-west4-aiplatform.googleapis.com", f"{PLACE}/"),
        models={"openai_chat": "meta/m-1"},
        recorded="vertexai",
    ),
    "vertex, global": Called(
        kind="vertex",
        settings={"project": "acme-1", "auth": "bearer"},
        urls=vertex("aiplatform.googleapis.com", "projects/acme-1/locations/global/"),
        models={"openai_chat": "meta/m-1"},
        recorded="vertexai",
    ),
    "vertex, key": Called(
        kind="vertex",
        urls={"gemini": vertex("aiplatform.googleapis.com", "")["gemini"]},
        auth=("x-goog-api-key", KEY),
        recorded="vertexai",
    ),
    "databricks": openai_style(
        "https://dbc-1.cloud.databricks.com/serving-endpoints",
        anthropic="https://dbc-1.cloud.databricks.com/serving-endpoints/anthropic",
        settings={"account": "https://dbc-1.cloud.databricks.com/"},
        models={"anthropic": "databricks-claude-m-1"},
    ),
    "snowflake": openai_style(
        "https://acme-x1.snowflakecomputing.com/api/v2/cortex/v1",
        anthropic="https://acme-x1.snowflakecomputing.com/api/v2/cortex",
        settings={"account": "acme-x1"},
    ),
    "cloudflare": openai_style(
        "https://api.cloudflare.com/client/v4/accounts/0123abcd/ai/v1", settings={"account": "0123abcd"}, models={"openai_chat": "@cf/m-1"}
    ),
    "bedrock": Called(
        settings={"region": "eu-west-1"},
        urls={
            "bedrock_converse": tuple(
                f"https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.m-1/{verb}" for verb in ("converse", "converse-stream")
            ),
            "anthropic": tuple(
                f"https://bedrock-runtime.eu-west-1.amazonaws.com/model/eu.anthropic.claude-m-1/{verb}"
                for verb in ("invoke", "invoke-with-response-stream")
            ),
        },
        models={"anthropic": "eu.anthropic.claude-m-1"},
    ),
    "bedrock-mantle": Called(
        settings={"region": "us-east-1"},
        urls={
            "openai_chat": "https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions",
            "openai_responses": "https://bedrock-mantle.us-east-1.api.aws/openai/v1/responses",
            "anthropic": "https://bedrock-mantle.us-east-1.api.aws/anthropic/v1/messages",
        },
        models={"openai_responses": "openai.gpt-5", "anthropic": "anthropic.claude-m-1"},
    ),
    # Servers that an operator runs.
    "ollama": openai_style("http://127.0.0.1:11434/v1", responses=True, anthropic="http://127.0.0.1:11434"),
    "vllm": openai_style("http://127.0.0.1:8000/v1", responses=True, anthropic="http://127.0.0.1:8000"),
    "sglang": openai_style("http://127.0.0.1:30000/v1", responses=True, anthropic="http://127.0.0.1:30000"),
    "lmstudio": openai_style("http://127.0.0.1:1234/v1", responses=True, anthropic="http://127.0.0.1:1234"),
    "llamacpp": openai_style("http://127.0.0.1:8080/v1", anthropic="http://127.0.0.1:8080"),
    "gpustack": openai_style("https://gpu.example/v1", settings={"base_url": "https://gpu.example/v1"}),
    "custom": openai_style("https://llm.example/v1", settings={"base_url": "https://llm.example/v1"}),
}  # fmt: skip

ELSEWHERE = {
    "ob1": "tests/plays/test_accounts.py",  # its credential is a login
    "demo": "tests/transport/demo/test_upstream.py",  # it has no host
}
"""Rows whose plays stand elsewhere."""

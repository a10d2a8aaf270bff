"""A request in the neutral form."""

from typing import Literal

import msgspec

from gatewright.ir.blocks import CacheHint, DialectName, Message, Node
from gatewright.ir.loss import Loss
from gatewright.jsontypes import JsonObject

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Tool(Node, frozen=True, kw_only=True):
    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    """JSON Schema, verbatim. None: the origin gave none."""
    kind: Literal["function", "custom", "hosted"] = "function"
    """`custom`: free-form text input (OpenAI). `hosted`: run by the provider; `native` is its whole declaration."""
    hosted: str = ""
    """For `hosted`: what it is in the field's words (`web_search`, `web_fetch`, `code_execution`, `file_search`, `computer`,
    `image_generation`, `mcp`, …) so that another dialect's equivalent can stand in. Empty: unknown."""
    native: JsonObject = {}
    """For `hosted` and `custom`: the origin's own declaration, verbatim."""
    strict: bool | None = None
    cache: CacheHint | None = None


class ToolChoice(Node, frozen=True, kw_only=True):
    mode: Literal["auto", "none", "required", "tool", "native"]
    """`tool`: this one (`names[0]`). `native`: only the origin knows; `extras` is the whole of it."""
    names: tuple[str, ...] = ()
    """With `auto` or `required`: only these are allowed, if any are named."""


class Sampling(Node, frozen=True, kw_only=True):
    temperature: float | int | None = None
    top_p: float | int | None = None
    top_k: float | int | None = None
    seed: int | None = None
    frequency_penalty: float | int | None = None
    presence_penalty: float | int | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Thinking(Node, frozen=True, kw_only=True):
    """How much to reason. Dialects say it as effort, as a budget of tokens, or leave it to the model (adaptive)."""

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None
    """Tokens. -1: the model decides (Gemini)."""
    adaptive: bool = False
    summary: str | None = None
    """`auto`, `concise`, `detailed` or `none`: whether and how reasoning is shown."""


class OutputFormat(Node, frozen=True, kw_only=True):
    kind: Literal["text", "json_object", "json_schema"]
    schema: JsonObject | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Request(Node, frozen=True, kw_only=True):
    origin: DialectName
    model: str
    """As the client wrote it. Renderers take the target's model, not this."""
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    sampling: Sampling = Sampling()
    thinking: Thinking | None = None
    output: OutputFormat | None = None
    verbosity: str | None = None
    stream: bool | None = None
    """None: the origin did not say (no stream)."""
    user: str | None = None
    metadata: JsonObject = {}
    service_tier: str | None = None
    cache_key: str | None = None
    """OpenAI's `prompt_cache_key`."""
    store: bool | None = None
    client: JsonObject = {}
    """Fields that the client's own dialect (or the gateway) honours on the way back, not the upstream: chat's `stream_options`,
    Gemini's `alt`, Responses' `include`. Merged back verbatim at home; never a loss."""
    answer: JsonObject = {}
    """What the gateway itself knows of the answer to come: a Responses client's `id`, `created_at`, `previous_response_id`."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a request is rendered for: everything a dialect may know about the endpoint."""

    model: str
    issuer: str
    """Name of the endpoint, for seals: `provider` of the configuration."""
    max_tokens: int = 0
    """What to ask for where the dialect requires a limit and the client gave none. 0: the dialect's own default."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer's parser must know of what was asked."""

    issuer: str = ""
    json_tool: str = ""
    """Name of the forced tool that stands in for a JSON schema: its arguments are the answer's text."""
    model: str = ""


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A document in one dialect, and what it could not say."""

    body: JsonObject
    losses: tuple[Loss, ...] = ()
    path: str = ""
    """For requests: path and query under the provider's base URL, such as `/chat/completions`."""
    headers: tuple[tuple[str, str], ...] = ()
    """For requests: headers the dialect itself needs (`anthropic-version`, beta flags)."""
    asked: Asked = Asked()

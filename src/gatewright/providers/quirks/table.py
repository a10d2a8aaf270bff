"""Every quirk there is, by name. Catalogue rows name theirs; docs/providers is made from both.

One rule: each has a reason, a link and a case. One with a `mend` changes requests; one without is read by the dialects from
everybody, because any host may do it, and stands here so that the host's page tells it.
"""

from gatewright.providers.quirks.messages import (
    developer_as_system,
    developer_as_system_item,
    nine_character_ids,
    without_cache_scope,
    without_foreign_reasoning,
    without_names,
    without_reasoning,
)
from gatewright.providers.quirks.parameters import effort_of, only, several, spelt, without, without_effort
from gatewright.providers.quirks.seam import Quirk

_MISTRAL_KNOWS = (
    "model",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "stop",
    "random_seed",
    "metadata",
    "response_format",
    "tools",
    "tool_choice",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "prediction",
    "parallel_tool_calls",
    "prompt_mode",
    "reasoning_effort",
    "safe_prompt",
    "prompt_cache_key",
)

_COHERE_HAS_NOT = (
    "store",
    "metadata",
    "logit_bias",
    "top_logprobs",
    "n",
    "modalities",
    "prediction",
    "audio",
    "service_tier",
    "parallel_tool_calls",
)
_CEREBRAS_REFUSES = ("frequency_penalty", "presence_penalty", "logit_bias")
_XAI_REFUSES = ("presence_penalty", "frequency_penalty", "stop")
_GROK_BY_NAME = (
    "grok-2*",
    "grok-3",
    "grok-3-fast*",
    "grok-3-latest",
    "grok-4",
    "grok-4-0709",
    "grok-4-latest",
    "grok-4-fast*",
    "grok-4-1-fast*",
    "grok-code*",
)
"""Models of xAI's that reason, or do not, as their names say."""
_HIGH: dict[str, str] = dict.fromkeys(("low", "medium", "high", "xhigh", "max"), "high")
_OSS: dict[str, str] = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_QWEN: dict[str, str] = {"none": "none"} | dict.fromkeys(
    ("default", "minimal", "low", "medium", "high", "xhigh", "max"), "default"
)

QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        name="max-tokens",
        what="Knows `max_tokens` only; `max_completion_tokens` would be ignored, and the answer be as long as it likes.",
        link="https://api-docs.deepseek.com/api/create-chat-completion",
        case="written",
        dialect="openai_chat",
        keys=frozenset(("max_completion_tokens", "max_tokens")),
        marks=(b'"max_completion_tokens"',),
        mend=spelt({"max_completion_tokens": "max_tokens"}),
    ),
    Quirk(
        name="developer-role",
        what="Refuses the role `developer` in chats: it is told as `system`.",
        link="https://github.com/eclipse-theia/theia/issues/15144",
        case="written",
        dialect="openai_chat",
        keys=frozenset(("messages",)),
        marks=(b'"developer"',),
        mend=developer_as_system,
    ),
    Quirk(
        name="developer-role-in-responses",
        what="Refuses the role `developer` in Responses items: it is told as `system`.",
        link="https://github.com/EKKOLearnAI/hermes-studio/issues/1926",
        case="written",
        dialect="openai_responses",
        keys=frozenset(("input",)),
        marks=(b'"developer"',),
        mend=developer_as_system_item,
    ),
    Quirk(
        name="reasoning-content",
        what="Shows reasoning as `reasoning_content` and wants it back in the turns of a tool loop.",
        link="https://api-docs.deepseek.com/guides/thinking_mode",
        case="deepseek-streamed-reasoning-content-ed2b5ba",
    ),
    Quirk(
        name="mistral-parameters",
        what="Answers 422 to any field that it does not know (`stream_options`, `store`, `user`, …). "
        "`seed` is `random_seed` there, and `max_completion_tokens` is `max_tokens`.",
        link="https://github.com/openai/openai-agents-python/issues/442",
        case="written",
        dialect="openai_chat",
        mend=several(
            spelt({"max_completion_tokens": "max_tokens", "seed": "random_seed"}),
            only("mistral", _MISTRAL_KNOWS),
            effort_of("mistral", {"none": "none", "minimal": "none"} | _HIGH),
        ),
    ),
    Quirk(
        name="mistral-call-ids",
        what="Takes tool-call ids of nine letters and digits only; others are told as such, the same id always as the same.",
        link="https://github.com/langchain-ai/langchain/pull/24668",
        case="written",
        dialect="openai_chat",
        keys=frozenset(("messages",)),
        marks=(b'"tool_calls"', b'"tool_call_id"'),
        mend=nine_character_ids,
    ),
    Quirk(
        name="mistral-messages",
        what="Refuses `reasoning_content` and its like in assistant messages, names of speakers, and the role `developer`.",
        link="https://github.com/charmbracelet/crush/issues/1590",
        case="written",
        dialect="openai_chat",
        keys=frozenset(("messages",)),
        marks=(b'"reasoning', b'"name"', b'"developer"'),
        mend=several(without_reasoning, without_names, developer_as_system),
    ),
    Quirk(
        name="mistral-list-content",
        what="Thinks in a list of parts (`thinking`, `text`) where others have a string, whole and streamed.",
        link="https://docs.mistral.ai/capabilities/reasoning",
        case="mistral-model-thinking-part-iter-25157c8",
    ),
    Quirk(
        name="groq-parameters",
        what="Answers 400 to `logprobs`, `top_logprobs`, `logit_bias`, several choices, names of speakers, foreign reasoning.",
        link="https://console.groq.com/docs/openai",
        case="written",
        dialect="openai_chat",
        keys=frozenset(("logprobs", "top_logprobs", "logit_bias", "n", "messages")),
        marks=(b'"logprobs"', b'"top_logprobs"', b'"logit_bias"', b'"n"', b'"name"', b'"reasoning_'),
        mend=several(
            without("groq", ("logprobs", "top_logprobs", "logit_bias", "n"), unless={"n": (1,)}),
            without_names,
            without_foreign_reasoning,
        ),
    ),
    Quirk(
        name="groq-effort",
        what="Takes an effort for its reasoning models only; gpt-oss knows low, medium and high.",
        link="https://console.groq.com/docs/reasoning",
        case="groq-openai-gpt-oss-120b-object-basic-dcf0961",
        dialect="openai_chat",
        keys=frozenset(("reasoning_effort",)),
        models=("gpt-oss-*",),
        mend=effort_of("groq", _OSS),
    ),
    Quirk(
        name="groq-effort-of-qwen",
        what="Its Qwen models reason by default or not at all.",
        link="https://console.groq.com/docs/reasoning",
        case="groq-reasoning-wire-contract-qwen3-effort-setting-2e80968",
        dialect="openai_chat",
        keys=frozenset(("reasoning_effort",)),
        models=("qwen*",),
        mend=effort_of("groq", _QWEN),
    ),
    Quirk(
        name="groq-no-effort",
        what="All its other models refuse an effort.",
        link="https://console.groq.com/docs/reasoning",
        case="written",
        dialect="openai_chat",
        keys=frozenset(("reasoning_effort",)),
        models=("llama*", "kimi*", "gemma*", "mistral*", "allam*", "compound*"),
        mend=without_effort,
    ),
    Quirk(
        name="groq-usage",
        what="Tells usage as `x_groq.usage` in the last chunk where nobody asked for `stream_options`.",
        link="https://console.groq.com/docs/api-reference#chat-create",
        case="groq-model-web-search-tool-stream-27afc62",
    ),
    Quirk(
        name="xai-sampling",
        what="Its reasoning models answer 400 to penalties and stop strings.",
        link="https://docs.x.ai/docs/guides/reasoning",
        case="written",
        dialect="openai_chat",
        keys=frozenset(_XAI_REFUSES),
        models=("grok-3-mini*", "grok-4*", "grok-code*", "grok-build*"),
        mend=without("xai", _XAI_REFUSES),
    ),
    Quirk(
        name="xai-effort",
        what="Models whose name says how they reason answer 400 to an effort.",
        link="https://docs.x.ai/docs/guides/reasoning",
        case="xai-grok-code-fast-1-reasoning-basic-9d2f561",
        dialect="openai_chat",
        keys=frozenset(("reasoning_effort",)),
        models=_GROK_BY_NAME,
        mend=without_effort,
    ),
    Quirk(
        name="xai-effort-in-responses",
        what="The same in Responses.",
        link="https://docs.x.ai/docs/guides/reasoning",
        case="xai-grok-code-fast-1-reasoning-basic-9d2f561",
        dialect="openai_responses",
        keys=frozenset(("reasoning",)),
        models=_GROK_BY_NAME,
        mend=without_effort,
    ),
    Quirk(
        name="cerebras-parameters",
        what="Answers 400 to penalties and `logit_bias`.",
        link="https://inference-docs.cerebras.ai/resources/openai",
        case="written",
        dialect="openai_chat",
        keys=frozenset(_CEREBRAS_REFUSES),
        mend=without("cerebras", _CEREBRAS_REFUSES),
    ),
    Quirk(
        name="cohere-parameters",
        what=f"Its compatible surface has no {', '.join(f'`{field}`' for field in _COHERE_HAS_NOT)}.",
        link="https://docs.cohere.com/docs/compatibility-api",
        case="written",
        dialect="openai_chat",
        keys=frozenset(_COHERE_HAS_NOT),
        mend=without("cohere", _COHERE_HAS_NOT, unless={"n": (1,)}),
    ),
    Quirk(
        name="openrouter-stream",
        what="Streams comments while it waits, `reasoning_details`, finish reasons twice, and errors inside a 200.",
        link="https://openrouter.ai/docs/api-reference/streaming",
        case="openrouter-mistralai-mistral-small-3-1-24b-instruct-tool-round-09eb220",
    ),
    Quirk(
        name="azure-filter-results",
        what="Begins a stream with a chunk that has content-filter results and no choices.",
        link="https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming",
        case="azure-streaming-completion-8cf1cba",
    ),
    Quirk(
        name="no-done",
        what="Ends its streams without `[DONE]`.",
        link="https://inference-docs.cerebras.ai/capabilities/streaming",
        case="cerebras-qwen-3-235b-a22b-thinking-2507-streaming-621ce3e",
    ),
    Quirk(
        name="usage-in-every-chunk",
        what="Tells usage so far in every chunk; the last counts.",
        link="https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        case="databricks-tool-variations-e8f9d8a",
    ),
    Quirk(
        name="betas-by-host",
        what="Answers 400 to beta flags that it does not know: only those it knows are shown to it, in its own words.",
        link="https://github.com/anthropics/claude-code/issues/34802",
        case="written",
    ),
    Quirk(
        name="no-cache-scope",
        what="Refuses `cache_control.scope`, which Claude Code sends to Anthropic: the cache point goes without.",
        link="https://github.com/BerriAI/litellm/issues/19984",
        case="written",
        dialect="anthropic",
        keys=frozenset(("system", "messages", "tools")),
        marks=(b'"scope"',),
        mend=without_cache_scope,
    ),
)

BY_NAME: dict[str, Quirk] = {quirk.name: quirk for quirk in QUIRKS}

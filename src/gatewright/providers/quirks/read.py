"""Quirks that need no change of a request: what the dialects read from everybody, because any host may do it.

One rule: they stand here so that a host's page tells them, each with a reason, a link, a case and the file that deals with it.
"""

from gatewright.providers.quirks.seam import Quirk

READ: tuple[Quirk, ...] = (
    Quirk(
        name="kimi-call-ids",
        what="Names its tool calls `functions.f:0`; they are fitted for APIs that refuse such ids.",
        link="https://platform.moonshot.ai/docs/guide/use-kimi-api-to-complete-tool-calls",
        case="groq-moonshotai-kimi-k2-instruct-multi-tool-6fb7a55",
        done_by="src/gatewright/dialects/anthropic/render_content.py",
    ),
    Quirk(
        name="long-call-ids",
        what="Passes on tool-call ids of more than the forty characters that OpenAI takes; they are fitted for it.",
        link="https://platform.openai.com/docs/api-reference/chat/create",
        case="openrouter-meta-llama-llama-3-3-70b-instruct-free-multi-tool-db026f4",
        done_by="src/gatewright/dialects/openai_chat/words.py",
    ),
    Quirk(
        name="schema-keywords",
        what="Refuses JSON Schema keywords that it does not document: they are told in the description.",
        link="https://ai.google.dev/api/generate-content#FIELDS.response_json_schema",
        case="written",
        done_by="src/gatewright/dialects/gemini/schema.py",
    ),
    Quirk(
        name="reasoning-content",
        what="Shows reasoning as `reasoning_content` and wants it back in the turns of a tool loop.",
        link="https://api-docs.deepseek.com/guides/thinking_mode",
        case="deepseek-streamed-reasoning-content-ed2b5ba",
        done_by="src/gatewright/dialects/openai_chat/reasoning.py",
    ),
    Quirk(
        name="mistral-list-content",
        what="Thinks in a list of parts (`thinking`, `text`) where others have a string, whole and streamed.",
        link="https://docs.mistral.ai/capabilities/reasoning",
        case="mistral-model-thinking-part-iter-25157c8",
        done_by="src/gatewright/dialects/openai_chat/content.py",
    ),
    Quirk(
        name="groq-usage",
        what="Tells usage as `x_groq.usage` in the last chunk where nobody asked for `stream_options`.",
        link="https://console.groq.com/docs/api-reference#chat-create",
        case="groq-model-web-search-tool-stream-27afc62",
        done_by="src/gatewright/dialects/openai_chat/usage.py",
    ),
    Quirk(
        name="azure-filter-results",
        what="Begins a stream with a chunk that has content-filter results and no choices.",
        link="https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming",
        case="azure-streaming-completion-8cf1cba",
        done_by="src/gatewright/dialects/openai_chat/stream_reader.py",
    ),
    Quirk(
        name="no-done",
        what="Ends its streams without `[DONE]`.",
        link="https://inference-docs.cerebras.ai/capabilities/streaming",
        case="cerebras-qwen-3-235b-a22b-thinking-2507-streaming-621ce3e",
        done_by="src/gatewright/dialects/openai_chat/stream_parser.py",
    ),
    Quirk(
        name="betas-by-host",
        what="Answers 400 to beta flags that it does not know: only those it knows are shown to it, in its own words.",
        link="https://github.com/anthropics/claude-code/issues/34802",
        case="written",
        done_by="src/gatewright/providers/quirks/betas.py",
    ),
    Quirk(
        name="usage-in-every-chunk",
        what="Tells usage so far in every chunk; the last counts.",
        link="https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
        case="databricks-tool-variations-e8f9d8a",
        done_by="src/gatewright/dialects/openai_chat/stream_reader.py",
    ),
    Quirk(
        name="openrouter-stream",
        what="Streams comments while it waits, `reasoning_details`, finish reasons twice, and errors inside a 200.",
        link="https://openrouter.ai/docs/api-reference/streaming",
        case="openrouter-mistralai-mistral-small-3-1-24b-instruct-tool-round-09eb220",
        done_by="src/gatewright/dialects/openai_chat/stream_reader.py",
    ),
)

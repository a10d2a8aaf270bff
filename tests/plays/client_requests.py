"""What Claude Code, Codex and Gemini CLI put on the wire (November 2026), and how a streamed answer reads.

One rule: the shapes are theirs, oddities included; nothing here is what the gateway would write.
"""

from tests.plays.scene import events

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
PLAIN = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
BETAS = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05,advanced-tool-use-2025-11-20,effort-2025-11-24,fine-grained-tool-streaming-2025-05-14"
CLAUDE_HEADERS = f"anthropic-version: 2023-06-01\r\nanthropic-beta: {BETAS}\r\nx-app: cli\r\nuser-agent: claude-cli/2.1.329 (external, sdk-cli)\r\n"


def told(dialect: str, wire: bytes) -> str:
    """The text of a stream."""
    found = ""
    for event in events(wire):
        match dialect:
            case "openai_chat":
                found += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            case "openai_responses" if event["type"] == "response.output_text.delta":
                found += event["delta"]
            case "anthropic" if event["type"] == "content_block_delta":
                found += event["delta"].get("text", "")
            case "gemini":
                parts = event["candidates"][0].get("content", {}).get("parts", []) if event.get("candidates") else []
                found += "".join(part.get("text", "") for part in parts if not part.get("thought"))
            case _:
                pass
    return found


def claude_code(model: str, **more: object) -> dict:
    """As Claude Code asks a model whose name it does not know."""
    return {
        "model": model,
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329;"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>Be brief.</system-reminder>"},
                    {"type": "text", "text": "Hi"},
                ],
            },
            {"role": "system", "content": "The user opened a file."},
            {"role": "user", "content": [{"type": "text", "text": "[[call]] weather?", "cache_control": {"type": "ephemeral"}}]},
        ],
        "tools": [
            {"name": "get_weather", "description": "Weather.", "input_schema": SCHEMA, "defer_loading": True},
            {"name": "Bash", "description": "Run.", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
        ],
        "metadata": {"user_id": '{"device_id":"0a","account_uuid":"","session_id":"b1"}'},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": True,
        **more,
    }


def codex(model: str, **more: object) -> dict:
    """As Codex asks: everything of its own kinds at once, in the middle of a task."""
    function = {"type": "function", "name": "shell", "description": "Run.", "strict": False, "parameters": PLAIN}
    return {
        "model": model,
        "instructions": "You are a coding agent.",
        "input": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "<permissions>all</permissions>"}],
            },
            {"type": "message", "role": "user", "id": "msg_u1", "content": [{"type": "input_text", "text": "Look around."}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": "gAAAAforeign"},
            {"type": "function_call", "name": "shell", "arguments": '{"city":"ls"}', "call_id": "call_1"},
            {
                "type": "custom_tool_call",
                "status": "completed",
                "call_id": "call_2",
                "name": "apply_patch",
                "input": "*** Begin Patch\n*** End Patch",
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
        ],
        "tools": [
            function,
            {"type": "namespace", "name": "mcp__files", "description": "Files.", "tools": [function | {"name": "list"}]},
            {"type": "web_search", "external_web_access": False},
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "Patch.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
            },
            {"type": "tool_search", "execution": "client", "description": "Find tools.", "parameters": PLAIN},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019aa6d1",
        "client_metadata": {"x-codex-installation-id": "0c"},
        **more,
    }


def gemini_cli(text: str, **more: object) -> dict:
    """As Gemini CLI asks in the middle of a task that another model began."""
    signed = {"thoughtSignature": "skip_thought_signature_validator"}
    calls = [
        {"functionCall": {"name": name, "args": {"city": "x"}, "id": f"{name}_1763720000000_0"}} | extra
        for name, extra in (("read_file", signed), ("glob", {}))
    ]
    results = [
        {"functionResponse": {"id": f"{name}_1763720000000_0", "name": name, "response": {"output": f"{name} said"}}}
        for name in ("read_file", "glob")
    ]
    declared = [{"name": name, "description": "A tool.", "parametersJsonSchema": SCHEMA} for name in ("read_file", "glob")]
    return {
        "contents": [
            {"role": "user", "parts": [{"text": text}]},
            {"role": "model", "parts": calls},
            {"role": "user", "parts": results},
        ],
        "systemInstruction": {"role": "user", "parts": [{"text": "You are a coding agent."}]},
        "tools": [{"functionDeclarations": declared}],
        "generationConfig": {
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192},
        },
        **more,
    }

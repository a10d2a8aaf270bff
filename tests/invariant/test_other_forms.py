"""Responses and Converse in Invariant's form: as its converter tells Anthropic's conversations."""

from gatewright.invariant.messages import messages_of
from gatewright.jsontypes import JsonObject
from tests.invariant.test_messages import answer_of, request_of

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"a": 1}}}


def test_a_responses_conversation_is_a_message_for_each_item():
    """Instructions are the system's, parts are spelt as OpenAI's chat does, results go by the call's id; reasoning was not said."""
    body: JsonObject = {
        "model": "gpt-5.2",
        "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "And kind."},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "look"},
                    {"type": "input_image", "image_url": "https://e.org/a.png", "detail": "low"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": 1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "ok"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "sh", "input": "ls"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": []},
        ],
    }
    told: JsonObject = {"type": "output_text", "text": "Done.", "annotations": []}
    output: list[JsonObject] = [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [told]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": '{"a":1}', "status": "completed"},
    ]
    answer = answer_of(
        "openai_responses", {"id": "resp_1", "object": "response", "model": "gpt-5.2", "status": "completed", "output": [*output]}
    )
    assert messages_of(request_of("openai_responses", body), answer) == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "And kind."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://e.org/a.png"}}],
        },
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": "ok", "tool_call_id": "c1"},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c2", "type": "function", "function": {"name": "sh", "arguments": {"input": "ls"}}}],
        },
        {"role": "tool", "content": "", "tool_call_id": "c2"},
        {"role": "assistant", "content": "Done."},
        {"role": "assistant", "tool_calls": [CALL]},
    ]


def test_a_converse_conversation_is_a_message_for_each_block():
    """Results before what else the user says; a result of one JSON document is the document."""
    body: JsonObject = {
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": "look"}]},
            {
                "role": "assistant",
                "content": [{"text": "So."}, {"toolUse": {"toolUseId": "c1", "name": "look", "input": {"a": 1}}}],
            },
            {
                "role": "user",
                "content": [
                    {"text": "and?"},
                    {"toolResult": {"toolUseId": "c1", "content": [{"json": {"degrees": 12}}]}},
                    {"toolResult": {"toolUseId": "c2", "content": [{"text": "a"}, {"text": "b"}], "status": "success"}},
                    {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}},
                ],
            },
        ],
    }
    odd: JsonObject = {"toolUse": {"toolUseId": "c3", "name": "look", "input": {"_raw": "{}{"}}}
    thought: JsonObject = {"reasoningContent": {"reasoningText": {"text": "Hm"}}}
    said: JsonObject = {"role": "assistant", "content": [thought, {"text": "12."}, odd]}
    usage: JsonObject = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    answer = answer_of("bedrock_converse", {"output": {"message": said}, "stopReason": "end_turn", "usage": usage})
    assert messages_of(request_of("bedrock_converse", body), answer) == [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "look"}]},
        {"role": "assistant", "content": "So."},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "content": {"degrees": 12}, "tool_call_id": "c1"},
        {"role": "tool", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "tool_call_id": "c2"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "and?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            ],
        },
        {"role": "assistant", "content": "12."},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c3", "type": "function", "function": {"name": "look", "arguments": {"_raw": "{}{"}}}],
        },
    ]

"""Conversations in Invariant's form: as its converters have it where they are right, and right where they are not."""

import pytest

from gatewright.invariant.messages import messages_of
from gatewright.invariant.metadata import metadata_of
from gatewright.ir.blocks import DialectName
from gatewright.ir.fold import fold
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode
from tests.invariant import oracle
from tests.laws import cases, seen
from tests.laws.dialects import DIALECTS


def request_of(dialect: DialectName, body: JsonObject) -> Request:
    path = cases.path_for(dialect, cases.MODEL[dialect], stream=False)
    return DIALECTS[dialect].parse_request(cases.call_of(dialect, body, path=path))


def answer_of(dialect: DialectName, body: JsonObject) -> Response:
    return DIALECTS[dialect].parse_response(encode(body), Asked())


def test_an_anthropic_conversation_without_tools_is_converted_as_published():
    """The converter's published case: plain user text, and an answer in blocks, a message for each."""
    body: JsonObject = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 10,
        "system": "You know capitals.",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    }
    answer = answer_of(
        "anthropic",
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [{"type": "text", "text": "Paris."}],
            "usage": {},
        },
    )
    assert messages_of(request_of("anthropic", body), answer) == [
        {"role": "system", "content": "You know capitals."},
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "Paris."},
    ]


def test_an_anthropic_tool_call_is_a_message_of_its_own_with_its_arguments_read():
    """The converter's published case with a tool: `content: null` is not pushed, arguments are an object."""
    body: JsonObject = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 10,
        "messages": [
            {"role": "user", "content": "What is the capital of France?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I'll look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "get_capital", "input": {"country_name": "France"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "And?"},
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Paris"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}},
                ],
            },
        ],
    }
    assert messages_of(request_of("anthropic", body)) == [
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "I'll look."},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "toolu_1",
                    "type": "function",
                    "function": {"name": "get_capital", "arguments": {"country_name": "France"}},
                }
            ],
        },
        {"role": "tool", "content": "Paris", "tool_call_id": "toolu_1"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "And?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            ],
        },
    ]


def test_a_gemini_conversation_is_converted_as_published():
    """The converter's published case: joined instructions, calls without ids, results by the tool's name."""
    body: JsonObject = {
        "systemInstruction": {"parts": [{"text": "Use"}, {"text": "the function."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Turn the lights down to a romantic level"}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "set_light_values", "args": {"color_temp": "warm", "brightness": 20}}}],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "set_light_values", "response": {"result": {"brightness": 20}}}}],
            },
        ],
    }
    answer = answer_of(
        "gemini", {"candidates": [{"content": {"role": "model", "parts": [{"text": "Done.\n"}]}, "finishReason": "STOP"}]}
    )
    assert messages_of(request_of("gemini", body), answer) == [
        {"role": "system", "content": "Use the function."},
        {"role": "user", "content": [{"type": "text", "text": "Turn the lights down to a romantic level"}]},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "type": "function",
                    "function": {"name": "set_light_values", "arguments": {"color_temp": "warm", "brightness": 20}},
                }
            ],
        },
        {"role": "tool", "tool_name": "set_light_values", "content": {"brightness": 20}},
        {"role": "assistant", "content": "Done.\n"},
    ]


def test_an_assistants_plain_history_is_a_message():
    """Invariant's converter goes through the letters of a plain string and fails on the first (its unit of history is a block)."""
    body: JsonObject = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 10,
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "again"},
        ],
    }
    assert messages_of(request_of("anthropic", body))[1] == {"role": "assistant", "content": "Hello."}


def test_a_result_without_content_is_not_lost():
    """Invariant's converter drops it, and with it that the tool was done."""
    body: JsonObject = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1"}]}],
    }
    assert messages_of(request_of("anthropic", body)) == [{"role": "tool", "content": "", "tool_call_id": "toolu_1"}]


def test_a_gemini_response_without_the_key_result_stands_there_whole():
    """Google's own documentation answers with `output` or with any object; Invariant's converter makes `{}` of it."""
    body: JsonObject = {
        "contents": [
            {"role": "user", "parts": [{"functionResponse": {"name": "a", "response": {"output": "12"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "b", "response": {"degrees": 12}}}]},
        ]
    }
    assert [one["content"] for one in messages_of(request_of("gemini", body))] == [{"output": "12"}, {"degrees": 12}]


def test_geminis_empty_text_is_a_message_as_the_reference_has_it():
    """A thought that has nothing but its signature stands there as a text part; what has no text at all is none."""
    parts: JsonValue = [
        {"text": "", "thought": True, "thoughtSignature": "c2ln"},
        {"thoughtSignature": "c2ln"},
        {"text": "Noon."},
    ]
    answer = answer_of("gemini", {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}]})
    made = messages_of(request_of("gemini", {"contents": []}), answer)
    assert made == [{"role": "assistant", "content": ""}, {"role": "assistant", "content": "Noon."}]


def test_arguments_that_are_no_json_stand_in_what_their_client_saw():
    """Who is shown an object is told the object that it was shown."""
    call: JsonObject = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"_raw": "{}{"}}
    answer = answer_of("anthropic", {"id": "msg_1", "role": "assistant", "model": "claude", "content": [call], "usage": {}})
    body: JsonObject = {"model": "claude-sonnet-4-5", "max_tokens": 10, "messages": []}
    [told] = messages_of(request_of("anthropic", body), answer)
    assert told["tool_calls"] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": {"_raw": "{}{"}}}
    ]


def test_gemini_images_are_said_in_the_standard_alphabet():
    """Google's clients send base64 for URLs; a data URI has the standard alphabet."""
    body: JsonObject = {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "_-8_"}}]}]}
    assert messages_of(request_of("gemini", body)) == [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,/+8/"}}]}
    ]


def test_a_streamed_answer_has_the_form_of_a_whole_one():
    """Invariant's gateway leaves the arguments of a streamed call a text, and loses the usage."""
    stream = (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude",'
        b'"content":[],"usage":{"input_tokens":3,"output_tokens":1}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"look","input":{}}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\\"a\\""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":":1}"}}\n\n'
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":7}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )
    parser = DIALECTS["anthropic"].stream_parser(Asked())
    answer = fold([*parser.feed(stream), *parser.close()])
    body: JsonObject = {
        "model": "claude-sonnet-4-5",
        "max_tokens": 10,
        "messages": [{"role": "user", "content": "go"}],
        "stream": True,
    }
    call = {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": {"a": 1}}}
    assert messages_of(request_of("anthropic", body), answer)[1:] == [{"role": "assistant", "tool_calls": [call]}]
    usage = metadata_of(encode(body), answer, "anthropic")["usage"]
    assert isinstance(usage, dict)
    assert usage["output_tokens"] == 7


def test_openai_messages_are_as_they_are_and_every_choice_is_told():
    """Fields that nobody here knows included; nulls are not pushed."""
    body: JsonObject = {
        "model": "gpt-5.2",
        "n": 2,
        "messages": [
            {"role": "developer", "content": "Be brief.", "x_house": 1},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "hi"},
                    {"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        ],
    }
    choices = [
        {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": word, "refusal": None}}
        for n, word in enumerate(("one", "two"))
    ]
    answer = answer_of("openai_chat", {"id": "x", "object": "chat.completion", "model": "gpt", "choices": choices})
    sent = body["messages"]
    assert isinstance(sent, list)
    without_null = {"role": "assistant", "tool_calls": sent[2]["tool_calls"]}  # type: ignore[index, call-overload]
    assert messages_of(request_of("openai_chat", body), answer) == [
        sent[0],
        sent[1],
        without_null,
        sent[3],
        {"role": "assistant", "content": "one"},
        {"role": "assistant", "content": "two"},
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_recording_is_converted_as_the_reference_converts_it(dialect: DialectName):
    """Requests and whole answers of all cases and recordings; where the reference loses something, the oracle says what."""
    same, lost = 0, 0
    for place, path in cases.files():
        case = cases.load(place, path)
        view = seen.see(place, path)
        if case.dialect != dialect or view.request is None or case.request is None:
            continue
        whole = case.document if case.text is None and not case.failed and view.answer is not None else None
        try:
            wanted = oracle.messages(dialect, case.request, whole if isinstance(whole, dict) else None)
        except oracle.Lost:
            lost += 1
            continue
        assert messages_of(view.request, view.answer if whole is not None else None) == wanted, path.name
        same += 1
    assert same > 2 * lost
    assert same > 5


def test_metadata_has_the_requests_fields_and_what_the_answer_used():
    """All but the messages, `via_gateway`, usage and, as the dialect says it, the model."""
    body: JsonObject = {"model": "gpt-5.2", "messages": [], "temperature": 0.5, "user": None}
    answer = answer_of(
        "openai_chat",
        {
            "id": "x",
            "object": "chat.completion",
            "model": "gpt-5.2-2026",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        },
    )
    assert metadata_of(encode(body), answer, "openai_chat") == {
        "model": "gpt-5.2-2026",
        "temperature": 0.5,
        "via_gateway": True,
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assert metadata_of(encode({"contents": [], "generationConfig": {}}), None, "gemini") == {
        "generationConfig": {},
        "via_gateway": True,
    }
    assert metadata_of(b"no json", None, "anthropic") == {"via_gateway": True}

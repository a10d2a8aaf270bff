"""Requests of Gemini clients, read."""

import pytest

from gatewright.errors import Malformed, Refused
from gatewright.ir.blocks import FileRef, Inline, Media, Native, Reasoning, Text, ToolCall, ToolResult, Url
from tests.dialects.gemini.asking import STREAM, ask, parsed, rendered


def blocks(*parts):
    return parsed(ask(*parts)).messages[0].blocks


def home(body):
    return rendered(parsed(body)).body


@pytest.mark.parametrize(
    "path", ["/v1beta/models/M:generateContent", "/v1/models/M:generateContent", "/v1beta/models/models/M:generateContent"]
)
def test_the_model_is_in_the_path(path):
    """Both API versions are served, with or without a second `models/`."""
    assert parsed(ask("Hi"), path).model == "M"


def test_a_model_may_hold_slashes():
    """google-genai puts provider-qualified names into the path as they are."""
    assert parsed(ask("Hi"), "/v1beta/models/openai/gpt-5:generateContent").model == "openai/gpt-5"


def test_the_method_says_whether_it_streams():
    """Nothing in the body does; `alt` is kept for the way back."""
    assert parsed(ask("Hi"), STREAM + "?alt=sse").client == {"alt": "sse"}
    assert parsed(ask("Hi"), STREAM).stream is True
    assert parsed(ask("Hi")).stream is False


def test_another_method_is_not_found():
    """embedContent is forwarded, not translated."""
    with pytest.raises(Refused) as refused:
        parsed(ask("Hi"), "/v1beta/models/M:embedContent")
    assert refused.value.problem.kind == "not_found"


def test_both_spellings_mean_the_same_and_come_back():
    """Proto JSON allows snake case; at home it stays."""
    body = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}],
        "generation_config": {"max_output_tokens": 5, "top_k": 3, "thinking_config": {"thinking_budget": 7}},
        "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
    }
    request = parsed(body)
    assert (request.max_tokens, request.sampling.top_k, request.thinking.budget, request.tool_choice.names) == (5, 3, 7, ("f",))
    assert home(body) == body


def test_thoughts_and_signatures_are_reasoning_and_seals():
    """A thought is Reasoning; a signature seals whatever part it stands on."""
    thought, text = blocks(
        {"text": "hm", "thought": True, "thoughtSignature": "QQ=="}, {"text": "yes", "thoughtSignature": "Qg=="}
    )
    assert isinstance(thought, Reasoning)
    assert isinstance(text, Text)
    assert (thought.seal.data, text.seal.data) == ("QQ==", "Qg==")


def test_a_call_may_lack_id_and_args():
    """Gemini gives ids only sometimes: the neutral form leaves them empty."""
    (block,) = blocks({"functionCall": {"name": "now"}})
    assert isinstance(block, ToolCall)
    assert (block.id, block.arguments) == ("", "{}")


@pytest.mark.parametrize(
    "call",
    [{"name": "f"}, {"name": "f", "args": {}}, {"name": "f", "args": None}, {"name": "f", "id": "", "args": {"a": [1]}}, {}],
)
def test_calls_come_back_as_they_were(call):
    """Absent, null and empty args are three spellings of one thing."""
    body = {"contents": [{"role": "model", "parts": [{"functionCall": call}]}]}
    assert home(body) == body


@pytest.mark.parametrize(("response", "is_error"), [({"result": "ok"}, None), ({"output": "ok"}, None), ({"error": "ok"}, True)])
def test_a_plain_response_is_text(response, is_error):
    """The documented keys with one string are the text of a result, `error` a failure."""
    (block,) = blocks({"functionResponse": {"name": "f", "response": response}})
    assert isinstance(block, ToolResult)
    assert (block.content[0].text, block.is_error, block.structured) == ("ok", is_error, None)


def test_any_other_response_is_structured():
    """An object of the tool's own stays an object."""
    (block,) = blocks({"functionResponse": {"name": "f", "response": {"degrees": 3}}})
    assert isinstance(block, ToolResult)
    assert block.structured == {"degrees": 3}


def test_base64_is_standard_inside_and_as_sent_at_home():
    """Google's SDKs send the URL-safe alphabet, without padding at times."""
    body = ask({"inlineData": {"mimeType": "image/png", "data": "_-8"}})
    (block,) = parsed(body).messages[0].blocks
    assert isinstance(block, Media)
    assert isinstance(block.source, Inline)
    assert block.source.data == "/+8="
    assert home(body) == body


def test_web_addresses_are_urls_and_googles_files_are_references():
    """Another provider can fetch the one and not the other."""
    url, file, bucket, film = blocks(
        {"fileData": {"fileUri": "https://example.org/a.pdf"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x", "mimeType": "image/png"}},
        {"fileData": {"fileUri": "gs://b/a.wav", "mimeType": "audio/wav"}},
        {"fileData": {"fileUri": "https://youtu.be/abc"}},
    )
    assert isinstance(url.source, Url)
    assert isinstance(file.source, FileRef)
    assert isinstance(bucket.source, FileRef)
    assert [block.kind for block in (url, file, bucket, film)] == ["document", "image", "audio", "video"]


def test_unknown_parts_are_native():
    """Code execution, server tools and whatever comes tomorrow."""
    assert all(isinstance(block, Native) for block in blocks({"executableCode": {"code": "1"}}, {"hologram": {}, "x": 1}, {}))


def test_schemas_become_json_schema_and_come_back():
    """Upper-case types, integers for enums, nullable and counts as strings are Google's own spelling."""
    schema = {
        "type": "OBJECT",
        "properties": {"a": {"type": 1, "nullable": True}, "b": {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "2"}},
    }
    body = ask("Hi", tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}])
    assert parsed(body).tools[0].parameters == {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": {"type": "array", "items": {"type": "number"}, "minItems": 2}},
    }
    assert home(body) == body


def test_tool_groups_come_back_in_their_order():
    """A group may hold functions and hosted tools at once, or nothing."""
    body = ask(
        "Hi", tools=[{"googleSearch": {}}, {"functionDeclarations": [{"name": "a"}, {"name": "b"}], "codeExecution": {}}, {}]
    )
    assert [tool.hosted or tool.name for tool in parsed(body).tools] == ["web_search", "a", "b", "code_execution", ""]
    assert home(body) == body


@pytest.mark.parametrize(
    ("config", "mode"),
    [({"mode": "AUTO"}, "auto"), ({"mode": 2}, "required"), ({"mode": "NONE"}, "none"), ({"mode": "VALIDATED"}, "auto")],
)
def test_tool_choice_modes(config, mode):
    """Words and integers; VALIDATED is AUTO with more, and the more is kept."""
    body = ask("Hi", toolConfig={"functionCallingConfig": config})
    assert parsed(body).tool_choice.mode == mode
    assert home(body) == body


def test_one_allowed_name_is_that_tool():
    """Every other API has a word for it."""
    choice = parsed(ask("Hi", toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}})).tool_choice
    assert (choice.mode, choice.names) == ("tool", ("f",))


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"responseMimeType": "application/json"}, "json_object"),
        ({"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}, "json_schema"),
        ({"responseMimeType": "application/json", "_responseJsonSchema": {"type": "object"}}, "json_schema"),
        ({"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}, "json_schema"),
        ({"responseMimeType": "text/plain"}, "text"),
    ],
)
def test_output_formats(config, kind):
    """Three keys for a schema, one meaning; each comes back under its own."""
    body = ask("Hi", generationConfig=config)
    assert parsed(body).output.kind == kind
    assert home(body) == body


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"contents": [{"parts": [{"text": 3}]}]}, "contents[0].parts[0].text"),
        ({"contents": "hi"}, "contents"),
        (ask("Hi", generation_config={"top_k": "9"}), "generation_config.top_k"),
        (ask({"inlineData": {"data": "AAAA"}}), "contents[0].parts[0].inlineData.mimeType"),
        (ask("Hi", generationConfig={"responseSchema": {"type": "OBJECT"}}), "generationConfig.responseMimeType"),
        (ask("Hi", tools=[{"functionDeclarations": [{}]}]), "tools[0].functionDeclarations[0].name"),
        (ask("Hi", generationConfig={"stopSequences": [1]}), "generationConfig.stopSequences[0]"),
    ],
)
def test_wrong_types_are_told_with_their_path(body, path):
    """In the client's own spelling."""
    with pytest.raises(Malformed) as malformed:
        parsed(body)
    assert malformed.value.problem.param == path

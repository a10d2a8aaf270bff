"""Converse requests, read and written again at home."""

import pytest

from gatewright.dialects.bedrock_converse import BEDROCK_CONVERSE
from gatewright.errors import Malformed, Refused
from gatewright.ir.blocks import FileRef, Inline, Media, Native, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.request import Target
from gatewright.wire.http import Call
from tests.dialects.bedrock_converse.asking import CLAUDE, ask, call, home, parsed, rendered


def block(*blocks):
    (message,) = parsed(ask(*blocks)).messages
    return message.blocks


@pytest.mark.parametrize(
    "model", [CLAUDE, "arn:aws:bedrock:us-east-1:012345678901:application-inference-profile/abc", "gpt-5", "openai/gpt-5"]
)
def test_the_model_is_in_the_path_whatever_it_holds(model):
    """Colons and slashes included; they are percent-encoded on the way out."""
    peeked = BEDROCK_CONVERSE.peek(call(ask("Hi"), model, stream=True))
    assert (peeked.model, peeked.stream) == (model, True)
    path = BEDROCK_CONVERSE.pass_path(call(ask("Hi"), model), Target(model=model, issuer=""))
    assert path == "/model/" + model.replace(":", "%3A").replace("/", "%2F") + "/converse"
    assert rendered(parsed(ask("Hi"), model, stream=True), model).path == path + "-stream"


@pytest.mark.parametrize("path", ["/model/m/invoke", "/model//converse", "/converse", "/model/m/converse/x"])
def test_other_paths_are_refused(path):
    with pytest.raises(Refused, match="no such operation"):
        BEDROCK_CONVERSE.peek(Call(path=path, body=b"{}"))


@pytest.mark.parametrize("body", [b"", b"[]", b"nope", b'{"a":'])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(Malformed):
        BEDROCK_CONVERSE.peek(Call(path="/model/m/converse", body=body))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"messages": [{"role": "robot", "content": []}]}, r"messages\[0\].role: expected"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\].content: expected an array of blocks, got nothing"),
        (ask({"text": 7}), r"messages\[0\].content\[0\].text: expected a string"),
        (ask({"image": {"source": {"bytes": "QQ=="}}}), r"content\[0\].image.format: expected a string, got nothing"),
        (ask({"image": {"format": "png"}}), r"content\[0\].image.source: expected an object, got nothing"),
        (ask({"toolUse": {"name": "f"}}), r"toolUse.toolUseId: expected a string, got nothing"),
        (ask("a", inferenceConfig={"stopSequences": [1]}), r"inferenceConfig.stopSequences\[0\]: expected a string"),
        (ask("a", toolConfig={"tools": [{"toolSpec": {}}]}), r"toolConfig.tools\[0\].toolSpec: |toolSpec.name"),
    ],
)
def test_what_is_malformed_is_told_with_its_path(body, says):
    if "tools" in str(body):
        body["toolConfig"]["tools"] = [{"toolSpec": {"description": "d"}}]
    with pytest.raises(Malformed, match=says):
        parsed(body)


def test_a_cache_point_belongs_to_the_block_before_it():
    """On the wire it is a block of its own; one with nothing before it stays one."""
    first, second = block("a", {"cachePoint": {"type": "default", "ttl": "1h"}}, "b")
    assert first.cache.ttl == "1h"
    assert second.cache is None
    alone, text = block({"cachePoint": {"type": "default"}}, "b")
    assert isinstance(alone, Native)
    assert text.cache is None


def test_media_come_as_bytes_text_or_places_in_s3():
    image, document, note, film = block(
        {"image": {"format": "jpeg", "source": {"bytes": "QQ=="}}},
        {"document": {"format": "pdf", "name": "n", "source": {"bytes": "QQ=="}, "citations": {"enabled": True}}},
        {"document": {"format": "md", "name": "n", "source": {"text": "# A"}}},
        {"video": {"format": "three_gp", "source": {"s3Location": {"uri": "s3://b/k", "bucketOwner": "1"}}}},
    )
    assert image == Media(kind="image", source=Inline(media_type="image/jpeg", data="QQ=="), at="messages[0].content[0]")
    assert document.extras == {"document": {"citations": {"enabled": True}}}
    assert note.source == Inline(media_type="text/markdown", data="# A", text=True)
    assert film.source == FileRef(id="s3://b/k", origin="bedrock_converse", media_type="video/3gpp")


def test_results_hold_text_json_and_status():
    """One JSON object alone is the result itself; beside others it is a text of JSON."""
    alone, mixed = block(
        {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}], "status": "error"}},
        {"toolResult": {"toolUseId": "u", "content": [{"text": "x"}, {"json": [1]}], "status": "success"}},
    )
    assert alone == ToolResult(call_id="t", content=(), structured={"a": 1}, is_error=True, at="messages[0].content[0]")
    assert [part.text for part in mixed.content] == ["x", "[1]"]
    assert mixed.is_error is False


def test_reasoning_is_sealed_by_its_signature_or_redacted():
    told, hidden = block(
        {"reasoningContent": {"reasoningText": {"text": "t", "signature": "EqQB"}}},
        {"reasoningContent": {"redactedContent": "QQ=="}},
    )
    assert isinstance(told, Reasoning)
    assert (told.text, told.seal.data, told.redacted) == ("t", "EqQB", False)
    assert (hidden.seal.data, hidden.seal.kind, hidden.redacted) == ("QQ==", "redactedContent", True)


def test_guarded_content_is_text_that_says_so_at_home():
    """To every other API it is the text; the guardrail is Bedrock's."""
    body = ask({"guardContent": {"text": {"text": "secret", "qualifiers": ["query"]}}})
    (text,) = parsed(body).messages[0].blocks
    assert isinstance(text, Text)
    assert text.text == "secret"
    assert home(body) == body


def test_tools_that_bedrock_runs_itself_stay_whole():
    """A call and a result with a type of their own are nobody else's to answer."""
    blocks = block({"toolUse": {"toolUseId": "t", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}})
    assert isinstance(blocks[0], Native)
    tools = parsed(ask("a", toolConfig={"tools": [{"systemTool": {"name": "nova_grounding"}}]})).tools
    assert (tools[0].kind, tools[0].hosted) == ("hosted", "web_search")


def test_thinking_effort_and_top_k_are_read_from_each_familys_words():
    more = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 5, "anthropic_beta": ["b"]}
    claude = parsed(ask("a", additionalModelRequestFields=more))
    assert (claude.thinking.enabled, claude.thinking.budget, claude.sampling.top_k) == (True, 2000, 5)
    assert claude.extras == {"additionalModelRequestFields": {"anthropic_beta": ["b"]}}
    nova = parsed(
        ask(
            "a",
            additionalModelRequestFields={
                "reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"},
                "inferenceConfig": {"topK": 9},
            },
        )
    )
    assert (nova.thinking.enabled, nova.thinking.effort, nova.sampling.top_k) == (True, "low", 9)
    assert parsed(ask("a", additionalModelRequestFields={"reasoning_effort": "high"})).thinking.effort == "high"
    assert parsed(ask("a", outputConfig={"effort": "max"})).thinking.effort == "max"
    adaptive = {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}}
    told = parsed(ask("a", additionalModelRequestFields=adaptive)).thinking
    assert (told.adaptive, told.effort, told.summary) == (True, "low", "none")


def test_the_schema_of_the_output_is_read_out_of_its_string():
    """And written again with its own spelling."""
    text = '{ "type":"object" }'
    wanted = {"type": "json_schema", "structure": {"jsonSchema": {"name": "n", "schema": text}}}
    body = ask("a", outputConfig={"textFormat": wanted})
    assert parsed(body).output.schema == {"type": "object"}
    assert home(body) == body


@pytest.mark.parametrize(
    "format_",
    [
        {"type": "json_schema"},
        {"structure": {"jsonSchema": {"schema": "{}"}}},
        {"type": "json_schema", "structure": {"jsonSchema": {"schema": "no"}}},
        {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}", "strict": True}}},
        {"type": "xml", "structure": {"jsonSchema": {"schema": "{}"}}},
        "free",
    ],
)
def test_a_format_of_another_shape_stays_where_it_is(format_):
    body = ask("a", outputConfig={"textFormat": format_})
    assert parsed(body).output is None
    assert home(body) == body


@pytest.mark.parametrize(
    "more",
    [
        {"thinking": "on"},
        {"thinking": {"budget_tokens": 5}},
        {"thinking": {"type": "novel", "budget_tokens": 5}},
        {"thinking": {"type": "enabled", "budget_tokens": "many", "display": "full"}},
        {"reasoningConfig": {"type": "disabled", "maxReasoningEffort": None, "x": 1}},
        {"top_k": "all", "inferenceConfig": {"topK": None}},
        {"output_config": {"effort": 3}},
        {},
    ],
)
def test_fields_of_a_model_are_kept_whatever_they_hold(more):
    """They are the model's own: a wrong type there is not ours to refuse."""
    body = ask("a", additionalModelRequestFields=more)
    assert home(body) == body


def test_a_word_for_thinking_that_is_unknown_is_not_taken():
    """What it asks for cannot be said elsewhere, and must not vanish there."""
    body = ask("a", additionalModelRequestFields={"thinking": {"type": "novel"}})
    assert parsed(body).thinking is None
    assert parsed(body).extras == {"additionalModelRequestFields": {"thinking": {"type": "novel"}}}


def test_the_choice_of_a_tool():
    def choice(**given):
        return parsed(ask("a", toolConfig={"tools": [{"toolSpec": {"name": "f"}}], "toolChoice": given})).tool_choice

    assert choice(auto={}).mode == "auto"
    assert choice(any={}).mode == "required"
    assert (choice(tool={"name": "f"}).mode, choice(tool={"name": "f"}).names) == ("tool", ("f",))
    assert (choice(whim={}).mode, choice(whim={}).extras) == ("native", {"whim": {}})


def test_arguments_that_are_no_object_come_back_as_they_were():
    """They travel wrapped, because `input` is a document."""
    (call_,) = block({"toolUse": {"toolUseId": "t", "name": "f", "input": {"_raw": "{broken"}}})
    assert isinstance(call_, ToolCall)
    assert call_.arguments == "{broken"
